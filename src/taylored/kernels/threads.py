"""How many threads a native call may use."""

from __future__ import annotations

import os

import torch

_forked = False


def _note_fork() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_fork)


def threads() -> int:
    """As many as torch may use; one after a fork, where torch's other threads no longer exist.

    The OpenMP runtime still counts on them there, and would wait for ever.
    """
    return 1 if _forked else torch.get_num_threads()
