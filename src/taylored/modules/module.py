"""The base of every loss module: a class declares its parameters, the rest follows from them."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn, dataclass_transform

import torch
from torch import Tensor, nn

from taylored.core.checks import fail, in_range
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.targets import check_input
from taylored.core.plan.options import LinkName, Options, check_options
from taylored.core.terms.term import Term
from taylored.modules.arguments import bound, class_signature
from taylored.modules.class_axis import class_count, probabilities
from taylored.modules.docs import document
from taylored.modules.field import Field, check_lengths, lengths, own_fields, positional
from taylored.modules.written import written

if TYPE_CHECKING:
    from taylored.modules.spec import Spec


class _NoTerm:
    """Stands for the term of a loss that is no function of p_t alone."""

    def __get__(self, loss: object, owner: type) -> NoReturn:
        fail("loss", "a function of p_t alone", owner.__name__, "see the catalogue for those")


class _OfTheClass:
    """An attribute of a class that its instances do not have: they are called differently."""

    def __init__(self, value: object) -> None:
        self._value = value

    def __get__(self, loss: object | None, owner: type) -> object:
        if loss is not None:
            raise AttributeError
        return self._value


@dataclass_transform(kw_only_default=True, field_specifiers=(positional,))
class Loss(nn.Module):
    """A loss of logits against targets; every loss of this library is one.

    A subclass declares its parameters as fields and says what it computes by one of its slots:
    `term` where the loss is a function of p_t; `evaluate` otherwise. `fill` puts numbers that it
    has worked out into the engine's options. Constructor, checks, forward, repr, signature and
    documentation follow. A parameter may be assigned later, `loss.gamma = 3.0`: it is checked, and
    what `derive` works out from it is worked out anew.

    Example:
        >>> import torch
        >>> from typing import Annotated
        >>> from taylored import Loss, terms
        >>> from taylored.modules.parameter import About
        >>> from taylored.modules.vocabulary import EitherLinkLoss
        >>> class HalfFocalLoss(EitherLinkLoss):
        ...     gamma: Annotated[float, About("focusing", within="[0, inf)")] = 2.0
        ...
        ...     @property
        ...     def term(self):
        ...         return 0.5 * terms.power(self.gamma) * terms.nll
        >>> loss = HalfFocalLoss(gamma=1, label_smoothing=0.1)
        >>> loss, isinstance(loss, Loss)
        (HalfFocalLoss(gamma=1, label_smoothing=0.1), True)
        >>> loss(torch.zeros(1, 2), torch.tensor([0]))
        tensor(0.1733)
    """

    link: LinkName
    spec: ClassVar[Spec]
    class_axis: ClassVar[int] = 1
    _fields: ClassVar[dict[str, Field]] = {}
    _slots: ClassVar[tuple[str, ...]] = ()
    _lengths: dict[str, int]

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        found = own_fields(cls)
        for base in cls.__mro__[1:]:
            found = {
                **found,
                **{k: v for k, v in vars(base).get("_fields", {}).items() if k not in found},
            }
        # Own parameters come first, the shared vocabulary after them.
        cls._fields = dict(sorted(found.items(), key=lambda item: item[1].about.shared))
        cls._slots = tuple(name for name, field in cls._fields.items() if field.about.slot)
        cls.__signature__ = _OfTheClass(class_signature(cls._fields))  # type: ignore[attr-defined]
        document(
            cls, cls._fields, "either" if "link" in cls._fields else getattr(cls, "link", "either")
        )

    def __init__(self, *given: Any, **named: Any) -> None:
        """Build the loss; its parameters are documented on the class."""
        super().__init__()
        values = bound(type(self).__name__, self._fields, given, named)
        for name, field in self._fields.items():
            field.check(values[name])
            self._keep(name, field.kept(values[name]))
        self.setup()
        self.derive()
        self._check()
        self.__dict__["_built"] = True

    if TYPE_CHECKING:
        # nn.Module declares its call as (...) -> Any.
        def __call__(
            self,
            input: Logits,
            target: Tensor,
            *,
            sample_weight: Tensor | None = None,
            normalizer: float | Tensor | None = None,
        ) -> Tensor:
            """The loss of logits against targets."""

        @property
        def term(self) -> Term:
            """The loss as a term; an error for a loss that is no function of p_t alone."""
    else:
        term = _NoTerm()

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        if self._lengths:
            check_lengths(self._lengths, class_count(input, self.link, self.class_axis))
        return self.evaluate(input, target, self.options(sample_weight, normalizer))

    def options(
        self, sample_weight: Tensor | None = None, normalizer: float | Tensor | None = None
    ) -> Options:
        """The engine's options for a call of this loss."""
        named = {name: getattr(self, name) for name in self._slots}
        named.setdefault("link", self.link)
        return self.fill(Options(sample_weight=sample_weight, normalizer=normalizer, **named))

    # The slots that a subclass may fill.

    def setup(self) -> None:
        """Make the state that training changes; called once."""

    def derive(self) -> None:
        """Work out what follows from the parameters; called again when one is assigned."""

    def fill(self, options: Options) -> Options:
        """The options, with what the loss itself puts into them."""
        return options

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss, all of whose numbers are in the options and the term."""
        return p_t_loss(input, target, self.term, options)

    def predict(self, input: Tensor) -> Tensor:
        """Probability of each class (axis 1): the rule at test time."""
        check_input(input)
        return probabilities(input, self.link)

    @property
    def has_term(self) -> bool:
        """Whether the loss is a function of p_t alone."""
        own = inspect.getattr_static(type(self), "term")
        return "term" in self._fields or not isinstance(own, _NoTerm)

    def columns(self) -> int:
        """How many columns the logits have that `num_classes` does not count."""
        return 0

    @torch.no_grad()
    def set_progress(self, fraction: float) -> None:
        """Say which share of the training is done, in [0, 1]; once an epoch is enough.

        Losses with a schedule act on it, wrappers pass it on, for all others nothing changes.
        """
        in_range("fraction", fraction, 0.0, 1.0, "use epoch / epochs")
        self.schedule(fraction)
        for inner in self.children():
            if isinstance(inner, Loss):
                inner.set_progress(fraction)

    def schedule(self, fraction: float) -> None:
        """Act on the share of the training that is done."""

    # How parameters are kept.

    def __setattr__(self, name: str, value: Any) -> None:
        field = self._fields.get(name)
        if field is None or "_built" not in self.__dict__:
            super().__setattr__(name, value)
            return
        if field.about.fixed:
            expected = f"left as it was built, {getattr(self, name)!r}"
            fail(name, expected, repr(value), f"build a new {type(self).__name__}")
        field.check(value)
        before = getattr(self, name)
        try:
            self._keep(name, field.kept(value))
            self._derive_again()
            self._check()
        except ValueError:
            self._keep(name, before)
            self._derive_again()
            raise

    def _keep(self, name: str, value: object) -> None:
        """A tensor as a buffer that is in no state dict, everything else as an attribute.

        What was given to the constructor is given again by whoever loads a checkpoint.
        """
        self.__dict__.pop(name, None)
        self._buffers.pop(name, None)
        self._modules.pop(name, None)
        if isinstance(value, Tensor):
            self.register_buffer(name, value, persistent=False)
        elif isinstance(value, nn.Module):
            self.register_module(name, value)
        else:
            self.__dict__[name] = value

    def _derive_again(self) -> None:
        """Derived buffers keep device and dtype, to which the module may have been moved."""
        before = dict(self._buffers)
        self.derive()
        for name, old in before.items():
            new = self._buffers.get(name)
            if old is not None and new is not None and name not in self._fields:
                self._buffers[name] = new.to(old)

    def _check(self) -> None:
        """Refuse parameters that do not go together."""
        values = {name: getattr(self, name) for name in self._fields}
        found = lengths(self._fields, values, self.columns())
        for inner in self.children():
            if isinstance(inner, Loss):
                found.update(inner._lengths)
        if found:
            (first, length), *others = found.items()
            for name, other in others:
                if other != length:
                    expected = f"given for {length} classes, as `{first}` is"
                    fail(name, expected, other, "give one value per class")
        self.__dict__["_lengths"] = found
        check_options(self.options())
        if self.has_term:
            _ = self.term  # which checks what its numbers have to be

    def __repr__(self) -> str:
        return written(self, self._fields)


def link_of(loss: type[Loss]) -> str:
    """The link of a loss class; "either" where the instance says it."""
    link = getattr(loss, "link", None)
    return link if isinstance(link, str) else "either"


def parameters_of(loss: type[Loss]) -> Mapping[str, Field]:
    """The declared fields of a loss class."""
    return loss._fields
