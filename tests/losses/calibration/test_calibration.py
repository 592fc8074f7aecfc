"""What the calibration losses are made of, against the formulas of other losses and codes."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from kit.elements import CLASSES, LOGITS, agree
from taylored import CrossEntropyLoss, LogitNormLoss, MaxSupLoss, MbLSLoss, ZLoss, catalog


def test_label_smoothing_is_cross_entropy_and_a_pull_on_the_truth() -> None:
    """The decomposition that MaxSup starts from: it puts the largest in the place of the truth."""
    smoothed = F.cross_entropy(LOGITS, CLASSES, label_smoothing=0.1, reduction="none")
    plain = F.cross_entropy(LOGITS, CLASSES, reduction="none")
    own = LOGITS.gather(1, CLASSES.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(smoothed, plain + 0.1 * (own - LOGITS.mean(1)))
    held = MaxSupLoss(strength=0.1, reduction="none")(LOGITS, CLASSES)
    torch.testing.assert_close(held, plain + 0.1 * (LOGITS.amax(1) - LOGITS.mean(1)))
    right = LOGITS.argmax(1)
    torch.testing.assert_close(
        MaxSupLoss(strength=0.1)(LOGITS, right), F.cross_entropy(LOGITS, right, label_smoothing=0.1)
    )


def test_the_margin_is_free() -> None:
    """Logits that lie apart by less than the margin have cross-entropy's loss and gradient."""
    loss = MbLSLoss(margin=float(2 * LOGITS.abs().max() + 1))
    agree(lambda z: loss(z, CLASSES), lambda z: F.cross_entropy(z, CLASSES))


def test_logit_norm_is_its_authors_code() -> None:
    def theirs(z: torch.Tensor) -> torch.Tensor:
        norms = torch.norm(z, p=2, dim=-1, keepdim=True) + 1e-7
        return F.cross_entropy(torch.div(z, norms) / 0.04, CLASSES)

    agree(lambda z: LogitNormLoss()(z, CLASSES), theirs, rtol=1e-5)


def test_logit_norm_leaves_a_masked_class_out() -> None:
    kept = [0, 1, 3, 4]
    target = torch.arange(9) % 4
    masked = LOGITS.index_fill(1, torch.tensor([2]), -torch.inf)
    found = LogitNormLoss()(masked, torch.tensor(kept)[target])
    torch.testing.assert_close(found, LogitNormLoss()(LOGITS[:, kept], target))


def test_logits_without_length_have_a_finite_gradient() -> None:
    z = torch.zeros(1, 3, dtype=torch.float16, requires_grad=True)
    LogitNormLoss()(z, torch.tensor([0])).backward()
    assert z.grad.isfinite().all()


@pytest.mark.parametrize("factor", [1e-4, 0.5])
def test_z_loss_is_a_summand(factor: float) -> None:
    target = CLASSES.clone()
    target[0] = -100
    loss = CrossEntropyLoss() + factor * ZLoss()
    kept = target != -100
    expected = F.cross_entropy(LOGITS, target) + factor * (
        LOGITS[kept].logsumexp(1).square().mean()
    )
    torch.testing.assert_close(loss(LOGITS, target), expected)
    again = catalog.get(f"cross_entropy + {factor} * z_loss")
    torch.testing.assert_close(again(LOGITS, target), expected)


def test_dual_focal_is_its_authors_code() -> None:
    gamma = 5

    def theirs(z: torch.Tensor) -> torch.Tensor:
        logp_k = F.log_softmax(z, dim=1)
        p = logp_k.exp()
        logp_k = logp_k.gather(1, CLASSES.unsqueeze(1)).view(-1)
        p_k = logp_k.exp()
        below = torch.lt(p, p_k.reshape(-1, 1)) * 1
        p_j = torch.topk(below * p, 1)[0].squeeze()
        return (-1 * (1 - p_k + p_j) ** gamma * logp_k).sum()

    loss = catalog.get('dual_focal(reduction="sum")')
    agree(lambda z: loss(z, CLASSES), theirs)


@pytest.mark.parametrize("text", ["mbls(strength=5e-324)", "max_sup(strength=5e-324)"])
def test_a_strength_that_is_nothing_in_this_dtype_makes_no_nan(text: str) -> None:
    """Logits may lie further apart than float32 can say: that is infinite, and 0 times it NaN."""
    logits = torch.tensor([[3e38, -3e38, 0.0]], requires_grad=True)
    loss = catalog.get(text)(logits, torch.tensor([0]))
    (gradient,) = torch.autograd.grad(loss, logits)
    assert loss == 0.0
    assert not gradient.any()
