"""Settings of the process that the user's code may change, and that all trainings share."""

import os
from dataclasses import dataclass
from typing import Self

import torch


@dataclass(frozen=True)
class ProcessSettings:
    """Default dtype, gradient mode, threads and current folder, as they were at one moment."""

    dtype: torch.dtype
    gradients: bool
    threads: int
    folder: str | None

    @classmethod
    def current(cls) -> Self:
        """What is set now."""
        return cls(
            torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads(), _folder()
        )

    def restore(self) -> None:
        """Set it again where it has changed; cheap enough for every step of a training."""
        if torch.get_default_dtype() is not self.dtype:
            torch.set_default_dtype(self.dtype)
        if torch.is_grad_enabled() is not self.gradients:
            torch.set_grad_enabled(self.gradients)
        if torch.get_num_threads() != self.threads:
            torch.set_num_threads(self.threads)
        if self.folder is not None and _folder() != self.folder:
            os.chdir(self.folder)


def _folder() -> str | None:
    try:
        return os.getcwd()  # noqa: PTH109 - a path object would cost ten times as much
    except OSError:  # the folder was deleted
        return None
