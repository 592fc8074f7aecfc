"""Federated loss: binary cross-entropy on the classes of the batch and a few drawn ones."""

from __future__ import annotations

from typing import Annotated

import torch
from torch import Tensor, nn

from taylored.core.class_weights import log_prior
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits, outline
from taylored.core.inputs.targets import one_hot
from taylored.core.numerics import tensor_of
from taylored.core.plan.options import Options
from taylored.core.plan.prepare import prepare
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.modules.fields.parameter import About
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, Counts, WeightedLoss

__all__ = ["FederatedLoss"]


def present_classes(input: Logits, target: Tensor, options: Options) -> Tensor:
    """Whether a class is the truth of a position that counts, for each."""
    logits, plan = prepare(
        outline(input), target, nll, options._replace(reduction="none", normalizer=None)
    )
    if plan.target_kind == "index":
        truth = one_hot(plan.target, logits)
    else:
        truth = plan.target > 0
        if plan.ignore is not None:
            truth = truth & (plan.target != plan.ignore)
    counts = truth & (plan.rows != 0)
    return counts.movedim(1, 0).flatten(1).any(1)


def chosen_classes(present: Tensor, log_chances: Tensor, number: int) -> Tensor:
    """Those that are present, and drawn ones until there are `number` of them.

    The largest of log chance plus Gumbel noise are a draw without replacement, and no number of
    them has to be known to the host.
    """
    log_chances = log_chances.to(present.device)
    noise = -torch.log(-torch.log(torch.rand_like(log_chances).clamp(1e-300, 1 - 1e-16)))
    keys = torch.where(present, torch.inf, log_chances + noise)
    places = torch.arange(len(keys), device=keys.device)
    rank = torch.zeros_like(places).scatter(0, keys.argsort(descending=True, stable=True), places)
    return present | (rank < number)


class FederatedLoss(WeightedLoss, BackgroundLoss):
    r"""Federated loss, binary cross-entropy of the classes S: the batch's, and drawn ones.

    With a thousand classes every sample is a negative of nearly all of them, and rare classes see
    nothing else. Here a class is pushed down only in batches in which it occurs or is drawn, with a
    chance that goes with :math:`n_c^{power}`, until S has `num_sampled` classes. The published loss
    divides by the number of samples: reduction="batch_mean".

    The draws are those of torch's default generator, anew at every call in training mode; in
    evaluation all classes count. There is no state.

    Shape:
        As for `BinaryCrossEntropyLoss`.

    Example:
        >>> import torch
        >>> loss = FederatedLoss(counts=[90, 9, 1], num_sampled=1, reduction="batch_mean")
        >>> loss(torch.zeros(2, 3), torch.tensor([0, 2]))  # the classes 0 and 2
        tensor(1.3863)

    Inference: `predict` is yes where the logit is positive.
    """

    link = "sigmoid"
    unreadable = "which classes are trained on depends on the batch and on chance"
    counts: Counts
    num_sampled: Annotated[
        int,
        About(
            "how many classes count in a batch, unless more are present; raising it pushes rare "
            "classes down more often",
            within="[1, inf)",
            fix="50 was published for the 1203 classes of LVIS",
            search=(10, 100),
        ),
    ] = 50
    power: Annotated[
        float,
        About(
            "of the counts, in the chance of being drawn; raising it draws frequent classes more, "
            "0 all alike",
            within="[0, inf)",
            fix="0.5 is the published choice",
            search=(0.0, 1.0),
        ),
    ] = 0.5

    def derive(self) -> None:
        """The logarithm of each class's chance of being drawn first."""
        prior = log_prior(self.counts, dtype=torch.float64)
        chances = torch.log_softmax(self.power * prior, 0)
        self.log_chances = nn.Buffer(chances, persistent=False)

    @property
    def term(self) -> Term:
        """The loss of a class that counts, as a term."""
        return nll

    def evaluate(self, input: Logits, target: Tensor, options: Options) -> Tensor:
        """Binary cross-entropy with a weight of 0 for the classes that are left out."""
        if not self.training or self.num_sampled >= len(self.log_chances):
            return p_t_loss(input, target, nll, options)
        present = present_classes(input, target, options)
        weight = chosen_classes(present, self.log_chances, self.num_sampled).to(torch.float64)
        if options.weight is not None:
            weight = weight * tensor_of(options.weight).to(weight)
        return p_t_loss(input, target, nll, options._replace(weight=weight))


SPEC = spec_of(
    "federated",
    FederatedLoss,
    summary="binary cross-entropy on the classes of the batch and a few drawn ones (FedLoss)",
    formula=r"-\sum_{c \in S} \left(y_c \log p_c + (1 - y_c) \log (1 - p_c)\right)",
    reference=Reference(
        "Zhou, Koltun, Krahenbuhl",
        "Probabilistic Two-stage Detection",
        "arXiv 2103.07461",
        "the federated loss",
    ),
    differs={
        "detectron2": "use_fed_loss with use_sigmoid_ce: equal in distribution with "
        'reduction="batch_mean", background as a row of negatives',
    },
    examples=("federated(num_sampled=5)",),
)
