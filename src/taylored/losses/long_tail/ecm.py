"""Effective class margin (ECM): the margin between yes and no that a class's count calls for."""

from __future__ import annotations

from typing import Annotated, Unpack

import torch
from torch import Tensor, nn

from taylored.core.class_weights import present_counts
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.inputs.logits import Logits
from taylored.core.plan.options import Options, PerClass
from taylored.core.terms.elementary import nll
from taylored.core.terms.term import Term
from taylored.losses.long_tail.reweighting import weighted
from taylored.modules.fields.parameter import About
from taylored.modules.function import function_of
from taylored.modules.spec import Reference, spec_of
from taylored.modules.vocabulary import BackgroundLoss, Counts, SmoothedBackgroundCall, SmoothedLoss

__all__ = ["ECMLoss", "ecm_loss"]


def negatives_per_positive(counts: PerClass, num_samples: float | None) -> Tensor:
    """(N - n) / n of each class, between 1 / (N - 1) and N - 1, in float64."""
    present = present_counts(counts)
    total = present.sum() if num_samples is None else torch.full_like(present[0], num_samples)
    total = total.clamp_min(2.0)
    present = torch.minimum(present, total - 1.0)
    return (total - present) / present


def ecm_bias(ratio: Tensor) -> Tensor:
    """B with 2 (x + b) = 2 x + log(n / (N - n)) / 4, the optimal margin (theorem 3)."""
    return -ratio.log() / 8.0


def ecm_weight(ratio: Tensor) -> Tensor:
    """R log(1 + 1 / r) for r negatives per positive, which bounds the class's precision."""
    return ratio * torch.log1p(1.0 / ratio)


class ECMLoss(SmoothedLoss, BackgroundLoss):
    r"""ECM, :math:`w_j\,\mathrm{BCE}\big(\sigma(2 x + \tfrac14 \log \tfrac{n_j}{N - n_j})\big)`.

    A detector is judged by average precision, which a class's errors bound through two margins, of
    its positives and of its negatives. The best margins share what there is in proportion to the
    fourth roots of the two counts, so that rare classes get a wide margin on their positives.
    There is nothing to tune. Give the samples of the background as one more class, or N.

    Example:
        >>> import torch
        >>> loss = ECMLoss(counts=[90, 10])
        >>> loss(torch.zeros(2, 2), torch.tensor([0, 1]))
        tensor(0.4397)

    Inference: `predict` is yes where the logit is positive; `posterior` is the sigmoid with factor
    and margin, as in training.
    """

    link = "sigmoid"
    counts: Counts
    num_samples: Annotated[
        float | None,
        About(
            "what the counts are parts of; by default their sum. Raising it widens the margin on "
            "the positives of every class",
            within="(0, inf)",
        ),
    ] = None

    def derive(self) -> None:
        """Bias and weight of every class."""
        ratio = negatives_per_positive(self.counts, self.num_samples)
        self.logit_bias = nn.Buffer(ecm_bias(ratio), persistent=False)
        self.weights = nn.Buffer(ecm_weight(ratio), persistent=False)

    @property
    def term(self) -> Term:
        """Cross-entropy of the probability that the margins leave."""
        return nll

    def fill(self, options: Options) -> Options:
        """Bias, factor 2 and weights."""
        return weighted(options._replace(logit_bias=self.logit_bias, temperature=0.5), self.weights)


@function_of(ECMLoss)
def ecm_loss(
    input: Logits,
    target: Tensor,
    *,
    counts: PerClass,
    num_samples: float | None = None,
    **shared: Unpack[SmoothedBackgroundCall],
) -> Tensor:
    r"""ECM, :math:`w_j\,\mathrm{BCE}\big(\sigma(2 x + \tfrac14 \log \tfrac{n_j}{N - n_j})\big)`.

    Example:
        >>> import torch
        >>> ecm_loss(torch.zeros(2, 2), torch.tensor([0, 1]), counts=[90, 10])
        tensor(0.4397)
    """
    ratio = negatives_per_positive(counts, num_samples)
    options = Options(link="sigmoid", logit_bias=ecm_bias(ratio), temperature=0.5, **shared)
    return p_t_loss(input, target, nll, weighted(options, ecm_weight(ratio)))


SPEC = spec_of(
    "ecm",
    ECMLoss,
    ecm_loss,
    summary="binary cross-entropy with the margins and weights that bound average precision",
    formula=r"w_j\,\mathrm{BCE}(\sigma(2 x + \tfrac14 \log \tfrac{n_j}{N - n_j}), y),\quad "
    r"w_j = r_j \log(1 + 1 / r_j),\; r_j = (N - n_j) / n_j",
    reference=Reference(
        "Cho, Kraehenbuehl",
        "Long-tail Detection with Effective Class-Margins",
        "ECCV 2022",
        "theorems 2 and 3",
    ),
    differs={
        "janghyuncho/ECM-Loss": "equal with reduction='batch_mean' and the background's samples "
        "as the last of the counts; it forms two exponentials and their quotient, which is NaN for "
        "logits beyond 88 in float32",
    },
    examples=("ecm()", "ecm(num_samples=3000, label_smoothing=0.1)"),
)
