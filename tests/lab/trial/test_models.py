"""Built-in models and the user's own."""

import pytest
import torch

from taylored.lab.errors import UsageError
from taylored.lab.trial.models import build_model, check_model, choose_model

OWN = """
from torch import nn

def good(input_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))

def wrong_width(input_shape, num_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes + 1))

def not_a_module(input_shape, num_classes):
    return 3

def fails(input_shape, num_classes):
    raise RuntimeError("no such layer")

def nothing_to_train(input_shape, num_classes):
    return nn.Flatten()

number = 3
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_models.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        *[("linear", shape) for shape in [(64,), (3, 5, 7)]],
        *[("mlp", shape) for shape in [(64,), (3, 5, 7)]],
        *[("cnn", shape) for shape in [(1, 8, 8), (3, 32, 32), (3, 5, 7), (1, 1, 2)]],
        *[("grid_cnn", shape) for shape in [(1, 8, 8), (3, 32, 32), (3, 5, 7), (1, 1, 2)]],
    ],
)
def test_built_in_models_fit_every_input(name, shape):
    assert build_model(name, shape, 7)(torch.randn(4, *shape)).shape == (4, 7)


def test_auto_depends_on_the_data():
    assert choose_model("auto", "vector", "single-label") == "mlp"
    assert choose_model("auto", "vector", "multi-label") == "mlp"
    assert choose_model("auto", "image", "single-label") == "cnn"
    assert choose_model("auto", "image", "multi-label") == "grid_cnn"


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [("cnn", "vector", "needs images"), ("resnet", "image", "'resnet' is unknown")],
)
def test_impossible_models_are_refused(name, kind, message):
    with pytest.raises(UsageError, match=message):
        choose_model(name, kind, "single-label")


def test_own_model_is_built_and_trained(own):
    check_model("own_models:good", (1, 8, 8), 5)
    assert build_model("own_models:good", (1, 8, 8), 5)(torch.randn(2, 1, 8, 8)).shape == (2, 5)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("wrong_width", r"logits of shape \(batch, 5\).*\(2, 6\)"),
        ("not_a_module", "must return an nn.Module, not int"),
        ("fails", "RuntimeError: no such layer"),
        ("nothing_to_train", "no parameters"),
        ("number", "not callable"),
        ("god", "has no 'god'. Did you mean 'good'"),
    ],
)
def test_own_models_that_cannot_work_are_refused(own, name, message):
    with pytest.raises(UsageError, match=message):
        check_model(f"own_models:{name}", (1, 8, 8), 5)
