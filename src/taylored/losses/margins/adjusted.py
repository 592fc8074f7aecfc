"""Any softmax loss, with the class prior and a temperature on its logits in training."""

from __future__ import annotations

from typing import Annotated

from torch import nn

from taylored.core.checks import fail
from taylored.core.plan.options import Options
from taylored.losses.as_loss import as_loss
from taylored.losses.margins.logit_adjusted import Tau, adjustment
from taylored.modules.fields.field import positional
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import Counts
from taylored.modules.wrapper import WrapperLoss

__all__ = ["AdjustedLoss"]


class AdjustedLoss(WrapperLoss):
    r"""A softmax loss :math:`\phi(p_t)` with :math:`p_k \propto \pi_k^{\tau} e^{z_k / T}`.

    Logit adjustment is not bound to cross-entropy: the prior says which classes need a margin,
    the term says how samples count by their p. With cross-entropy and temperature 1 it is
    `LogitAdjustedLoss`. It is what `taylored tailor` writes its losses in.

    Shape:
        As for the wrapped loss, `sample_weight` and `normalizer` included.

    Returns:
        What the wrapped loss returns.

    Example:
        >>> import torch
        >>> from taylored import PolyLoss
        >>> loss = AdjustedLoss(PolyLoss(epsilon=[0.5, -0.2]), counts=[90, 10], temperature=2.0)
        >>> loss(torch.tensor([[2.0, 0.0], [2.0, 0.0]]), torch.tensor([0, 1]))
        tensor(1.7962)

    Inference: `predict` is the largest logit, the decision where all classes are alike frequent
    for tau = 1; `posterior` puts prior and temperature back, and undoes the term.
    """

    link = "softmax"
    loss: Annotated[
        nn.Module,
        About(
            "the loss of the adjusted logits, which holds the shared vocabulary (`weight`, "
            "`reduction`, ...); it is copied",
            domain="a softmax loss that is a function of p_t without a bias or a temperature of "
            "its own, or torch's CrossEntropyLoss",
            fixed=True,
            convert=as_loss,
        ),
    ] = positional(kw_only=False)
    tau: Tau = 1.0
    temperature: Annotated[
        float,
        About(
            "divides the logits; raising it asks for larger differences of logits for the same p, "
            "and makes the gradient smaller",
            within="(0, inf)",
            fix="1 changes nothing",
            search=(0.5, 2.0),
        ),
    ] = 1.0
    counts: Counts

    def derive(self) -> None:
        """What is added to the logits before they are divided."""
        moved = self.temperature * adjustment(self.counts, self.tau)
        self.logit_bias = nn.Buffer(moved, persistent=False)

    def check(self) -> None:
        """Refuse a loss with another link, no term, or logits that it moves itself."""
        inner = self.inner.options()
        moved = (inner.logit_scale, inner.logit_bias, inner.margin)
        moves = inner.temperature != 1.0 or any(each is not None for each in moved)
        if self.inner.link != "softmax" or not self.inner.has_term or moves:
            known = "a softmax loss that is a function of p_t and does not move the logits itself"
            fail("loss", known, repr(self.inner), "wrap CrossEntropyLoss(), PolyLoss(), ...")
        super().check()

    def fill(self, options: Options) -> Options:
        """The prior and the temperature."""
        return options._replace(logit_bias=self.logit_bias, temperature=self.temperature)


SPEC = spec_of(
    "adjusted",
    AdjustedLoss,
    summary="any softmax loss, with the log prior of each class and a temperature on its logits",
    formula=r"\phi(p_t),\quad "
    r"p_k = \frac{\pi_k^{\tau} e^{z_k / T}}{\sum_l \pi_l^{\tau} e^{z_l / T}}",
    reference=Reference(
        "Menon, Jayasumana, Rawat, Jain, Veit, Kumar",
        "Long-Tail Learning via Logit Adjustment",
        "ICLR 2021",
        "logit adjusted softmax cross-entropy; here of any term, with a temperature",
    ),
    targets=("index", "probabilities"),
    value_range="that of the wrapped loss",
    denominator="that of the wrapped loss",
    examples=(
        "adjusted(poly(epsilon=[0.5, -0.2]), tau=1.2, temperature=0.8)",
        "adjusted(focal(gamma=1.5), tau=0.5)",
    ),
    identities={
        "adjusted(cross_entropy(), tau=1.3)": "logit_adjusted(tau=1.3)",
        "adjusted(poly(epsilon=2), tau=0)": "poly(epsilon=2)",
    },
)
