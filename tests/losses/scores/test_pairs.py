"""Losses of pairs, and multi-label margins, against torch's of the same name."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import taylored
from kit.tolerances import close
from taylored import catalog
from taylored.catalog.elsewhere import ELSEWHERE

G = torch.Generator().manual_seed(0)
A, B = torch.randn(2, 9, 4, generator=G, dtype=torch.float64)
SIGNS = 2 * torch.randint(2, (9, 4), generator=G) - 1
HOT = torch.randint(2, (9, 4), generator=G)


def test_torch_pairs() -> None:
    signs = SIGNS.double()
    expected = F.margin_ranking_loss(A, B, signs, margin=0.3)
    close(catalog.get("margin_ranking(margin=0.3)")(A, B, SIGNS), expected)
    expected = F.hinge_embedding_loss(A.abs(), signs, margin=0.7)
    close(catalog.get("hinge_embedding(margin=0.7)")(A.abs(), SIGNS), expected)
    expected = F.cosine_embedding_loss(A, B, signs[:, 0], margin=0.1)
    close(catalog.get("cosine_embedding(margin=0.1)")(A, B, SIGNS[:, 0]), expected)


def listed(hot: torch.Tensor) -> torch.Tensor:
    """True classes in a list that -1 ends, as torch wants them."""
    rows = [row.nonzero().flatten().tolist() for row in hot]
    return torch.tensor([row + [-1] * (hot.shape[1] - len(row)) for row in rows])


def test_torch_multi_label_margins() -> None:
    HOT[0], HOT[1] = 0, 1
    expected = F.multilabel_margin_loss(A, listed(HOT))
    close(catalog.get("multi_label_margin")(A, HOT), expected)
    expected = F.multilabel_soft_margin_loss(A, HOT.double())
    close(catalog.get("binary_cross_entropy")(A, HOT.double()), expected)
    far = A.float() + 2.0**20
    exact = catalog.get("multi_label_margin")(far.double(), HOT)
    close(catalog.get("multi_label_margin")(far, HOT), exact, 1e-6)


PAIRS = [
    ("margin_ranking", (A, B, SIGNS)),
    ("hinge_embedding", (A, SIGNS)),
    ("cosine_embedding", (A, B, SIGNS[:, 0])),
]


@pytest.mark.parametrize(("name", "given"), PAIRS, ids=[name for name, _ in PAIRS])
def test_what_pairs_refuse(name: str, given: tuple[torch.Tensor, ...]) -> None:
    """Other targets than -1 and 1, which torch takes, and shapes, which it spreads."""
    loss, (*tensors, target) = catalog.get(name), given
    for other in (target.float(), target.to(torch.int8)):
        assert torch.equal(loss(*tensors, other), loss(*tensors, target))
    with pytest.raises(ValueError, match=r"-1 or 1, got 0. Fix: use 2 \* target - 1"):
        loss(*tensors, (target + 1) // 2)
    with pytest.raises(ValueError, match=r"-1 or 1, got -100. Fix: leave positions out"):
        loss(*tensors, torch.full_like(target, -100))
    unweighted = torch.zeros(9, dtype=torch.float64)
    assert loss(*tensors, torch.full_like(target, -100), sample_weight=unweighted) == 0
    with pytest.raises(ValueError, match=r"`target` must be -1 or 1 per position, shape \("):
        loss(*tensors, target.unsqueeze(-1))
    if len(tensors) == 2:
        with pytest.raises(ValueError, match="`other` must be the shape of `input`"):
            loss(tensors[0], tensors[1][:1], target)
    with pytest.raises(ValueError, match="`target` must be a tensor of -1 and 1"):
        loss(*tensors, target.tolist())


def test_vectors_of_zeros_and_large_ones_have_a_cosine() -> None:
    short = torch.zeros(2, 3, requires_grad=True)
    far = torch.full((2, 3), 1e4, dtype=torch.float16)
    values = taylored.cosine_embedding_loss(
        torch.cat([short, far]), far.repeat(2, 1), torch.tensor([1, -1, 1, -1]), reduction="none"
    )
    close(values, torch.tensor([1.0, 0.0, 0.0, 1.0]), 1e-6, 1e-6)
    values.sum().backward()
    assert short.grad is not None
    assert short.grad.isfinite().all()


@pytest.mark.parametrize("name", ["log_loss", "MultiLabelSoftMarginLoss", "multi_margin", "mae"])
def test_names_that_are_known_elsewhere(name: str) -> None:
    with pytest.raises(ValueError, match=f"no loss is called '{name}'. Here that is"):
        catalog.get(name)


def test_what_is_said_instead_is_there() -> None:
    for name, meant in ELSEWHERE.items():
        assert name not in catalog.SPECS
        assert meant.split("(")[0].split(":")[0].split(",")[0] in catalog.SPECS, name
