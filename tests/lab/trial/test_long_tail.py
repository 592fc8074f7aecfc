"""What the long-tail losses need of a training: schedule, head, scale, and the gradient ratios."""

import sys

import numpy as np
import pytest
import torch
from torch import nn

from taylored import CosineClassifier, catalog
from taylored.lab.data import load
from taylored.lab.run.problem import Problem
from taylored.lab.tasks import MULTI_LABEL, SINGLE_LABEL
from taylored.lab.trial.build_loss import build_loss, head_of
from taylored.lab.trial.models import build_model
from taylored.lab.trial.outputs import scores_of
from taylored.lab.trial.protocol import Protocol, TrialSpec
from taylored.lab.trial.train import make_parts, train_trial

OWN = """
from torch.nn import functional as F

seen = []

def recording(logits, target):
    seen.append((logits.detach().clone(), target.clone()))
    return F.cross_entropy(logits, target)
"""

DEFERRED = """
from torch import nn
from taylored import catalog

told = []

class Around(nn.Module):
    def __init__(self, counts):
        super().__init__()
        self.inner = catalog.get("deferred(cross_entropy)", counts=counts)

    def forward(self, logits, target):
        told.append(self.inner.fraction.item())
        return self.inner(logits, target)
"""


@pytest.fixture(scope="module")
def problem():
    return Problem.draw(load("digits-lt"), seed=0, repeats=1)


@pytest.fixture(scope="module")
def parts(problem):
    return make_parts(problem.dataset.features, problem.dataset.labels, problem.parts[0])


def run(problem, parts, loss, model="linear"):
    protocol = Protocol(
        task="single-label",
        seed=0,
        model=model,
        epochs=3,
        batch_size=32,
        primary_metric="balanced_accuracy",
        groups=problem.groups,
        folds=problem.folds,
    )
    return train_trial(protocol, parts, TrialSpec(loss, "candidate", 0, 0, 0.01))


def test_gradient_ratios_are_those_of_the_training(problem, parts, tmp_path, monkeypatch):
    """By hand: the gradient of cross-entropy is softmax minus one-hot, over the batch size."""
    (tmp_path / "own_ratio_losses.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))
    trial, _ = run(problem, parts, "own_ratio_losses:recording")
    classes = len(problem.groups)
    positive, negative = torch.zeros(classes).double(), torch.zeros(classes).double()
    for logits, target in sys.modules["own_ratio_losses"].seen:
        hot = nn.functional.one_hot(target, classes).double()
        size = (torch.softmax(logits.double(), 1) - hot).abs() / len(target)
        positive += (size * hot).sum(0)
        negative += (size * (1 - hot)).sum(0)
    torch.testing.assert_close(
        torch.tensor(trial.gradient_ratio).double(), positive / negative, rtol=1e-4, atol=1e-6
    )
    for entry in trial.curve:
        found = {name for name in entry if name.startswith("gradient_ratio")}
        assert found == {f"gradient_ratio_{group}" for group in set(problem.groups)}


def test_watching_changes_nothing(problem, parts, monkeypatch):
    """The trial of a loss is the same with and without its gradients being counted."""
    watched = run(problem, parts, "softmax_eql")
    from taylored.lab.trial import watched_loss

    monkeypatch.setattr(
        watched_loss.WatchedLoss, "__call__", lambda self, z, y: self._monitor.loss(z, y)
    )
    plain = run(problem, parts, "softmax_eql")
    assert plain[1] == watched[1]
    assert plain[0].metrics == watched[0].metrics
    assert plain[0].gradient_ratio != watched[0].gradient_ratio


@pytest.mark.parametrize("loss", SINGLE_LABEL.losses)
def test_every_loss_of_the_line_up_trains(problem, parts, loss):
    trial, outputs = run(problem, parts, loss)
    assert trial.status == "ok"
    assert trial.metrics["accuracy"] > 0.5
    assert all(ratio >= 0 for ratio in trial.gradient_ratio)
    assert np.isfinite(outputs.score_array).all()
    # Only a cosine classifier is no linear layer whose weights could be normalised.
    assert (outputs.head is None) == (head_of(loss) == "cosine")


def test_line_ups_name_losses_of_the_catalogue():
    for name in (*SINGLE_LABEL.losses, *MULTI_LABEL.losses):
        catalog.spec(name)


def test_margins_get_a_cosine_head():
    assert head_of("deferred(ldam(max_m=0.3), beta=0.99)") == "cosine"
    assert head_of("ldam") == "cosine"
    assert head_of("deferred(cross_entropy)") == "linear"
    assert head_of("somewhere:Loss") == "linear"
    model = build_model("mlp", (8,), 5, head="cosine")
    assert isinstance(model[-1], CosineClassifier)
    assert model(torch.randn(3, 8) * 100).abs().max() <= 1 + 1e-6


def test_outputs_are_scaled_as_the_loss_scales_them():
    outputs = torch.randn(4, 3)
    counts = [9, 5, 2]
    for name in ("ldam(scale=12)", "deferred(ldam(scale=12))", "class_balanced(ldam(scale=12))"):
        assert torch.equal(scores_of(build_loss(name, counts), outputs), 12 * outputs)
    assert torch.equal(scores_of(build_loss("softmax_eql", counts), outputs), outputs)


def test_schedules_are_told_how_far_the_training_is(problem, parts, tmp_path, monkeypatch):
    """Also a loss of the library inside a module of the user."""
    (tmp_path / "own_deferred_losses.py").write_text(DEFERRED)
    monkeypatch.syspath_prepend(str(tmp_path))
    run(problem, parts, "own_deferred_losses:Around")
    told = sys.modules["own_deferred_losses"].told
    assert list(dict.fromkeys(told)) == pytest.approx([0, 1 / 3, 2 / 3])


def test_the_number_of_samples_reaches_losses_that_ask():
    loss = build_loss("distribution_balanced", [9, 5, 2], 12)
    assert loss.num_samples == 12
    assert build_loss("distribution_balanced(num_samples=30)", [9, 5, 2], 12).num_samples == 30
