"""The single-label form of the asymmetric loss against its published code."""

from __future__ import annotations

import pytest

import taylored
from kit.cases import COUNTS
from kit.elements import CLASSES, agree
from taylored import AsymmetricSingleLabelLoss, catalog

timm_loss = pytest.importorskip("timm.loss")


@pytest.mark.parametrize(("positive", "negative", "eps"), [(0, 4, 0.1), (1, 4, 0.1), (2, 1, 0.0)])
def test_single_label_form_is_timm_s(positive: float, negative: float, eps: float) -> None:
    loss = AsymmetricSingleLabelLoss(
        gamma_positive=positive, gamma_negative=negative, label_smoothing=eps
    )
    peer = timm_loss.AsymmetricLossSingleLabel(positive, negative, eps)
    agree(lambda z: loss(z, CLASSES), lambda z: peer(z, CLASSES))


def test_single_label_form_without_smoothing_is_focal_loss() -> None:
    loss = AsymmetricSingleLabelLoss(gamma_positive=0.5, label_smoothing=0.0)
    agree(
        lambda z: loss(z, CLASSES),
        lambda z: taylored.focal_loss(z, CLASSES, gamma=0.5),
    )


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("asymmetric_single_label(gamma_positive=-1)", "gamma_positive"),
        ("asymmetric_single_label(label_smoothing=-1)", "label_smoothing"),
    ],
)
def test_parameters_out_of_their_domain(text: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*got .*Fix: "):
        catalog.get(text, counts=COUNTS)
