"""The user's code cannot reach the next trial, the other losses, or the process that compares."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from taylored import lab
from taylored.lab.data import draw_folds, load, parts_of
from taylored.lab.store.folder import RunFolder

SETTINGS = {
    "data": "digits.npz",
    "model": "isolated_losses:model",
    "repeats": 1,
    "epochs": 1,
    "lr": 0.01,
    "workers": 1,
    "time_limit": 6,
    "progress": "off",
}
OWN = """
import os, random, sys, time
import numpy as np
import torch
from torch import nn
from torch.nn import functional as F
import isolated_helper

torch.rand(1000), np.random.rand(1000), random.random()  # a draw at import
torch.set_default_dtype(torch.float64)
torch.set_grad_enabled(False)
torch.set_num_threads(2)
os.makedirs("elsewhere", exist_ok=True)
os.chdir("elsewhere")
seen = []

def model(shape, classes):
    torch.set_default_dtype(torch.float64)
    net = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Dropout(0.3),
                        nn.Linear(24, classes))
    return net.float()

def plain(logits, target):
    return F.cross_entropy(logits, target)

class Remembers:  # a callable with state; it must begin anew in every trial
    def __init__(self):
        self.calls = 0
    def __call__(self, logits, target):
        self.calls += 1
        seen.append(0)
        isolated_helper.calls += 1
        if self.calls != len(seen) or self.calls != isolated_helper.calls:
            raise RuntimeError("the state of an earlier trial")
        value = F.cross_entropy(logits, target)
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)
        os.chdir("/")
        return value

remembers = Remembers()

class Unused(nn.Module):  # its parameter has nothing to do with the loss
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(7))
        self.lock = (i for i in [])  # cannot be copied
    def forward(self, logits, target):
        return F.cross_entropy(logits, target)

unused = Unused()
training = lambda logits: len(logits) == 16

def exits(logits, target):
    if training(logits): sys.exit(7)
    return F.cross_entropy(logits, target)

def leaves(logits, target):
    if training(logits): os._exit(0)
    return F.cross_entropy(logits, target)

def kills(logits, target):
    if training(logits): os.kill(os.getpid(), 9)
    return F.cross_entropy(logits, target)

def stops(logits, target):
    if training(logits): os.kill(os.getpid(), 19)
    return F.cross_entropy(logits, target)

def crashes(logits, target):
    if training(logits): os.kill(os.getpid(), 11)
    return F.cross_entropy(logits, target)

def hangs(logits, target):
    while training(logits): time.sleep(0.1)
    return F.cross_entropy(logits, target)

def raises(logits, target):
    if training(logits): raise RuntimeError("sixteen " + chr(27) + "[31mis too many")
    return F.cross_entropy(logits, target)

class _Nan(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits):
        return logits.sum() * 0
    @staticmethod
    def backward(ctx, gradient):
        return torch.full((16, 10), float("nan"))

def nan_at_the_end(logits, target):  # the last gradient of the epoch is NaN, and no weight moves
    global last
    last += training(logits)
    value = F.cross_entropy(logits, target)
    return value + _Nan.apply(logits.detach().requires_grad_()) if last == 27 else value
last = 0
"""


@pytest.fixture(scope="module", autouse=True)
def workers():
    """Processes of their own, as a user's run has them."""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "isolated_losses.py").write_text(OWN)
    (tmp_path / "isolated_helper.py").write_text("calls = 0\n")
    (tmp_path / "clean_losses.py").write_text(
        "from torch.nn import functional as F\n"
        "def plain(logits, target):\n"
        "    return F.cross_entropy(logits, target)\n"
    )
    monkeypatch.chdir(tmp_path)
    # With a split of its own a data set has one training in every repeat.
    digits = load("digits-lt")
    names = np.array(digits.class_names)
    split = parts_of(draw_folds(digits, 0), 0)
    np.savez("digits.npz", features=digits.features[:, 0], labels=digits.labels, class_names=names,
             split=split)  # fmt: skip
    return tmp_path


def named(*names):
    return [f"isolated_losses:{name}" for name in names]


