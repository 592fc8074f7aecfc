"""One trial: a pure function, fair between losses, and honest about divergence."""

import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from taylored.lab.data import load
from taylored.lab.run.problem import Problem
from taylored.lab.trial.protocol import Protocol, TrialSpec, fold_seed, streams
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
    return Problem.draw(load("digits-lt"), seed=0, repeats=2)


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
        "folds": problem.folds,
    }
    return Protocol(**settings | changes)


def spec(loss="cross_entropy", role="baseline", repeat=0, fold=0, rate=0.01, schedule="full"):
    return TrialSpec(loss, role, repeat, fold, rate, schedule)


def test_training_learns_and_is_tested_after_the_last_epoch(problem, parts):
    """Tested on the validation part, the numbers are those of the last entry of the curve."""
    same = Parts(parts.train, parts.validation, parts.validation)
    trial, outputs = train_trial(protocol(problem), same, spec())
    assert trial.status == "ok"
    assert trial.metrics["accuracy"] > 0.85
    assert [entry["epoch"] for entry in trial.curve] == [1, 2, 3, 4, 5, 6]
    last = trial.curve[-1]
    for key, value in trial.metrics.items():
        assert last[f"validation_{key}"] == value == trial.validation(key)
    predicted = outputs.score_array.argmax(1)
    labels = parts.validation.labels.numpy()
    assert trial.metrics["accuracy"] == pytest.approx((predicted == labels).mean(), abs=1e-12)
    recalls = [(predicted[labels == label] == label).mean() for label in np.unique(labels)]
    assert trial.metrics["balanced_accuracy"] == pytest.approx(np.mean(recalls), abs=1e-12)


def test_no_epoch_is_chosen_however_bad_the_last_is(problem, parts, own):
    trial, _ = train_trial(protocol(problem, epochs=6), parts, spec(f"{own}:TurnsBad"))
    values = [entry["validation_nll"] for entry in trial.curve]
    assert trial.status == "ok"
    assert trial.validation("nll") == values[-1] > 2 * min(values)


def test_a_trial_that_tries_a_rate_is_short_and_not_tested(problem, parts):
    trial, outputs = train_trial(protocol(problem), parts, spec(schedule="third"))
    assert outputs is None
    assert trial.schedule == "third"
    assert len(trial.curve) == 2  # a third of six epochs
    assert set(trial.metrics.values()) == {None}
    assert trial.gradient_ratio is None
    assert 0 < trial.validation("balanced_accuracy") <= 1
    assert trial.validation("nll") > 0
    # Its schedule is a whole one: the rate has come down to nothing after its last step.
    whole, _ = train_trial(protocol(problem, epochs=2), parts, spec())
    assert whole.curve == trial.curve
    assert protocol(problem, epochs=1).epochs_of("third") == 1


def test_a_trial_is_a_pure_function(problem, parts):
    first = train_trial(protocol(problem), parts, spec())
    torch.manual_seed(99)
    torch.randn(1000)
    assert train_trial(protocol(problem), parts, spec()) == first
    other_seed, _ = train_trial(protocol(problem, seed=1), parts, spec())
    assert other_seed.curve != first[0].curve


def test_losses_share_initial_weights_and_batches(problem, parts, own):
    module = None
    batches = {}
    for name, fold in (("recording", 0), ("recording_smooth", 0), ("recording", 1)):
        if module is not None:
            module.seen.clear()
        train_trial(
            protocol(problem, epochs=1), parts, spec(f"{own}:{name}", "candidate", fold=fold)
        )
        module = sys.modules[own]
        batches[name, fold] = list(module.seen)
    plain, smooth, other = batches.values()
    assert torch.equal(plain[0][0], smooth[0][0])  # same weights, same first batch
    assert all(torch.equal(a[1], b[1]) for a, b in zip(plain, smooth, strict=True))
    assert not torch.equal(plain[0][0], other[0][0])
    assert not all(torch.equal(a[1], b[1]) for a, b in zip(plain, other, strict=True))


def test_every_training_has_random_numbers_of_its_own():
    places = [(seed, repeat, fold) for seed in range(3) for repeat in range(3) for fold in range(5)]
    drawn = [streams(*place) for place in places]
    assert streams(*places[0]) == drawn[0]
    assert len({number for each in drawn for number in (each.weights, each.batches)}) == 90
    assert len({fold_seed(seed, repeat) for seed in range(9) for repeat in range(9)}) == 81


def test_divergence_is_a_record_and_not_an_error(problem, parts, own):
    trial, outputs = train_trial(protocol(problem), parts, spec(f"{own}:Explodes"))
    assert trial.status == "diverged"
    assert outputs is None
    assert trial.gradient_ratio is None
    assert trial.validation("nll") is None
    assert set(trial.metrics.values()) == {None}
    assert len(trial.curve) == 1  # 27 steps in an epoch: it exploded in the second
    huge, _ = train_trial(protocol(problem), parts, spec(rate=1e30))
    assert huge.status == "diverged"
    short, _ = train_trial(protocol(problem), parts, spec(rate=1e30, schedule="third"))
    assert short.status == "diverged"


def test_weight_decay_makes_the_weights_smaller(problem, parts):
    norms = []
    for weight_decay in (0.0, 1.0):
        settings = protocol(problem, model="linear", epochs=3)
        wanted = replace(spec(), weight_decay=weight_decay)
        trial, outputs = train_trial(settings, parts, wanted)
        assert trial.weight_decay == weight_decay
        norms.append(np.linalg.norm(outputs.head.norm))
    assert norms[1] < 0.95 * norms[0]


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
