"""The base of losses that wrap another one and fill slots of it."""

from __future__ import annotations

from typing import cast

from torch import Tensor

from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.core.terms.term import Term
from taylored.modules.module import Loss


class WrapperLoss(Loss):
    """A loss whose field `loss` is another one: its options with some filled in here.

    A subclass declares `loss: Annotated[nn.Module, About("...", fixed=True, convert=as_loss)]`,
    which keeps a copy.
    """

    def setup(self) -> None:
        """Take the link of the wrapped loss."""
        self.link = self.inner.link

    @property
    def inner(self) -> Loss:
        """The wrapped loss."""
        return cast(Loss, self._modules["loss"])

    @property
    def term(self) -> Term:
        """The wrapped loss as a term."""
        return self.inner.term

    @property
    def has_term(self) -> bool:
        """Whether the wrapped loss is a function of p_t alone."""
        return self.inner.has_term

    def options(
        self, sample_weight: Tensor | None = None, normalizer: float | Tensor | None = None
    ) -> Options:
        """Those of the wrapped loss, with what is filled in here."""
        return self.fill(self.inner.options(sample_weight, normalizer))

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The wrapped loss with these options."""
        return self.inner.evaluate(input, target, options)

    def logits(self, outputs: Tensor) -> Tensor:
        """The rule of the wrapped loss."""
        return self.inner.logits(outputs)

    def predict(self, input: Tensor) -> Tensor:
        """The rule of the wrapped loss."""
        return self.inner.predict(input)
