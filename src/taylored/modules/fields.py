"""Checks of the fields a loss module was given, at construction and not at the first batch."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.plan.options import Options, check_options


def check_fields(module: nn.Module, link: str) -> None:
    """Refuse shared options out of their domain, and per-class values that are not finite and >= 0.

    Fields that a loss does not have are skipped; the values are constants of the module, so looking
    at them here costs nothing later.
    """
    fields: dict[str, Any] = {**vars(module), **dict(module.named_buffers(recurse=False))}
    fields["link"] = link
    shared = set(Options._fields) & fields.keys()
    check_options(Options(**{name: fields[name] for name in shared}))
    index = fields.get("ignore_index")
    if index is not None and (isinstance(index, bool) or not isinstance(index, int)):
        fail("ignore_index", "a whole number or None", repr(index), "give a target value, or None")
    if "gamma" in module._buffers and module._buffers["gamma"] is None:
        fail("gamma", "a number >= 0, or one per class", None, "0 is plain cross-entropy")
    for name in ("weight", "alpha", "pos_weight", "gamma"):
        value = fields.get(name)
        if value is None:
            continue
        values = value if isinstance(value, Tensor) else torch.tensor(float(value))
        if values.dim() > 1 or values.numel() == 0:
            fail(name, "one number per class", f"shape {tuple(values.shape)}", "give a flat list")
        high = 1.0 if name == "alpha" else torch.inf
        bad = ~((values >= 0) & (values <= high) & values.isfinite())
        if bad.any():
            domain = "[0, 1]" if name == "alpha" else "[0, inf)"
            fail(name, f"finite numbers in {domain}", values[bad][0].item(), "correct the value")
