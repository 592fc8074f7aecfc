"""X-rays along a training, as Python and as a command."""

import json

import matplotlib as mpl
import pytest
from typer.testing import CliRunner

from taylored.cli.app import app
from taylored.lab.data import GROUPS
from taylored.lab.errors import UsageError
from taylored.xray import xray_training

SMALL = {"data": "digits-lt", "model": "linear", "epochs": 2}


@pytest.fixture(scope="module")
def found():
    return xray_training(
        ["cross_entropy", "balanced_softmax"], **SMALL, moments=(0.1, 0.6, 1.0), learning_rate=0.02
    )


def counted(outcome):
    """How many samples the curve of an outcome has."""
    return sum(each.count for bins in outcome.curve.groups.values() for each in bins if each)


def test_moments_of_every_loss(found):
    assert set(found.moments) == {"cross_entropy", "balanced_softmax"}
    for moments in found.moments.values():
        assert [each.progress for each in moments] == [0.1, 0.6, 1.0]
        assert moments[-1].validation_loss < moments[0].validation_loss
        for each in moments:
            (truth,) = each.outcomes.values()
            assert set(truth.by_group) == set(GROUPS)
            assert counted(truth) == sum(found.counts)
            for number, effect in enumerate(each.effects):
                assert effect == pytest.approx(sum(c[number] for c in truth.by_class))


def test_validation_wants_the_tail_more_probable_where_cross_entropy_has_left_it(found):
    bins = found.moments["cross_entropy"][-1].outcomes["truth"].curve.groups["tail"]
    assert sum(each.total for each in bins if each) < 0


def test_a_look_leaves_the_training_as_it_is(found):
    (alone,) = xray_training(
        ["balanced_softmax"], **SMALL, moments=(1.0,), learning_rate=0.02
    ).moments["balanced_softmax"]
    assert alone == found.moments["balanced_softmax"][-1]


def test_json_and_picture(found):
    mpl.use("agg")
    data = json.loads(found.to_json())
    assert list(data["losses"]) == ["cross_entropy", "balanced_softmax"]
    (truth,) = data["losses"]["cross_entropy"][0]["outcomes"].values()
    assert len(truth["curve"]["groups"]["tail"]) == 12
    figure, axes = found.draw()
    assert axes.shape == (2, 3)
    assert {line.get_label() for line in axes[0, 0].get_lines()} >= set(GROUPS)
    mpl.pyplot.close(figure)


@pytest.mark.parametrize(
    ("changed", "hint"),
    [
        ({"losses": []}, "losses"),
        ({"losses": ["focl"]}, "Did you mean 'focal'"),
        ({"losses": ["binary_cross_entropy", "cross_entropy"]}, "Take two X-rays"),
        ({"losses": ["cross_entropy(label_smoothing=0.1)"]}, "label_smoothing"),
        ({"moments": (0.0, 1.0)}, "moments"),
        ({"moments": (1.0, 0.5)}, "moments"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": -1.0}, "lr"),
        ({"model": "resnet"}, "model"),
    ],
)
def test_mistakes(changed, hint):
    with pytest.raises(UsageError, match=hint):
        xray_training(**{"losses": ["cross_entropy"], **SMALL, **changed})


def test_the_command(tmp_path):
    small = ("--data", "digits-lt", "--model", "linear", "--epochs", "1", "--at", "1")
    result = CliRunner().invoke(app, ("xray", "poly(epsilon=2)", *small, "--json"))
    assert result.exit_code == 0, result.stderr
    assert list(json.loads(result.stdout)["losses"]) == ["poly(epsilon=2)"]
    file = tmp_path / "x.svg"
    result = CliRunner().invoke(app, ("xray", "focal", *small, "--svg", str(file)))
    assert result.exit_code == 0, result.stderr
    assert "more q^2" in result.stdout
    assert "<svg" in file.read_text()
    result = CliRunner().invoke(app, ("xray", "dice", "--data", "digits-lt", "--lr", "0"))
    assert result.exit_code == 2
    assert "lr must be" in result.stderr
