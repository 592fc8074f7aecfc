"""One trial: a pure function, fair between losses, and honest about divergence."""

import sys

import numpy as np
import pytest
import torch

from taylored.lab.data import load
from taylored.lab.run.problem import Problem
from taylored.lab.trial.protocol import Protocol, TrialSpec, streams
from taylored.lab.trial.train import Parts, make_parts, train_trial

OWN = """
import torch
from torch import nn
from torch.nn import functional as F

seen = []

def recording(logits, target):
    seen.append((logits.detach().clone(), target.clone()))
    return F.cross_entropy(logits, target)

def recording_smooth(logits, target):
    seen.append((logits.detach().clone(), target.clone()))
    return F.cross_entropy(logits, target, label_smoothing=0.1)

class Explodes(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, logits, target):
        self.calls += 1
        return F.cross_entropy(logits, target) * (float("inf") if self.calls > 40 else 1.0)

class TurnsBad(nn.Module):
    def __init__(self):
        super().__init__()
        self.calls = 0

    def forward(self, logits, target):
        self.calls += 1
        return F.cross_entropy(logits, target) * (-1.0 if self.calls > 90 else 1.0)

class Centres(nn.Module):
    def __init__(self, counts):
        super().__init__()
        self.scale = nn.Parameter(torch.zeros(len(counts)))
        last.append(self)

    def forward(self, logits, target):
        return F.cross_entropy(logits + self.scale, target)

last = []
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def problem():
    return Problem.draw(load("digits-lt"), seed=0, seeds=2)


@pytest.fixture(scope="module")
def parts(problem):
    return make_parts(problem.dataset.features, problem.dataset.labels, problem.parts[0])


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_trial_losses.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    yield "own_trial_losses"
    sys.modules.pop("own_trial_losses", None)


def protocol(problem, **changes):
    settings = {
        "seed": 0,
        "model": "mlp",
        "epochs": 6,
        "batch_size": 16,
        "primary_metric": "balanced_accuracy",
        "task": "single-label",
        "groups": problem.groups,
    }
    return Protocol(**settings | changes)


def spec(loss="cross_entropy", role="baseline", seed=0, rate=0.01):
    return TrialSpec(loss, role, seed, rate)


def test_training_learns_and_the_chosen_epoch_is_the_best_one(problem, parts):
    trial = train_trial(protocol(problem), parts, spec())
    assert trial.status == "ok"
    assert trial.metrics["accuracy"] > 0.85
    scores = [entry["validation_balanced_accuracy"] for entry in trial.curve]
    assert [entry["epoch"] for entry in trial.curve] == [1, 2, 3, 4, 5, 6]
    assert scores[trial.best_epoch - 1] == max(scores)
    present = [value for value in trial.recall if value is not None]
    assert trial.metrics["balanced_accuracy"] == pytest.approx(np.mean(present), abs=1e-12)


def test_the_reported_weights_are_those_of_the_chosen_epoch(problem, parts, own):
    """Tested on the validation part, the numbers must be those of the best epoch, to the bit."""
    same = Parts(parts.train, parts.validation, parts.validation)
    loss = spec(f"{own}:TurnsBad")
    trial = train_trial(protocol(problem, primary_metric="nll"), same, loss)
    values = [entry["validation_nll"] for entry in trial.curve]
    assert trial.best_epoch < 6  # otherwise this test could not fail
    assert values[trial.best_epoch - 1] == min(values) == trial.metrics["nll"]


def test_a_trial_is_a_pure_function(problem, parts):
    first = train_trial(protocol(problem), parts, spec())
    torch.manual_seed(99)
    torch.randn(1000)
    assert train_trial(protocol(problem), parts, spec()) == first
    other_seed = train_trial(protocol(problem, seed=1), parts, spec())
    assert other_seed.curve != first.curve


def test_losses_share_initial_weights_and_batches_and_the_control_does_not(problem, parts, own):
    module = None
    batches = {}
    for name, role in (
        ("recording", "candidate"),
        ("recording_smooth", "candidate"),
        ("recording", "control"),
    ):
        if module is not None:
            module.seen.clear()
        train_trial(protocol(problem, epochs=1), parts, spec(f"{own}:{name}", role))
        module = sys.modules[own]
        batches[name, role] = list(module.seen)
    plain = batches["recording", "candidate"]
    smooth = batches["recording_smooth", "candidate"]
    control = batches["recording", "control"]
    assert torch.equal(plain[0][0], smooth[0][0])  # same weights, same first batch
    assert all(torch.equal(a[1], b[1]) for a, b in zip(plain, smooth, strict=True))
    assert not torch.equal(plain[0][0], control[0][0])
    assert not all(torch.equal(a[1], b[1]) for a, b in zip(plain, control, strict=True))
    assert streams(0, 1, "control").split == streams(0, 1, "baseline").split


def test_divergence_is_a_record_and_not_an_error(problem, parts, own):
    trial = train_trial(protocol(problem), parts, spec(f"{own}:Explodes"))
    assert trial.status == "diverged"
    assert trial.best_epoch is None
    assert trial.recall is None
    assert set(trial.metrics.values()) == {None}
    assert len(trial.curve) == 1  # 27 steps in an epoch: it exploded in the second
    huge = train_trial(protocol(problem), parts, spec(rate=1e30))
    assert huge.status == "diverged"


def test_parameters_of_the_loss_are_trained(problem, parts, own):
    train_trial(protocol(problem, epochs=2), parts, spec(f"{own}:Centres"))
    assert sys.modules[own].last[-1].scale.abs().max() > 0


def test_features_are_standardised_with_the_training_part_only(problem):
    features = np.random.default_rng(0).normal(5, 3, (100, 4)).astype(np.float32)
    features[:, 3] = 7.0  # a constant column
    part = np.repeat(np.array([0, 1, 2], dtype=np.int8), [60, 20, 20])
    features[part == 2] += 100
    made = make_parts(features, np.zeros(100, dtype=np.int64), part)
    assert made.train.features[:, :3].mean(0).abs().max() < 1e-5
    assert (made.train.features[:, :3].std(0, unbiased=False) - 1).abs().max() < 1e-5
    assert (made.train.features[:, 3] == 0).all()
    assert made.test.features[:, :3].mean() > 10
    images = np.random.default_rng(0).normal(size=(100, 2, 5, 5)).astype(np.float32)
    images[:, 1] *= 50
    channels = make_parts(images, np.zeros(100, dtype=np.int64), part).train.features
    assert (channels.std((0, 2, 3), unbiased=False) - 1).abs().max() < 1e-5
