"""X-rays along a training on many labels, part by part, as Python and as a command."""

import json

import matplotlib as mpl
import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F
from typer.testing import CliRunner

from taylored import catalog
from taylored.cli.app import app
from taylored.lab.data import GROUPS
from taylored.lab.errors import UsageError
from taylored.xray import watched, xray, xray_training
from taylored.xray.as_function import as_function
from taylored.xray.judges import class_mean, label_mean
from taylored.xray.looks import Step
from taylored.xray.moment import moment_of

ROWS, LABELS = 240, 9
LOSSES = ("binary_cross_entropy", "asymmetric")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Images whose labels have from 3 to 100 positives."""
    generator = np.random.default_rng(0)
    images = generator.normal(size=(ROWS, 1, 8, 8)).astype("float32")
    scores = images.reshape(ROWS, -1)[:, :LABELS] + generator.normal(size=(ROWS, LABELS)) / 2
    positives = np.geomspace(100, 6, LABELS).astype(int)
    order = (-scores).argsort(axis=0).argsort(axis=0)
    path = tmp_path_factory.mktemp("xray") / "labels.npz"
    np.savez(path, features=images, labels=(order < positives).astype("int8"))
    return path


@pytest.fixture(scope="module")
def found(data):
    return xray_training(LOSSES, data, model="grid_cnn", epochs=2, moments=(0.2, 0.6, 1.0))


def test_positives_and_negatives_are_kept_apart(found):
    assert tuple(found.moments) == LOSSES
    for moments in found.moments.values():
        assert [each.progress for each in moments] == [0.2, 0.6, 1.0]
        for moment in moments:
            assert list(moment.outcomes) == ["positives", "negatives"]
            counts = []
            for outcome in moment.outcomes.values():
                assert set(outcome.by_group) == set(GROUPS)
                bins = outcome.curve.groups.values()
                counts.append(sum(each.count for row in bins for each in row if each))
                for number in range(4):
                    whole = sum(row[number] for row in outcome.by_class)
                    groups = sum(row[number] for row in outcome.by_group.values())
                    assert whole == pytest.approx(groups)
            assert counts[0] == sum(found.counts)
            assert sum(counts) % LABELS == 0


def test_a_look_leaves_a_training_with_batch_statistics_as_it_is(found, data):
    """The moment at the end is the same whether or not somebody looked before."""
    alone = xray_training(LOSSES[:1], data, model="grid_cnn", epochs=2, moments=(1.0,))
    assert alone.moments[LOSSES[0]][-1] == found.moments[LOSSES[0]][-1]


def test_the_usual_losses_of_the_data(data):
    seen = xray_training(data=data, model="linear", epochs=1, moments=(1.0,))
    assert tuple(seen.moments) == ("binary_cross_entropy", "asymmetric")


def test_one_class_per_row_has_negatives_too():
    seen = xray_training(
        ["sigmoid_eql"], "digits-lt", model="linear", epochs=1, moments=(1.0,)
    ).moments["sigmoid_eql"][0]
    positives, negatives = (
        sum(each.count for row in outcome.curve.groups.values() for each in row if each)
        for outcome in seen.outcomes.values()
    )
    assert negatives == 9 * positives


def test_json_and_picture(found):
    mpl.use("agg")
    read = json.loads(found.to_json())
    assert read["task"] == "multi-label"
    assert "labels" in read["group_rule"]
    assert set(read["losses"]["asymmetric"][0]["outcomes"]) == {"positives", "negatives"}
    figure, axes = found.draw()
    assert axes.shape == (4, 3)
    assert axes[0, 0].get_ylim() == axes[2, 0].get_ylim() != axes[1, 0].get_ylim()
    low, high = axes[1, 0].get_ylim()
    for row in (1, 3):
        drawn = [y for line in axes[row, 0].get_lines() for y in line.get_ydata()]
        assert low <= min(drawn)
        assert max(drawn) <= high
    mpl.pyplot.close(figure)


def test_the_command(data):
    given = ("xray", "binary_cross_entropy", "--data", str(data), "--model", "linear", "--at", "1")
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.stderr
    assert "Wanted change of p of the positives" in result.stdout
    assert "Wanted change of p of the negatives" in result.stdout


def test_losses_in_which_labels_compete_are_refused(data):
    with pytest.raises(UsageError, match="Use binary_cross_entropy"):
        xray_training(["cross_entropy"], data)


@pytest.mark.parametrize(
    ("base", "multi"),
    [
        ("binary_cross_entropy(pos_weight=[3, 1, 0.2, 2], ignore_index=-1)", True),
        ('focal(gamma=2, link="sigmoid", reduction="sum", ignore_index=-1)', True),
        ("cross_entropy(weight=[1, 2, 0.5, 3], ignore_index=-1)", False),
        ('poly(epsilon=2, reduction="batch_mean", ignore_index=-1)', False),
    ],
)
def test_a_batch_in_parts_is_the_batch(base, multi):
    torch.manual_seed(0)
    model = nn.Linear(6, 4).double()
    inputs = torch.randn(21, 6).double()
    target = (torch.rand(21, 4) < 0.3).long() if multi else torch.randint(4, (21,))
    target[torch.rand(target.shape) < 0.2] = -1
    judged = torch.randn(8, 6).double(), (torch.rand(8, 4) < 0.4) if multi else torch.arange(8) % 4
    judge = (label_mean if multi else class_mean)(judged[1], 4)
    whole = xray(
        model, base, (inputs, target), judged, learning_rate=0.3, validation_loss=judge,
        groups=("head", "head", "medium", "tail"),
    )  # fmt: skip
    function, at = as_function(model, None)
    loss = catalog.get(base)
    step = Step(function, at, loss, loss.link, judge, 0.3, dict.fromkeys(at, 1.0), (model, loss))
    parts = step.looks(
        list(zip(inputs.split(5), target.split(5), strict=True)),
        list(zip(judged[0].split(3), judged[1].split(3), strict=True)),
        whole.groups,
    )
    expected, found = moment_of([whole], 1.0, 0.0), moment_of(parts, 1.0, 0.0)
    assert found.steepness == pytest.approx(expected.steepness)
    assert found.effects == pytest.approx(expected.effects, rel=1e-9)
    for name, outcome in expected.outcomes.items():
        torch.testing.assert_close(
            torch.tensor(found.outcomes[name].by_class), torch.tensor(outcome.by_class)
        )
        for group, bins in outcome.curve.groups.items():
            for each, other in zip(bins, found.outcomes[name].curve.groups[group], strict=True):
                assert (each is None) == (other is None)
                if each is not None:
                    assert vars(other) == pytest.approx(vars(each), nan_ok=True)


def test_labels_count_alike_in_the_judge():
    torch.manual_seed(0)
    logits, target = torch.randn(50, 5), (torch.rand(50, 5) < 0.2).float()
    target[:, 3] = 0.0
    costs = F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(0)
    there = target.sum(0) > 0
    expected = (costs[there] / target.sum(0)[there]).mean()
    torch.testing.assert_close(label_mean(target, 5)(logits, target), expected)
    classes = torch.arange(50) % 4
    hot = F.one_hot(classes, 5).float()
    torch.testing.assert_close(
        label_mean(classes, 5)(logits, classes), label_mean(hot, 5)(logits, hot)
    )


def test_no_piece_has_more_logits_than_the_memory_is_for(monkeypatch, data):
    monkeypatch.setattr(watched, "_ELEMENTS", 20 * LABELS)
    sizes = []

    class Seen(nn.Linear):
        def forward(self, x):
            sizes.append(len(x))
            return super().forward(x)

    monkeypatch.setattr(nn, "Linear", Seen)
    xray_training(LOSSES[:1], data, model="linear", epochs=1, moments=(1.0,))
    assert max(sizes) <= 20
    assert len(sizes) > 3 * 144 / 20
