"""Errors, names and pictures of the analyses."""

import matplotlib as mpl
import pytest
import torch
from torch import nn

from taylored import CrossEntropyLoss, analysis

mpl.use("agg")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: analysis.gradient_curves("focal"), r"`losses` must be a list"),
        (lambda: analysis.gradient_curves(["focal", "focal"]), "2 losses, 1 names"),
        (lambda: analysis.gradient_curves([3]), "catalogue texts, modules or functions"),
        (lambda: analysis.gradient_curves(["focal"], target=2), "`target` must be 0 or 1"),
        (lambda: analysis.gradient_curves(["focal"], points=1), "`points` must be at least 2"),
        (lambda: analysis.gradient_maps(["dice"], torch.zeros(2, 3), torch.zeros(2)), "positions"),
        (
            lambda: analysis.layer_gradients(
                CrossEntropyLoss(), torch.zeros(2, 3), torch.zeros(4, 5), torch.zeros(2).long()
            ),
            r"`features` must be \(N, 5\)",
        ),
        (
            lambda: analysis.layer_gradients(
                CrossEntropyLoss(), torch.zeros(2, 3), torch.zeros(4, 3), torch.zeros(3).long()
            ),
            r"`target`",
        ),
        (lambda: analysis.smoothed_optimum(1, 0.1), "`num_classes` must be at least 2"),
        (lambda: analysis.smoothed_optimum(3, 1.5), r"`smoothing` must be in \[0, 1\]"),
        (lambda: analysis.class_spread(torch.zeros(3, 2), torch.zeros(2)), "one class index"),
    ],
)
def test_errors_name_the_argument(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_losses_are_named_by_what_was_written():
    losses = ["focal", CrossEntropyLoss(label_smoothing=0.1), nn.BCEWithLogitsLoss()]
    curves = analysis.gradient_curves(losses, points=3)
    assert list(curves.values) == [
        "focal",
        "CrossEntropyLoss(label_smoothing=0.1)",
        "BCEWithLogitsLoss",
    ]
    named = analysis.gradient_curves({"mine": "focal"}, points=3)
    assert named.values["mine"].equal(curves.values["focal"])


def test_results_know_their_names():
    curves = analysis.gradient_curves(["focal"], points=3)
    with pytest.raises(ValueError, match="`name` must be one of 'focal'"):
        curves.peak("poly")
    with pytest.raises(ValueError, match="`above`"):
        curves.region("focal", above=2)
    maps = analysis.gradient_maps(["focal"], torch.zeros(1, 2, 2, 2), torch.zeros(1, 2, 2).long())
    with pytest.raises(ValueError, match="`name` must be one of 'focal'"):
        maps.share("poly", torch.zeros(1, 2, 2).bool())
    with pytest.raises(ValueError, match=r"a bool mask of shape \(1, 2, 2\)"):
        maps.share("focal", torch.zeros(1, 2, 2))


def test_a_loss_without_a_gradient_has_none():
    def errors(logits, target):
        return ((logits > 0) != (target > 0.5)).double()

    curves = analysis.gradient_curves([errors], points=5)
    assert curves.values["errors"].tolist() == [1, 1, 1, 0, 0]
    assert curves.gradients["errors"].tolist() == [0] * 5


def test_pictures_have_what_their_data_have():
    curves = analysis.gradient_curves(["focal", nn.BCEWithLogitsLoss()], points=5)
    figure, axes = curves.draw()
    assert [line.get_label() for line in axes.get_lines()[:2]] == ["focal", "BCEWithLogitsLoss"]
    assert axes.get_lines()[0].get_ydata().tolist() == curves.gradients["focal"].tolist()
    assert curves.draw(axes) == (figure, axes)
    mask = torch.tensor([[[0, 1], [1, 0]]])
    maps = analysis.gradient_maps(["focal", "dice"], torch.zeros(1, 2, 2, 2), mask)
    figure, axes = maps.draw()
    assert [each.get_title() for each in axes] == ["focal", "dice"]
    assert axes[1].get_images()[0].get_array().tolist() == maps.sizes["dice"][0].tolist()
    layer = analysis.layer_gradients(
        CrossEntropyLoss(), torch.ones(2, 1), torch.zeros(3, 1), torch.tensor([0, 1])
    )
    _, axes = layer.draw()
    assert [bar.get_height() for bar in axes.patches[:3]] == layer.own.tolist()


def test_analyses_leave_what_they_are_given_alone():
    features = torch.ones(2, 1, requires_grad=True)
    weight = nn.Parameter(torch.zeros(3, 1))
    with torch.no_grad():
        analysis.layer_gradients(CrossEntropyLoss(), features, weight, torch.tensor([0, 1]))
    assert features.grad is None
    assert weight.grad is None
