"""Logits that the loss may overwrite with their own gradient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor

from taylored.core.checks import fail

GONE = "these logits were donated to a loss, which has overwritten them. Use them before the loss"


@dataclass(frozen=True, eq=False, repr=False)
class Donated:
    """Logits that were given away; made by `donate`.

    Attributes:
        tensor: the logits, which will be overwritten.
        class_dim: its axis that has the classes; everything else speaks of them on axis 1.
    """

    tensor: Tensor
    class_dim: int = 1

    REMEDY: ClassVar[str] = "leave `donate` out"

    @property
    def shape(self) -> torch.Size:
        """Shape of the logits, with the classes on axis 1."""
        if self.class_dim == 1:
            return self.tensor.shape
        sizes = list(self.tensor.shape)  # once they are gone, the logits cannot be permuted
        sizes.insert(1, sizes.pop(self.class_dim))
        return torch.Size(sizes)

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the logits."""
        return self.tensor.dtype

    @property
    def device(self) -> torch.device:
        """Device of the logits."""
        return self.tensor.device

    @property
    def requires_grad(self) -> bool:
        """Whether the logits want a gradient, and so will be overwritten."""
        return self.tensor.requires_grad

    def dim(self) -> int:
        """Number of axes of the logits."""
        return self.tensor.dim()

    def outline(self) -> Tensor:
        """The logits themselves, which still have their values."""
        if isinstance(self.tensor, Gone):
            fail("input", "logits that were not donated before", repr(self.tensor),
                 "compute them again")  # fmt: skip
        return self.tensor if self.class_dim == 1 else self.tensor.movedim(self.class_dim, 1)

    def __repr__(self) -> str:
        return f"Donated(logits {tuple(self.shape)})"


def donate(logits: Tensor) -> Donated:
    """Let the loss write the gradient over the logits, which nobody can read afterwards.

    Loss and gradient then need no memory beyond the logits. Take what else you need of the logits,
    such as predictions for the accuracy, before the loss: reading them afterwards is an error,
    never a wrong number. Where no gradient is recorded, nothing is overwritten.

    Args:
        logits: what a model returned (no parameter), in float32, float64 or bfloat16, and the only
            tensor on their memory: no view of another tensor, without views or detached copies of
            their own, and not kept by the operation that made them, as the result of a sigmoid is.
            What a linear or convolution layer returns is fine.

    Returns:
        An input for the losses of the p_t family, in the place of logits, for one call.

    Raises:
        ValueError: by the loss, for logits that cannot be overwritten safely, in forward mode,
            inside `torch.func` and `torch.compile`; and in backward for second derivatives.

    Example:
        >>> import torch
        >>> from taylored import FocalLoss
        >>> logits = torch.nn.Linear(8, 3)(torch.ones(4, 8))
        >>> FocalLoss()(donate(logits), torch.tensor([0, 1, 2, 0])).backward()
        >>> logits.argmax(dim=1)
        Traceback (most recent call last):
        RuntimeError: argmax: these logits were donated to a loss, which has overwritten them...
    """
    if not isinstance(logits, Tensor):
        fail("logits", "a tensor", type(logits).__name__, "donate what the model returned")
    return Donated(logits)


_KNOWN_ATTRIBUTES = ("shape", "ndim", "dtype", "device", "requires_grad", "grad")


class Gone(Tensor):
    """What donated logits turn into: their shape and gradient can be asked for, nothing else."""

    _KNOWN: ClassVar[frozenset[Any]] = frozenset(
        {getattr(Tensor, name).__get__ for name in _KNOWN_ATTRIBUTES} | {Tensor.size, Tensor.dim}
    )

    @classmethod
    def __torch_function__(
        cls,
        func: Any,
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Refuse everything except what `_KNOWN` names."""
        if func in cls._KNOWN:
            with torch._C.DisableTorchFunctionSubclass():
                return func(*args, **(kwargs or {}))
        raise RuntimeError(f"{func.__name__}: {GONE}")

    def __repr__(self, *, tensor_contents: Any = None) -> str:  # type: ignore[override]
        return "<donated logits>"
