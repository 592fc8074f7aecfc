"""Losses of ranks: what they tell, the slip of K outputs for K - 1, and the authors' numbers."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import taylored
from kit.tolerances import close
from taylored import catalog

G = torch.Generator().manual_seed(0)
ETA = torch.tensor([0.1, 0.35, 0.05, 0.3, 0.2], dtype=torch.float64)
OUTPUTS, RANKS = torch.randn(30, 4, generator=G, dtype=torch.float64), torch.arange(30) % 5
RISING = -OUTPUTS.sort(dim=1, descending=False).values
TEXTS = ["corn(num_classes=5)", "coral(num_classes=5)", "emd()"]


def outputs_of(text: str) -> torch.Tensor:
    """Outputs that some distribution of ranks has."""
    five = torch.cat([OUTPUTS, RISING[:, :1]], 1)
    return {"corn": OUTPUTS, "coral": RISING, "emd": five}[catalog.spec(text).name]


@pytest.mark.parametrize("text", TEXTS)
def test_the_minimum_gives_the_probabilities_back(text: str) -> None:
    """Where eta is the posterior of outputs, the expected loss has no slope there."""
    loss = catalog.get(text)
    z = outputs_of(text).clone().requires_grad_()
    eta = loss.posterior(z.detach())
    close(eta.sum(-1), torch.ones(30, dtype=torch.float64))
    assert (eta >= 0).all()
    loss.reduction = "none"
    risk = sum(eta[:, k] * loss(z, torch.full((30,), k)) for k in range(5))
    (slope,) = torch.autograd.grad(risk.sum(), z)
    close(slope, torch.zeros_like(slope), 0, 1e-12)
    median = (eta.cumsum(-1)[:, :-1] < 0.5).sum(-1)
    assert torch.equal(loss.predict(z.detach()), median)


def test_corn_is_the_likelihood_of_its_posterior() -> None:
    loss = taylored.CORNLoss(num_classes=5, reduction="none")
    p = loss.posterior(OUTPUTS).gather(1, RANKS.unsqueeze(1)).squeeze(1)
    close(loss(OUTPUTS, RANKS), -torch.log(p))


def corn_of_the_authors(logits: torch.Tensor, ranks: torch.Tensor, classes: int) -> torch.Tensor:
    """coral-pytorch, losses.py."""
    total, number = logits.new_zeros(()), 0
    for k in range(classes - 1):
        asked = ranks > k - 1
        above, z = (ranks[asked] > k).double(), logits[asked, k]
        number += len(z)
        total -= (F.logsigmoid(z) * above + (F.logsigmoid(z) - z) * (1 - above)).sum()
    return total / number


def test_the_authors_numbers() -> None:
    asked = (RANKS + 1).clamp_max(4).sum()
    found = taylored.corn_loss(OUTPUTS, RANKS, num_classes=5, normalizer=asked)
    close(found, corn_of_the_authors(OUTPUTS, RANKS, 5))
    levels = (RANKS.unsqueeze(1) > torch.arange(4)).double()
    terms = F.logsigmoid(OUTPUTS) * levels + (F.logsigmoid(OUTPUTS) - OUTPUTS) * (1 - levels)
    close(taylored.coral_loss(OUTPUTS, RANKS, num_classes=5), -terms.sum(1).mean())


@pytest.mark.parametrize("text", TEXTS[:2])
def test_one_output_per_rank_is_refused(text: str) -> None:
    """With K outputs every target fits, the last output learns nothing, and nothing says so."""
    loss, slip = catalog.get(text), torch.randn(30, 5)
    message = (
        r"`input` must be 4 numbers .* between 5 ranks, got shape \(30, 5\). Fix: let the last"
    )
    with pytest.raises(ValueError, match=message):
        loss(slip, RANKS)
    with pytest.raises(ValueError, match="`outputs` must be 4 numbers"):
        loss.predict(slip)
    with pytest.raises(ValueError, match=r"Fix: num_classes=4"):
        loss(slip[:, :3], RANKS)
    with pytest.raises(ValueError, match=r"ranks in 0..4, got 5"):
        loss(slip[:, :4], RANKS + 1)
    with pytest.raises(ValueError, match=r"whole numbers from 0, got torch.float32"):
        loss(slip[:, :4], RANKS.float())
    with pytest.raises(ValueError, match=r"needs the number of classes"):
        catalog.get(catalog.spec(text).name)


def test_one_output_per_threshold_is_refused() -> None:
    with pytest.raises(ValueError, match=r"ranks in 0..3, .* K - 1 outputs are those of `corn`"):
        taylored.emd_loss(torch.randn(30, 4), RANKS)
    with pytest.raises(ValueError, match=r"sum to 1 over the last axis, got a sum of 2"):
        taylored.emd_loss(torch.randn(1, 4), torch.full((1, 4), 0.5))
    with pytest.raises(ValueError, match=r"got -0.5"):
        taylored.emd_loss(torch.randn(1, 2), torch.tensor([[1.5, -0.5]]))


def test_distributions_as_targets() -> None:
    z = outputs_of("emd").requires_grad_()
    truth = F.one_hot(RANKS, 5).double()
    for distance in ("squared", "absolute"):
        loss = taylored.EMDLoss(distance=distance)
        close(loss(z, truth), loss(z, RANKS))
    soft = torch.randn(30, 5, generator=G, dtype=torch.float64).softmax(-1)
    below, truth = z.softmax(-1).cumsum(-1), soft.cumsum(-1)
    close(taylored.emd_loss(z, soft), ((below - truth) ** 2).sum(-1).mean())
    assert taylored.emd_loss(soft.log(), soft) < 1e-24
    with pytest.raises(taylored.NoPosteriorError, match="median rank"):
        taylored.EMDLoss(distance="absolute").posterior(z)


def test_emd_keeps_its_digits_near_the_truth() -> None:
    z = torch.tensor([[0.0, 40.0, 0.0]])
    exact = taylored.emd_loss(z.double(), torch.tensor([1]))
    close(taylored.emd_loss(z, torch.tensor([1])), exact, 1e-5, 0)
    assert exact > 0


def test_far_outputs_are_finite() -> None:
    far = torch.tensor([[1e4, -1e4, 1e4, -1e4]], requires_grad=True)
    for loss in (taylored.CORNLoss(num_classes=5), taylored.CORALLoss(num_classes=5)):
        for rank in range(5):
            value = loss(far, torch.tensor([rank]))
            (slope,) = torch.autograd.grad(value, far)
            assert value.isfinite()
            assert slope.isfinite().all()


def test_outputs_that_rise_belong_to_no_ranks() -> None:
    loss = taylored.CORALLoss(num_classes=3)
    assert loss.posterior(torch.tensor([[0.0, 1.0]])).isnan().all()
    assert loss.predict(torch.tensor([[-1.0, 1.0]])) == 1


def test_coral_with_its_layer_learns_ranks_in_order() -> None:
    torch.manual_seed(0)
    x = torch.randn(400, 3)
    ranks = torch.bucketize(x[:, 0] + 0.3 * torch.randn(400), torch.tensor([-1.0, 0.0, 1.0]))
    layer, loss = taylored.RankClassifier(3, 4), taylored.CORALLoss(num_classes=4)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(150):
        optimizer.zero_grad()
        loss(layer(x), ranks).backward()
        optimizer.step()
    outputs = layer(x).detach()
    assert loss.posterior(outputs).isfinite().all()
    assert (loss.predict(outputs) - ranks).abs().double().mean() < 0.3