def trials_of(result, name):
    return next(each for each in result.results.losses if each.name.endswith(name)).trials


def numbers(result, name):
    return [(trial.metrics, trial.curve) for trial in trials_of(result, name)]


def test_losses_that_are_cross_entropy_give_its_numbers_whatever_else_they_do(own):
    torch.manual_seed(3), np.random.seed(3)  # noqa: NPY002
    before = (torch.rand(1).item(), np.random.rand())  # noqa: NPY002
    torch.manual_seed(3), np.random.seed(3)  # noqa: NPY002
    names = [*named("plain", "remembers", "unused"), "clean_losses:plain"]
    settings = SETTINGS | {"repeats": 2}
    one = lab.compare(names, out="one", **settings)
    for name in ("losses:plain", "remembers", "unused"):
        assert numbers(one, name) == numbers(one, "clean_losses:plain"), name
    # Neither the order of the trials nor the process that had one before makes a difference.
    two = lab.compare(names, out="two", **settings | {"workers": 2})
    assert two.to_json() == one.to_json()
    # This process has never run the user's code.
    assert torch.get_default_dtype() is torch.float32
    assert torch.is_grad_enabled()
    assert Path.cwd() == own
    assert (torch.rand(1).item(), np.random.rand()) == before  # noqa: NPY002


FAULTS = {
    "exits": "it called sys.exit(7)",
    "leaves": "it ended the process with exit code 0",
    "kills": "was ended by signal 9, SIGKILL",
    "stops": "was stopped by signal 19, SIGSTOP",
    "crashes": "the process was ended by signal 11, SIGSEGV",
    "hangs": "did not finish a step in 6 s",
    "raises": "RuntimeError: sixteen \\x1b[31mis too many",
}


def test_a_loss_that_ends_its_process_is_named_and_the_others_go_on(own, capfd):
    settings = SETTINGS | {"progress": "auto"}
    result = lab.compare([*named(*FAULTS, "plain"), "clean_losses:plain"], out="run", **settings)
    noted = capfd.readouterr().err
    for name, why in FAULTS.items():
        (trial,) = trials_of(result, name)
        assert trial.status == "failed"
        assert set(trial.metrics.values()) == {None}
        (found,) = (text for key, text in result.failures.items() if f"losses-{name}-" in key)
        assert why in found, name
        assert f"isolated_losses:{name} failed at repeat 1, fold 1" in noted
    assert "\x1b" not in noted
    assert len(result.failures) == len(FAULTS)
    assert numbers(result, "isolated_losses:plain") == numbers(result, "clean_losses:plain")
    assert "failed 1/1" in result.table()
    assert "failed in 1 of 1 training" in result.verdict
    assert "failed" in result.to_html()
    # Going on begins the failed trials again, and only those.
    kept = (own / "run" / "trials").glob("*plain*")
    before = {path: path.read_bytes() for path in kept}
    again = lab.resume("run", workers=1, progress="off", time_limit=6)
    assert set(again.failures) == set(result.failures)
    assert {path: path.read_bytes() for path in before} == before


def test_a_record_that_is_not_finite_is_a_failure_and_says_where(own):
    source = OWN + "\nclass Link:\n    link = 'softmax'\n"
    (own / "isolated_losses.py").write_text(source)
    from taylored.lab.run.workers.isolated import answer_of

    line = answer_of(
        lambda beat: {"trial": {"curve": [{"loss": 1.0}, {"loss": float("nan")}]}}, int
    )
    assert json.loads(line) == {
        "failed": "its record holds a number that is not finite: trial.curve[1].loss is nan"
    }


def test_a_failed_trial_is_marked_on_disk_and_read_back(own):
    result = lab.compare(named("raises"), out="run", **SETTINGS)
    folder = RunFolder.open(own / "run")
    marked = [kept for _, kept in folder._all_trials() if kept.content.trial.status == "failed"]
    assert [kept.content.error for kept in marked] == list(result.failures.values())
    assert lab.Comparison.load("run") == result
    assert os.path.exists("run/failures.json")  # noqa: PTH110
