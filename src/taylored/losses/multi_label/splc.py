"""SPLC: negatives that the model is sure are positive are taken for missing labels."""

from __future__ import annotations

import math
from typing import Annotated

import torch
from torch import Tensor, nn

from taylored.core.engine.element_loss import element_loss
from taylored.core.engine.elementwise import Values
from taylored.core.inputs.logits import Logits
from taylored.core.numerics import state_dtype
from taylored.core.plan.options import Options
from taylored.core.terms.point import Point
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, WeightedLoss

__all__ = ["SPLCLoss"]


def splc_values(gamma: float, margin: float, tau: float, late: Tensor) -> Values:
    """Focal loss; of a "no" with p > tau that of yes, once it is late (Zhang et al. 2021)."""
    edge = math.log(tau) - math.log1p(-tau) if tau < 1.0 else math.inf

    def values(at: Point, y: Tensor) -> Tensor:
        marked = type(at)(at.margin - margin)
        yes = marked.q_power(gamma) * marked.nll
        missing = at.q_power(gamma) * at.nll
        no = at.complement().q_power(gamma) * -at.log_q
        rest = torch.where(late.to(y.device) & (at.margin > edge), missing, no)
        return y * yes + (1.0 - y) * rest

    return values


class SPLCLoss(WeightedLoss, BackgroundLoss):
    r"""SPLC, focal loss in which a "no" with :math:`p > \tau` is taken for a "yes".

    Self-paced loss correction: where labels are missing, a model knows many of the missing ones
    before it has learnt to repeat the wrong "no". After the first epoch it is right in most cases
    in which it is sure, and from then on such elements cost what a "yes" costs. Labels that are
    given are focused at sigmoid(x - margin), as in `HillLoss`.

    The training loop says how far it is, once an epoch; without that nothing is corrected:

        for epoch in range(epochs):
            loss.set_progress(epoch / epochs)
            ...

    `fraction`, the last progress told, is in the state dict, so that a resumed training goes on.

    Shape:
        As for `BinaryCrossEntropyLoss`.

    Example:
        >>> import torch
        >>> loss = SPLCLoss()
        >>> logits, truth = torch.tensor([[2.0, 3.0]]), torch.tensor([[1, 0]])
        >>> loss(logits, truth)
        tensor(1.3945)
        >>> loss.set_progress(0.1)
        >>> loss(logits, truth)
        tensor(0.0114)

    Inference: `predict` is yes where the logit is positive.
    """

    link = "sigmoid"
    unreadable = "what a confident no costs is what a yes costs, whatever the labels say"
    tau: Annotated[
        float,
        About(
            "probability above which a negative is taken for a missing label; raising it corrects "
            "fewer and surer ones, 1 corrects none",
            within="(0, 1]",
            fix="0.6 is the published choice",
            search=(0.5, 0.9),
        ),
    ] = 0.6
    start: Annotated[
        float,
        About(
            "progress from which labels are corrected; raising it trusts the labels for longer",
            within="[0, 1]",
            fix="0.01 is after the first epoch, as published, for up to a hundred of them",
            search=(0.01, 0.3),
        ),
    ] = 0.01
    margin: Annotated[
        float,
        About(
            "what is taken off a marked positive's logit; raising it keeps easy positives in play",
            within="[0, inf)",
            fix="0.5 to 1 are the published choices",
            search=(0.0, 2.0),
        ),
    ] = 1.0
    gamma: Annotated[
        float,
        About(
            "focusing of both outcomes; raising it silences easy elements",
            within="[0, inf)",
            search=(0.0, 4.0),
        ),
    ] = 2.0

    def setup(self) -> None:
        """Start at the beginning of the training."""
        self.fraction = nn.Buffer(torch.zeros((), dtype=state_dtype(), device="cpu"))

    def schedule(self, fraction: float) -> None:
        """Keep how far the training is."""
        self.fraction.fill_(fraction)

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """The loss of logits against targets, corrected where it is time."""
        late = self.fraction >= self.start
        values = splc_values(self.gamma, self.margin, self.tau, late)
        return element_loss(input, target, values, options)


SPEC = spec_of(
    "splc",
    SPLCLoss,
    summary="focal loss that takes confident negatives for missing labels after the first epoch",
    formula=r"y\,\ell_+(x - m) + (1-y)\,[p \le \tau]\,\ell_-(x) + (1-y)\,[p > \tau]\,\ell_+(x),"
    r"\quad \ell_\pm \text{ focal}",
    reference=Reference(
        "Zhang, Cheng, Huang, Wen, Feng, Li, Guo",
        "Simple and Robust Loss Design for Multi-Label Learning with Missing Labels",
        "arXiv 2112.07368",
        "self-paced loss correction with the focal margin loss",
    ),
    differs={
        "xinyu1205/robust-loss-mlml": "SPLC(tau, change_epoch=1, margin, gamma): equal with "
        "reduction='sum', its default; there every call is told the epoch, and runs on CUDA only",
    },
    examples=("splc(start=0)", "splc(start=0, tau=0.8, margin=0.3, gamma=0.5)", "splc()"),
    identities={
        "splc(tau=1, start=0, margin=0)": 'focal(gamma=2, link="sigmoid")',
        "splc(margin=0)": 'focal(gamma=2, link="sigmoid")',
    },
)
