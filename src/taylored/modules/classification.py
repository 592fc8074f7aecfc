"""The base of classification losses: logits against targets, by a term or a rule of its own."""

from __future__ import annotations

import functools
import typing
from typing import TYPE_CHECKING, Any, ClassVar

from torch import Tensor

from taylored.certificates.certified import Certified
from taylored.core.checks import fail
from taylored.core.context import compiling
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.given import read_target, read_weight, usual
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import tensor_of
from taylored.core.plan.options import LINK_NAMES, Options, PerClass, check_options
from taylored.core.posterior.calibrated import calibrated_logits
from taylored.core.posterior.probabilistic import Probabilistic
from taylored.core.terms.term import Term
from taylored.modules.base import FunctionCall, Loss, Takes, parameters_of
from taylored.modules.class_axis import at_home, check_lengths, class_count, lengths
from taylored.modules.docs import RAISES, Described
from taylored.modules.logits_call import FURTHER, RETURNS, SHAPES, entered, first_look, link_of


class NoTermError(AttributeError, ValueError):
    """The term was asked of a loss that is no function of p_t alone."""


class ClassificationLoss(Probabilistic, Certified, Loss):
    """A loss of logits against targets, one value per position.

    A subclass declares its parameters as fields and says what it computes by one of its slots:
    `term` where the loss is a function of p_t; `evaluate` otherwise. `fill` puts numbers that it
    has worked out into the engine's options. Everything else follows (see `Loss`).

    `taylored/modules/vocabulary.py` shows one written from scratch.

    Example:
        >>> import torch
        >>> from taylored import ClassificationLoss, FocalLoss
        >>> loss = FocalLoss(gamma=2.0)
        >>> isinstance(loss, ClassificationLoss), loss.spec.reference.venue
        (True, 'ICCV 2017')
        >>> loss.gamma = 3.0
        >>> loss, loss.posterior(torch.tensor([[0.5, 0.0]]))
        (FocalLoss(gamma=3), tensor([[0.8596, 0.1404]]))
    """

    takes: ClassVar[Takes] = "logits"
    class_dim = 1
    _home = 1
    _slots: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        own = (name for name, field in cls._fields.items() if field.about.slot and name != "link")
        cls._slots = ("link", *own)
        if "class_dim" in cls._fields:  # a loss computes where it has the classes by default
            cls._home = typing.cast(int, cls._fields["class_dim"].default)

    @classmethod
    def described(cls) -> Described:
        """Shapes by the link."""
        return Described(SHAPES[link_of(cls)] + FURTHER, RETURNS, RAISES)

    @classmethod
    def target_kinds(cls) -> tuple[str, ...]:
        """Class indices and probabilities, and the sigmoid link's multi-hot."""
        return ("index", "probabilities", *(("multi-hot",) if "sigmoid" in links_of(cls) else ()))

    @classmethod
    def mean_divides_by(cls, targets: tuple[str, ...]) -> str:
        """What the engine divides a mean by."""
        links, elements = links_of(cls), "elements that are not ignored"
        if "softmax" not in links:
            return elements
        if targets == ("index",):
            return "sum of the targets' weights"
        by_position = "index: sum of the targets' weights; probabilities: positions"
        return f"{by_position}; sigmoid: {elements}" if "sigmoid" in links else by_position

    @classmethod
    def enter(cls, call: FunctionCall) -> Tensor:
        """Run a call of the functional form: its tensors are read as the module reads them."""
        return entered(cls, call)

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
            ...

        @property
        def term(self) -> Term:
            """The loss as a term; an error for a loss that is no function of p_t alone."""
            ...

    def __getattr__(self, name: str) -> Any:
        if name != "term":
            return super().__getattr__(name)
        own = getattr(type(self), "term", None)
        if isinstance(own, property) and own.fget is not None:
            return own.fget(self)  # once more: an AttributeError inside it led here
        raise NoTermError(
            f"`loss` must be a function of p_t alone, got {type(self).__name__}. "
            "Fix: take a loss whose page in `taylored show` has a series"
        )

    def forward(
        self,
        input: Logits,
        target: Tensor,
        *,
        sample_weight: Tensor | None = None,
        normalizer: float | Tensor | None = None,
    ) -> Tensor:
        """The loss of logits against targets."""
        return self._enter(self.class_dim, normalizer, input, target, sample_weight)

    def _enter(
        self,
        class_dim: int,
        normalizer: float | Tensor | None,
        input: Logits,
        target: Tensor,
        sample_weight: Tensor | None,
        *beside: Tensor,
    ) -> Tensor:
        """The one way in: tensors that have the classes on `class_dim` are brought home."""
        home = self._home
        if class_dim != home:
            enter = functools.partial(self._enter, home, normalizer)
            return at_home(enter, class_dim, home, input, target, sample_weight, *beside)
        if self._lengths:
            check_lengths(self._lengths, class_count(input, self.link, home))
        if not (compiling() or self._looked):  # in this order: a compiler guards what it has read
            first_look(self, input, self.link, home)
        if not usual(input, target, home):
            target = self.read_target(input, target, self.link)
        if sample_weight is not None:
            sample_weight = read_weight(sample_weight, input.shape[home - 1 :])
        return self.evaluate(input, target, self.options(sample_weight, normalizer), *beside)

    def options(
        self, sample_weight: Tensor | None = None, normalizer: float | Tensor | None = None
    ) -> Options:
        """The engine's options for a call of this loss."""
        named = {name: getattr(self, name) for name in self._slots}
        return self.fill(Options(sample_weight=sample_weight, normalizer=normalizer, **named))

    # The slots that a subclass may fill, beside `setup` and `derive`.

    def fill(self, options: Options) -> Options:
        """The options, with what the loss itself puts into them."""
        return options

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss, all of whose numbers are in the options and the term."""
        return p_t_loss(input, target, self.term, options)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """Logits of the class distribution of the training data."""
        return calibrated_logits(outputs, self.term, options)

    @property
    def output_dim(self) -> int:
        """The axis of the classes in a model's outputs, which are not stacked."""
        return self.class_dim if self.class_dim < 0 else self.class_dim - self._home + 1

    def num_columns(self) -> int:
        """As many as its numbers per class; two where it has none."""
        return next(iter(self._lengths.values()), 2)

    def check_outputs(self, outputs: Tensor) -> None:
        """Refuse outputs for another number of classes."""
        check_lengths(self._lengths, class_count(outputs, self.link, 1))

    def why_no_posterior(self) -> str:
        """Why there is none: what the class says, or that there is no term to start from."""
        said = super().why_no_posterior()
        own = type(self).calibrated is not ClassificationLoss.calibrated
        return said or ("" if own or self.has_term else "it is no function of p_t")

    def training_counts(self) -> tuple[PerClass | None, float | None]:
        """The fields `counts` and `num_samples`, of which the latter is the sum if left out."""
        counts = getattr(self, "counts", None) if "counts" in self._fields else None
        if counts is None or "num_samples" not in self._fields:
            return counts, None
        named: float | None = self.num_samples
        return counts, float(tensor_of(counts).sum()) if named is None else named

    @classmethod
    def read_target(cls, input: Logits, target: Tensor, link: str) -> Tensor:
        """The target as the loss needs it, from any form that can be read in one way only."""
        if not isinstance(input, Logits):  # for the checks to refuse
            return target
        return read_target(target, input.shape[cls._home - 1 :], link)

    @property
    def has_term(self) -> bool:
        """Whether the loss is a function of p_t alone."""
        return "term" in self._fields or hasattr(type(self), "term")

    def extra_columns(self) -> int:
        """How many columns the logits have that `num_classes` does not count."""
        return 0

    def check(self) -> None:
        """Refuse parameters that do not go together."""
        if getattr(self, "link", None) not in LINK_NAMES:
            name = type(self).__name__
            raise TypeError(f'{name} says no link. Fix: write link = "softmax" in its class')
        values = {name: getattr(self, name) for name in self._fields}
        found = lengths(self._fields, values, self.extra_columns())
        for inner in self.children():
            if isinstance(inner, ClassificationLoss):
                found |= {f"loss.{name}": length for name, length in inner._lengths.items()}
        if found:
            (first, length), *others = found.items()
            for name, other in others:
                if other != length:
                    expected = f"given for {length} classes, as `{first}` is"
                    fail(name, expected, other, "give one value per class")
        self.__dict__["_lengths"] = found
        check_options(self.options())
        self.warn_if_rising()  # and check the numbers of the term, by building it


def links_of(loss: type[Loss]) -> tuple[str, ...]:
    """The links that a loss can have, the default first; none where it has no link."""
    field = parameters_of(loss).get("link")
    if field is not None:
        return (str(field.default), *(link for link in field.choices if link != field.default))
    if loss.takes != "logits":
        return ()
    link = link_of(loss)
    return LINK_NAMES if link == "either" else (link,)
