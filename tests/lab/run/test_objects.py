"""Compare what is given in Python: losses and models that have no name elsewhere."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from taylored import FocalLoss, lab
from taylored.lab.errors import UsageError
from taylored.lab.report.sections.command import python_call, shell_command


class Remembers(nn.Module):
    """A loss with a state, which must begin anew in every trial."""

    def __init__(self, by):
        super().__init__()
        self.by = by
        self.register_buffer("calls", torch.zeros(()))

    def extra_repr(self):
        return f"by={self.by}"

    def forward(self, logits, target):
        self.calls += 1
        return self.by * nn.functional.cross_entropy(logits, target) + 0 * self.calls


model = lambda shape, classes: nn.Linear(shape[0], classes)  # noqa: E731
FEATURES = np.random.default_rng(0).normal(size=(120, 3))
LABELS = (FEATURES[:, 0] > 0.5).astype(int) + (FEATURES[:, 1] > 1)
SETTINGS = {"data": (FEATURES, LABELS), "epochs": 1, "lr": 0.01, "workers": 1, "progress": "off"}


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("objects") / "run"
    losses = [FocalLoss(gamma=2), Remembers(1), lambda x, y: nn.functional.cross_entropy(x, y)]
    return lab.compare(losses, model=model, out=folder, **SETTINGS), losses


def test_all_forms_of_a_loss_are_compared(run):
    result, losses = run
    names = [loss.name for loss in result.results.losses if loss.role != "free"]
    assert names[:2] == ["cross_entropy", "FocalLoss(gamma=2)"]
    assert names[2].endswith("Remembers(by=1)")
    assert names[3].endswith("<lambda>")
    own = result.results.losses[-2:]
    assert [loss.versus_baseline["accuracy"].identical for loss in own] == [True, True]
    assert losses[1].calls == 0


def test_the_calls_to_repeat_it_are_honest(run):
    config = run[0].results.config
    assert shell_command(config) is None
    assert "    FocalLoss" in python_call(config).replace("'", "")
    assert f"{config.losses[2]!r}" not in python_call(config)


def test_it_is_resumed_with_the_objects_given_again(run):
    result, losses = run
    before = (result.folder / "results.json").read_bytes()
    path, data = str(result.folder), SETTINGS["data"]
    with pytest.raises(UsageError, match=r"this run has .*Remembers\(by=1\).*objects=\[...\]"):
        lab.resume(path, data=data, progress="off")
    with pytest.raises(UsageError, match=r"this run has .*model.*model=\.\.\."):
        lab.resume(path, objects=losses[1:], data=data, progress="off")
    with pytest.raises(UsageError, match=r"Remembers\(by=2\) is not in this run"):
        lab.resume(
            path, objects=[*losses[1:], Remembers(2)], model=model, data=data, progress="off"
        )
    other = Remembers(1)
    other.calls += 5
    with pytest.raises(UsageError, match=r"changed since: the object .*Remembers\(by=1\)"):
        lab.resume(path, objects=[other, losses[2]], model=model, data=data, progress="off")
    lab.resume(path, objects=losses[1:], model=model, data=data, workers=1, progress="off")
    assert (result.folder / "results.json").read_bytes() == before


def test_nothing_of_an_object_is_in_the_folder_but_its_digest(run):
    record = json.loads((run[0].folder / "config.json").read_text())
    name = record["config"]["losses"][2]
    assert len(record["sources"][name][name]) == 64
    files = [path.suffix for path in run[0].folder.rglob("*") if path.is_file()]
    assert set(files) <= {".json", ".html", ".csv"}


@pytest.mark.parametrize("given", [[3], ["", FocalLoss()], FocalLoss()])
def test_what_is_no_loss_is_refused(given):
    with pytest.raises(UsageError, match=r"losses must be"):
        lab.compare(given)


def test_what_is_no_model_is_refused():
    with pytest.raises(UsageError, match=r"model must be a name such as 'mlp'"):
        lab.compare([FocalLoss()], model=3)
