"""A loss that is learned: its derivatives, its text, and that it learns what it should."""

import json
import math

import matplotlib as mpl
import pytest
import torch
from torch import nn
from typer.testing import CliRunner

from taylored import catalog
from taylored.catalog.certificates import certify
from taylored.cli.app import app
from taylored.lab.data import TEST
from taylored.lab.errors import UsageError
from taylored.tailor import Numbers, tailor
from taylored.tailor.steer import steered, tailored_loss
from taylored.xray.as_function import as_function, derivative, gradient

COUNTS = [40, 12, 5, 2]
PRIOR = (torch.tensor(COUNTS).double() / sum(COUNTS)).log()
AT = ([0.3, -0.4, 0.2], 0.6, 1.3)


def leaves(epsilon, tau, temperature):
    return tuple(
        torch.tensor(each, dtype=torch.float64, requires_grad=True)
        for each in (epsilon, tau, temperature)
    )


@pytest.fixture
def drawn():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 4)).double()
    return model, torch.randn(20, 6).double(), torch.randint(4, (20,)), torch.randint(4, (20,))


def test_the_loss_is_that_of_the_catalogue():
    torch.manual_seed(0)
    logits, target = torch.randn(9, 4).double(), torch.randint(4, (9,))
    numbers = Numbers((0.3, -0.4, 0.2), 0.6, 1.3)
    expected = catalog.get(numbers.text(), counts=COUNTS)(logits, target)
    found = tailored_loss(logits, target, PRIOR, leaves(*AT))
    assert found.item() == pytest.approx(expected.item(), rel=1e-12)


def test_steering_against_differences_of_steps_of_one_length(drawn):
    """The scale is taken out: the gradient on the logits has the same length in every step."""
    model, inputs, target, other = drawn
    function, at = as_function(model, None)

    def judged(found):
        return nn.functional.cross_entropy(function(found, inputs), other)

    logits, direction = derivative(lambda p: function(p, inputs), at, gradient(judged, at))
    numbers = leaves(*AT)
    found = steered(logits, direction, target, PRIOR, numbers)
    rate = 1e-5

    def after(epsilon, tau, temperature):
        given = leaves(epsilon, tau, temperature)
        leaf = logits.clone().requires_grad_()
        slope = torch.autograd.grad(tailored_loss(leaf, target, PRIOR, given), leaf)[0]
        step = gradient(
            lambda p: tailored_loss(function(p, inputs), target, PRIOR, given) / slope.norm(), at
        )
        return judged({name: each - rate * step[name] for name, each in at.items()}).item()

    def moved(place, width):
        flat = [*AT[0], *AT[1:]]
        flat[place] += width
        return after(flat[:3], *flat[3:])

    for place, each in enumerate([*found[0].tolist(), float(found[1]), float(found[2])]):
        expected = (moved(place, 1e-2) - moved(place, -1e-2)) / 2e-2 / rate
        assert each == pytest.approx(expected, rel=2e-3)


def test_the_scale_of_the_loss_moves_nothing(drawn):
    """All coefficients of a power alone: more of the same is only a longer step."""
    _, inputs, target, _ = drawn
    logits, direction = inputs[:, :4].contiguous(), torch.randn(20, 4).double()
    far = leaves([1e9, 0.0], 0.5, 1.2)
    scale = abs(float(direction.norm()))
    assert abs(float(steered(logits, direction, target, PRIOR, far)[0][0])) < 1e-7 * scale


@pytest.mark.parametrize(
    "epsilon", [(-1.0, -0.5, -1 / 3, -0.25, -0.2, -1 / 6, -1 / 7, -1 / 8), (-3.0, 0.12345, -0.7)]
)
def test_every_text_is_certified_to_fall(epsilon, recwarn):
    text = Numbers(epsilon, -0.4, 0.01).projected().text()
    loss = catalog.get(text, counts=COUNTS)
    assert repr(loss.inner).startswith("PolyLoss")
    assert catalog.get(repr(loss)).tau == loss.tau == 0
    assert not recwarn.list  # the loss would warn where it rises
    assert all(each >= -1 / j for j, each in enumerate(loss.inner.epsilon, start=1))
    assert certify(loss) is not None


@pytest.fixture(scope="module")
def learned():
    return tailor("digits-lt", model="linear", epochs=15, learning_rate=0.02, powers=3)


def test_a_long_tail_teaches_the_prior(learned):
    """Cross-entropy is where it starts; the mean over the classes wants the prior off."""
    assert learned.way[0].tau < 0.1
    assert learned.numbers.tau > 0.3
    assert all(each == each.projected() for each in learned.way)
    assert 0 < learned.numbers.temperature < math.inf
    catalog.get(learned.loss, counts=[3, 2, 1])


def test_the_same_seed_gives_the_same_loss(learned):
    again = tailor("digits-lt", model="linear", epochs=15, learning_rate=0.02, powers=3)
    assert again.way == learned.way


def test_test_rows_are_not_looked_at(learned):
    dataset = learned.dataset
    changed = dataset.features.copy()
    changed[dataset.split == TEST] = 7.0
    vars(dataset)["features"], kept = changed, dataset.features
    try:
        again = tailor(dataset, model="linear", epochs=15, learning_rate=0.02, powers=3)
    finally:
        vars(dataset)["features"] = kept
    assert again.loss == learned.loss


def test_judge_json_and_picture(learned, tmp_path):
    result = learned.judge(
        ["poly(epsilon=2)"], repeats=2, epochs=2, lr=0.02, workers=1, out=tmp_path / "run",
        progress="off",
    )  # fmt: skip
    assert learned.loss in {each.name for each in result.results.losses}
    assert json.loads(learned.to_json())["loss"] == learned.loss
    mpl.use("agg")
    figure, axes = learned.draw()
    assert len(axes.get_lines()) == 5
    mpl.pyplot.close(figure)


@pytest.mark.parametrize(
    ("changed", "hint"),
    [
        ({"powers": 9}, "at most 8"),
        ({"powers": 0}, "powers"),
        ({"epochs": 0}, "epochs"),
        ({"learning_rate": -1.0}, "lr"),
        ({"model": "resnet"}, "model"),
        ({"data": "kanjivg-components"}, "`taylored xray` looks at many labels"),
    ],
)
def test_mistakes(changed, hint):
    with pytest.raises(UsageError, match=hint):
        tailor(**{"data": "digits-lt", **changed})


def test_the_command(tmp_path):
    small = ("--data", "digits-lt", "--model", "linear", "--epochs", "1")
    result = CliRunner().invoke(app, ("tailor", *small, "--png", str(tmp_path / "x.png")))
    assert result.exit_code == 0, result.stderr
    assert "adjusted(poly(epsilon=[" in result.stdout
    assert (tmp_path / "x.png").read_bytes().startswith(b"\x89PNG")
    result = CliRunner().invoke(app, ("tailor", *small, "--powers", "12"))
    assert result.exit_code == 2
    assert "at most 8" in result.stderr
