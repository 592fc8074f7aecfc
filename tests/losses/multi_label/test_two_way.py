"""The two-way loss against timm's."""

from __future__ import annotations

import pytest
import torch

from kit.elements import HARD, LOGITS, agree
from taylored import TwoWayLoss

timm_loss = pytest.importorskip("timm.loss")


@pytest.mark.parametrize(("positive", "negative"), [(4.0, 1.0), (1.0, 2.0)])
def test_it_is_timm_s(positive: float, negative: float) -> None:
    target = HARD.clone()
    target[0], target[1], target[:, 2] = 0, 1, 0  # no truth, nothing else, a class that is absent
    ours = TwoWayLoss(positive_temperature=positive, negative_temperature=negative)
    theirs = timm_loss.TwoWayLoss(tp=positive, tn=negative)
    agree(lambda z: ours(z, target), lambda z: theirs(z, target), rtol=1e-5)  # theirs is float32


def test_where_timm_s_masks_are_logits() -> None:
    logits = torch.tensor([[-30000.0, -30002.0]])
    target = torch.tensor([[1.0, 0.0]])
    found = TwoWayLoss(positive_temperature=1.0)(logits, target)
    torch.testing.assert_close(found, torch.nn.functional.softplus(torch.tensor(-2.0)))
    assert not torch.isclose(timm_loss.TwoWayLoss(tp=1.0)(logits, target), found)


def test_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"^`reduction` must be .*mean.*sum.* Fix: "):
        TwoWayLoss(reduction="none")(LOGITS, HARD)
