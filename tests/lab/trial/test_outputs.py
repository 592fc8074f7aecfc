"""What is kept of a model: the scores, and the probabilities that the loss makes of them."""

import numpy as np
import pytest
import torch
from torch import nn

from taylored.lab.trial.build_loss import build_loss
from taylored.lab.trial.models import build_model
from taylored.lab.trial.outputs import log_probabilities, outputs_of, scores_of

COUNTS = (90, 9, 1)
RAW = 2 * torch.randn(50, 3, generator=torch.Generator().manual_seed(0))


def told(text: str, raw: torch.Tensor = RAW) -> torch.Tensor:
    return log_probabilities(build_loss(text, COUNTS, 100), "single-label", raw)


@pytest.mark.parametrize(
    ("text", "prior"),
    [("balanced_softmax", 1.0), ("logit_adjusted(tau=0.5)", 0.5), ("cross_entropy", 0.0)],
)
def test_what_a_loss_does_to_the_prior_is_undone(text: str, prior: float) -> None:
    shares = torch.tensor(COUNTS) / 100
    expected = torch.log_softmax(RAW + prior * shares.log(), dim=1)
    torch.testing.assert_close(told(text), expected)
    # The class is predicted by the outputs as the paper reads them.
    assert torch.equal(scores_of(build_loss(text, COUNTS), RAW), RAW)


def test_a_focal_loss_tells_its_posterior() -> None:
    found = told("focal(gamma=2)")
    assert not torch.allclose(found, torch.log_softmax(RAW, dim=1), atol=1e-2)
    # Focal loss is less certain than it should be, and never changes which class is first.
    assert torch.equal(found.argmax(1), RAW.argmax(1))
    assert (found.max(1).values >= torch.log_softmax(RAW, dim=1).max(1).values - 1e-6).all()


@pytest.mark.parametrize("text", ["sigmoid_eql", "cross_entropy", "deferred(ldam)", "ghm"])
def test_probabilities_sum_to_one_and_stay_finite(text: str) -> None:
    hard = torch.tensor([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4], [0.0, 0.0, 0.0]])
    for raw in (RAW, hard):
        found = told(text, raw)
        assert torch.isfinite(found).all()
        torch.testing.assert_close(found.exp().sum(1), torch.ones(len(raw)))


def test_independent_scores_are_scaled_to_one_class() -> None:
    loss = build_loss("binary_cross_entropy", COUNTS, 100)
    found = log_probabilities(loss, "single-label", RAW)
    p = RAW.sigmoid()
    torch.testing.assert_close(found.exp(), p / p.sum(1, keepdim=True))
    labels = log_probabilities(loss, "multi-label", RAW)
    torch.testing.assert_close(labels, nn.functional.logsigmoid(RAW))


def test_a_loss_of_the_user_has_the_softmax_of_its_scores() -> None:
    def own(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(logits, target)

    assert torch.equal(log_probabilities(own, "single-label", RAW), torch.log_softmax(RAW, dim=1))
    kept = outputs_of(own, "single-label", nn.Sequential(nn.ReLU()), RAW)
    assert kept.log_p is None
    assert kept.head is None


@pytest.mark.parametrize("text", ["balanced_softmax", "cross_entropy"])
def test_probabilities_are_kept_only_where_the_scores_do_not_tell(text: str) -> None:
    loss, model = build_loss(text, COUNTS), build_model("mlp", (4,), 3)
    kept = outputs_of(loss, "single-label", model, RAW)
    torch.testing.assert_close(torch.from_numpy(kept.score_array), RAW, rtol=1e-3, atol=4e-3)
    if text == "cross_entropy":
        assert kept.log_p is None
    else:
        found = torch.from_numpy(kept.log_p_array)
        torch.testing.assert_close(found, told(text), rtol=1e-3, atol=4e-3)
    assert kept.head.norm == pytest.approx(model[-1].weight.double().norm(dim=1).tolist())
    assert kept.head.bias == pytest.approx(model[-1].bias.tolist())


def test_half_precision_keeps_the_order_of_the_best_classes() -> None:
    """One float32 step below the largest score is not a tie, wherever the scores are."""
    top = torch.tensor([[1.0], [-3.0], [900.0], [1e4], [-1e-3]])
    below = torch.nextafter(top, torch.tensor(-torch.inf))
    scores = torch.cat([below, top, top - 1e5], dim=1)
    kept = outputs_of(lambda z, y: z.sum(), "single-label", nn.ReLU(), scores).score_array
    assert kept.argmax(axis=1).tolist() == [1] * 5
    assert (kept[:, 0] < kept[:, 1]).all()
    assert np.array_equal(kept[:, 1:2], top.numpy())
    assert np.isfinite(kept).all()


def test_labels_are_ranked_over_all_rows_in_single_precision() -> None:
    kept = outputs_of(lambda z, y: z.sum(), "multi-label", nn.ReLU(), RAW)
    assert np.array_equal(kept.score_array, RAW.numpy())
