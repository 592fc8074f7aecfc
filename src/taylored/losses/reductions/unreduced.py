"""The base of wrappers that reduce the values of the wrapped loss in a way of their own."""

from __future__ import annotations

from typing import Annotated

from torch import Tensor, nn

from taylored.core.checks import fail
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options
from taylored.losses.as_loss import as_loss
from taylored.modules.fields.field import positional
from taylored.modules.fields.parameter import About
from taylored.modules.wrapper import WrapperLoss


class UnreducedLoss(WrapperLoss):
    """A loss around another one, whose values it is given one by one."""

    loss: Annotated[
        nn.Module,
        About(
            "the loss whose values are reduced, by its own options otherwise; it is copied",
            domain="a loss of logits and targets with a value for each position or element; "
            "torch's CrossEntropyLoss and BCEWithLogitsLoss too",
            fixed=True,
            convert=as_loss,
        ),
    ] = positional(kw_only=False)

    def check(self) -> None:
        """Refuse a loss that has no values to give."""
        super().check()
        spec = getattr(type(self.inner), "spec", None)
        if spec is not None and spec.call not in ("plain", "sets"):
            fail("loss", "a loss with one value for each position or element", repr(self.inner),
                 "wrap another loss, such as CrossEntropyLoss()")  # fmt: skip

    def each(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The values of the wrapped loss."""
        return self.inner.evaluate(
            input, target, options._replace(reduction="none", normalizer=None)
        )
