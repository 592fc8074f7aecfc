"""Somebody's own code by name: exactly what is named is imported, and nothing else changes."""

import pickle
import sys

import pytest
import torch
from torch import nn

from taylored import xray
from taylored.doctor import TargetError, examine
from taylored.explain import explain
from taylored.lab.errors import UsageError
from taylored.lab.own.code import load_own, sources_of
from taylored.lab.trial.build_loss import build_loss
from taylored.own import OwnCodeError, Reference, found_of, is_reference, own_loss

FILE = """
import torch.nn.functional as F
import weighing

class Loss:
    link = "softmax"
    def __init__(self, gamma=1.0):
        self.factor = {factor} * gamma
    def __call__(self, logits, target):
        return self.factor * weighing.WEIGHT * F.cross_entropy(logits, target)

class OfCounts(Loss):
    def __init__(self, counts):
        super().__init__(sum(counts))

def scaled(logits, target, factor):
    return factor * F.cross_entropy(logits, target)

ready = F.cross_entropy
"""


@pytest.fixture
def folders(tmp_path, monkeypatch):
    """Two folders with files of the same names."""
    for folder, factor in (("a", 2.0), ("b", 3.0)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "losses.py").write_text(FILE.format(factor=factor))
        (tmp_path / folder / "weighing.py").write_text(f"WEIGHT = {10 * factor}\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


LOGITS, TARGET = torch.tensor([[1.0, 0.0], [0.0, 2.0]]), torch.tensor([0, 1])
PLAIN = float(nn.functional.cross_entropy(LOGITS, TARGET))


def worth(text):
    return round(float(own_loss(text).build()(LOGITS, TARGET)) / PLAIN, 3)


def recognised(text):
    report = examine(text, time_limit=None, checks=("recognised",))
    return next(each for each in report.findings if each.name == "recognised").evidence["factor"]


def test_files_of_one_name_are_not_confused(folders):
    """A file and what it imports come from the folder that is named, also the second time."""
    assert [worth(f"{folder}/losses.py:Loss") for folder in "abba"] == [40.0, 90.0, 90.0, 40.0]
    assert recognised("a/losses.py:Loss") == pytest.approx(40.0)
    assert recognised("b/losses.py:Loss") == pytest.approx(90.0)


def test_modules_of_one_name_are_not_confused(folders, monkeypatch):
    for folder, expected in (("a", 40.0), ("b", 90.0)):
        monkeypatch.chdir(folders / folder)
        assert worth("losses:Loss") == expected
    assert worth("../a/losses.py:Loss") == 40.0
    assert worth("losses:Loss") == 90.0


def test_the_search_path_is_as_before_a_file(folders):
    before = list(sys.path)
    own_loss("a/losses.py:Loss")
    assert sys.path == before
    with pytest.raises(OwnCodeError, match="has no 'Los'. Did you mean 'Loss'"):
        own_loss("b/losses.py:Los")
    assert sys.path == before


def test_the_current_folder_is_first_while_importing_and_last_afterwards(folders, monkeypatch):
    monkeypatch.chdir(folders / "a")
    before = list(sys.path)
    own_loss("losses:Loss")
    assert sys.path == [*before, str(folders / "a")]


def test_objects_of_a_file_can_be_pickled(folders):
    loss = own_loss("a/losses.py:Loss(2.0)").build()
    copy = pickle.loads(pickle.dumps(loss))  # noqa: S301
    assert float(copy(LOGITS, TARGET)) == float(loss(LOGITS, TARGET))


def test_a_file_that_fails_leaves_the_other_in_its_place(folders):
    (folders / "b" / "losses.py").write_text("1 / 0\n")
    loss = own_loss("a/losses.py:Loss").build()
    with pytest.raises(OwnCodeError, match="importing 'b/losses.py' failed: ZeroDivisionError"):
        own_loss("b/losses.py:Loss")
    assert pickle.loads(pickle.dumps(loss)).factor == loss.factor  # noqa: S301


@pytest.mark.parametrize("name", ["json", "torch", "taylored", "numpy"])
def test_a_file_replaces_no_module_of_a_library(folders, name):
    (folders / f"{name}.py").write_text("Loss = print\n")
    before = sys.modules.get(name)
    with pytest.raises(OwnCodeError, match=f"as {name!r} it would replace.*another name"):
        own_loss(f"{name}.py:Loss")
    assert sys.modules.get(name) is before


def test_a_file_of_a_package_is_named_by_its_module(folders):
    (folders / "inside.py").write_text("from .losses import Loss\n")
    with pytest.raises(OwnCodeError, match=r"write 'package.module:Loss'"):
        own_loss("inside.py:Loss")


def test_all_who_read_names_read_files(folders):
    """Doctor, lab, explanations and X-rays, each by the loss of the file that is named."""
    assert float(build_loss("b/losses.py:Loss(2)", [3, 2])(LOGITS, TARGET)) / PLAIN == (
        pytest.approx(180.0)
    )
    (seen,) = explain("a/losses.py:Loss").losses
    assert seen.views[0].at(0.5)[2] == pytest.approx(40.0)
    batch = (torch.eye(2), TARGET)
    found = xray.xray(
        nn.Linear(2, 2), "a/losses.py:Loss", batch, batch, learning_rate=0.1
    )  # fmt: skip
    assert len(found.p) == 2
    assert set(sources_of(frozenset(), ("b/losses.py:Loss",))) >= {"losses"}


def test_functions_keep_their_arguments_everywhere(folders):
    """A function of logits and target with further arguments is the loss, and builds none."""
    assert worth("a/losses.py:scaled(factor=5)") == 5.0
    assert float(build_loss("a/losses.py:scaled(factor=5)", [3, 2])(LOGITS, TARGET)) == (
        pytest.approx(5 * PLAIN)
    )
    assert worth("a/losses.py:ready") == 1.0


def test_counts_are_given_where_they_are_asked_for(folders):
    assert recognised("a/losses.py:OfCounts") == pytest.approx(40.0 * (1000 + 300 + 90 + 26 + 8))
    assert build_loss("a/losses.py:OfCounts", [3, 2]).factor == 10.0
    with pytest.raises(OwnCodeError, match=r"needs the arguments counts.*OfCounts\(counts=1\)"):
        own_loss("a/losses.py:OfCounts").build()


def test_errors_are_those_of_whoever_was_asked(folders):
    with pytest.raises(UsageError, match="no module named 'lossess'"):
        load_own("lossess:Loss")
    with pytest.raises(TargetError, match="there is no file"):
        examine("c/losses.py:Loss", time_limit=None)
    with pytest.raises(ValueError, match="there is no file"):
        explain("c/losses.py:Loss")


@pytest.mark.parametrize(
    ("text", "source"),
    [
        ("m:L", "m"),
        ("package.m:L.inner(1)", "package.m"),
        ("m:L('x.py:y(1)')", "m"),
        ("losses.py:L", "losses.py"),
        (" folder (1)/o'brien/losses.py:L(gamma=2) ", "folder (1)/o'brien/losses.py"),
        (r"C:\folder\losses.py:L", r"C:\folder\losses.py"),
    ],
)
def test_what_is_a_reference(text, source):
    assert Reference.read(text).source == source


@pytest.mark.parametrize(
    "text", ["focal(gamma=2)", "m.Loss('x.py:y(1)')", "cross_entropy + 0.5 * focal", "a:b:c", "m:"]
)
def test_what_is_none(text):
    assert not is_reference(text)


@pytest.mark.parametrize(
    ("text", "positional", "named"),
    [
        ("m:L()", (), {}),
        ("m:L(1, -2.5, beta=[1, 2])", (1, -2.5), {"beta": [1, 2]}),
        ("m:L(mode='a:(b)')", (), {"mode": "a:(b)"}),
    ],
)
def test_arguments_in_a_name_are_literals(text, positional, named):
    found = Reference.read(text).arguments()
    assert (found.positional, found.named) == (positional, named)


@pytest.mark.parametrize("text", ["m:L(open('x'))", "m:L(**{'a': 1})", "m:L(a)", "m:L(1)(2)"])
def test_arguments_are_never_evaluated(text):
    with pytest.raises(
        OwnCodeError, match=r"the arguments must be literals.*(is none|no call|no literal)"
    ):
        Reference.read(text).arguments()


def test_an_object_through_dots():
    assert found_of(Reference.read("torch.nn:functional.cross_entropy")) is (
        nn.functional.cross_entropy
    )
