"""The base of every loss module: a class declares its parameters, the rest follows from them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, dataclass_transform

import torch
from torch import Tensor

from taylored.core.checks import in_range
from taylored.core.state.micro_batches import Gathering
from taylored.modules.docs import Described, document
from taylored.modules.fields.declared import DeclaredModule
from taylored.modules.fields.field import Field, positional

if TYPE_CHECKING:
    from taylored.modules.loss_sum import LossSum
    from taylored.modules.spec import Spec

Takes = Literal[
    "logits",
    "values",
    "distributions",
    "boxes",
    "rotated_boxes",
    "boxes_3d",
    "embeddings",
    "scores",
    "score_pairs",
    "vector_pairs",
    "distances",
    "ranks",
    "features",
    "sequences",
]
"""What a loss is called on; losses that take the same can be added up."""


class FunctionCall(NamedTuple):
    """A call of a loss's functional form, whose keywords are checked.

    Attributes:
        run: the function.
        names: what it takes by position.
        args: what it was given by position.
        given: what it was given by keyword.
        own: those of the keywords that are parameters of the loss.
        lists: whether one of them may be a list of numbers per class.
    """

    run: Callable[..., Tensor]
    names: tuple[str, ...]
    args: tuple[Any, ...]
    given: dict[str, Any]
    own: Mapping[str, Any]
    lists: bool


@dataclass_transform(kw_only_default=True, field_specifiers=(positional,))
class Loss(Gathering, DeclaredModule):
    """A loss; every loss of this library is one.

    A subclass declares its parameters as fields; constructor, checks, repr, signature and
    documentation follow. A parameter may be assigned later, `loss.gamma = 3.0`: it is checked, and
    what `derive` works out from it is worked out anew.

    Between this class and the losses stand a few bases that say how a loss is called and what it
    is reduced from: `ClassificationLoss`, `ValueLoss`, ...

    Attributes:
        takes: what it is called on.

    Example:
        >>> from taylored import FocalLoss, GIoULoss, Loss
        >>> isinstance(FocalLoss(), Loss), isinstance(GIoULoss(), Loss)
        (True, True)
        >>> FocalLoss.takes, GIoULoss.takes
        ('logits', 'boxes')
    """

    spec: ClassVar[Spec]
    takes: ClassVar[Takes]

    _looked = False  # at a first batch: see `first_look`

    if TYPE_CHECKING:
        # What `taylored.get` returns is known by its text alone: its call gives a tensor, and what
        # else it has (`predict`, `term`, ...) a type checker cannot tell.
        __call__: Callable[..., Tensor]

        def __getattr__(self, name: str) -> Any: ...

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        cls.declare()
        document(cls, cls._fields, cls.described())

    @classmethod
    def described(cls) -> Described:
        """Shape, result and errors of a call, for the documentation."""
        raise NotImplementedError

    @classmethod
    def target_kinds(cls) -> tuple[str, ...]:
        """The kinds of targets it takes, for SPEC."""
        raise NotImplementedError

    @classmethod
    def mean_divides_by(cls, targets: tuple[str, ...]) -> str:
        """What `reduction="mean"` divides by, for SPEC."""
        raise NotImplementedError

    @classmethod
    def enter(cls, call: FunctionCall) -> Tensor:
        """Run a call of the functional form."""
        return call.run(*call.args, **call.given)

    @torch.no_grad()
    def set_progress(self, fraction: float) -> None:
        """Say which share of the training is done, in [0, 1]; once an epoch is enough.

        Losses with a schedule act on it, wrappers pass it on, for all others nothing changes.
        """
        in_range("fraction", fraction, 0.0, 1.0, "use epoch / epochs")
        for part in self.modules():
            if isinstance(part, Loss):
                part.schedule(fraction)

    def schedule(self, fraction: float) -> None:
        """Act on the share of the training that is done."""

    def terms(self) -> Iterable[tuple[float, Loss]]:
        """Weight and loss of every part of the sum that this is: itself, if it is none."""
        return ((1.0, self),)

    def __add__(self, other: Loss) -> LossSum:
        """The sum of two losses that are called alike."""
        if not isinstance(other, Loss):
            return NotImplemented
        return _sum([*self.terms(), *other.terms()])

    def __mul__(self, weight: float) -> LossSum:
        """The loss as a part of a sum, with a weight."""
        if isinstance(weight, bool) or not isinstance(weight, (int, float)):
            return NotImplemented
        return _sum([(weight * own, loss) for own, loss in self.terms()])

    def __rmul__(self, weight: float) -> LossSum:
        """The loss as a part of a sum, with a weight."""
        return self * weight


def _sum(parts: list[tuple[float, Loss]]) -> LossSum:
    from taylored.modules.loss_sum import LossSum  # which is a loss itself

    return LossSum(parts)


def parameters_of(loss: type[Loss]) -> Mapping[str, Field]:
    """The declared fields of a loss class."""
    return loss._fields
