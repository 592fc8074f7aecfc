"""The base of losses that wrap another one and fill slots of it."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from taylored.core.checks import fail
from taylored.core.context import compiling
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import LinkName, Options, PerClass
from taylored.core.terms.term import Term
from taylored.modules.classification import ClassificationLoss


class WrapperLoss(ClassificationLoss):
    """A loss whose field `loss` is another one: its options with some filled in here.

    A subclass declares `loss: Annotated[nn.Module, About("...", fixed=True, convert=as_loss)]`,
    which keeps a copy.
    """

    @property
    def inner(self) -> ClassificationLoss:
        """The wrapped loss."""
        loss: ClassificationLoss = self._modules["loss"]  # type: ignore[assignment]
        return loss

    @property
    def link(self) -> LinkName:  # type: ignore[override]
        """That of the wrapped loss."""
        return self.inner.link

    @property
    def class_dim(self) -> int:  # type: ignore[override]
        """That of the wrapped loss."""
        return self.inner.class_dim

    @property
    def _home(self) -> int:  # type: ignore[override]
        return self.inner._home

    @property
    def term(self) -> Term:
        """The wrapped loss as a term."""
        return self.inner.term

    @property
    def has_term(self) -> bool:
        """Whether the wrapped loss is a function of p_t alone."""
        return self.inner.has_term

    def outcomes(self) -> tuple[Term, Term | None] | None:
        """Those of the wrapped loss."""
        return self.inner.outcomes()

    def warn_if_rising(self) -> None:
        """The wrapped loss has warned already."""

    def options(
        self, sample_weight: Tensor | None = None, normalizer: float | Tensor | None = None
    ) -> Options:
        """Those of the wrapped loss, with what is filled in here."""
        if not compiling() and self._known is not self.inner._lengths:
            self._check_again()
        return self.fill(self.inner.options(sample_weight, normalizer))

    def _check_again(self) -> None:
        """A parameter of the wrapped loss was assigned: refuse every call until all fits again."""
        try:
            self.check()
        except ValueError:
            self.__dict__["_known"] = None
            raise

    def check(self) -> None:
        """Refuse a wrapped loss, or parameters, that do not go together."""
        self.__dict__["_known"] = self.inner._lengths
        spec = getattr(type(self.inner), "spec", None)
        if spec is not None and spec.call == "features":
            fix = "use it alone: a wrapper has only logits and targets to hand on"
            fail("loss", "a loss of logits and targets", repr(self.inner), fix)
        super().check()

    def __setattr__(self, name: str, value: Any) -> None:
        inner = self._modules.get("loss")
        if (
            isinstance(inner, ClassificationLoss)
            and name in inner._fields
            and name not in self._fields
        ):
            fail(name, "assigned to the wrapped loss", repr(value), f"write loss.loss.{name} = ...")
        super().__setattr__(name, value)

    def read_target(self, input: Logits, target: Tensor, link: str) -> Tensor:  # type: ignore[override]
        """That of the wrapped loss."""
        return self.inner.read_target(input, target, link)

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The wrapped loss with these options."""
        return self.inner.evaluate(input, target, options)

    def published(self, outputs: Tensor) -> Tensor:
        """The reading of the wrapped loss."""
        return self.inner.published(outputs)

    def calibrated(self, outputs: Tensor, options: Options) -> Tensor:
        """The reading of the wrapped loss, with these options."""
        return self.inner.calibrated(outputs, options)

    def why_no_posterior(self) -> str:
        """Why there is none, here or for the wrapped loss."""
        return super().why_no_posterior() or self.inner.why_no_posterior()

    def training_counts(self) -> tuple[PerClass | None, float | None]:
        """Its own, or those of the wrapped loss."""
        counts, num_samples = super().training_counts()
        inner, parts = self.inner.training_counts()
        return (inner, parts) if counts is None else (counts, num_samples or parts)
