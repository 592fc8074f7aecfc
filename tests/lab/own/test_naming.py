"""What a loss or model that is given in Python is called, and what its copies are like."""

import functools
import threading

import pytest
import torch
from torch import nn

from taylored import FocalLoss, LDAMLoss
from taylored.lab.errors import UsageError
from taylored.lab.own import objects
from taylored.lab.own.code import is_own, load_own
from taylored.lab.own.naming import name_losses, name_model
from taylored.lab.own.objects import fresh, hold, is_object, pack
from taylored.lab.trial.build_loss import build_loss

COUNTS = (120, 30, 4)


class Scaled(nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by
        self.calls = 0
        self.register_buffer("seen", torch.zeros(1))

    def extra_repr(self):
        return f"by={self.by}"

    def forward(self, logits, target):
        self.calls += 1
        return self.by * nn.functional.cross_entropy(logits, target)


class Derived(FocalLoss):
    """A loss of the user's that calls itself by the name of a loss in the catalogue."""


Derived.__name__ = Derived.__qualname__ = "FocalLoss"


def plain(logits, target):
    return nn.functional.cross_entropy(logits, target)


def test_losses_of_the_catalogue_are_written_as_their_string():
    given = [FocalLoss(gamma=2), LDAMLoss(counts=[5, 3, 2]), FocalLoss, "balanced_softmax"]
    named = name_losses(given)
    assert named.names == (
        "FocalLoss(gamma=2)",
        "LDAMLoss(max_m=0.5, scale=30, counts=[5, 3, 2])",
        "FocalLoss",
        "balanced_softmax",
    )
    assert not named.objects
    assert repr(build_loss(named.names[0], COUNTS)) == repr(given[0])


def test_a_class_that_only_calls_itself_so_is_not_taken_for_one_of_the_catalogue():
    (name,) = name_losses([Derived(gamma=2)]).names
    assert is_object(name)


def test_functions_that_others_can_import_go_by_their_name():
    named = name_losses([nn.functional.cross_entropy, nn.CrossEntropyLoss])
    assert named.names == ("torch.nn.functional:cross_entropy", "torch.nn:CrossEntropyLoss")
    assert not named.objects
    assert load_own(named.names[0]) is nn.functional.cross_entropy


def test_what_no_other_process_could_import_is_an_object():
    def inner(logits, target):
        return plain(logits, target)

    given = [inner, lambda x, y: inner(x, y), Scaled(2), functools.partial(inner)]
    given.append(nn.CrossEntropyLoss())
    named = name_losses(given)
    assert set(named.objects) == set(named.names)
    assert all(is_own(name) and is_object(name) for name in named.names)
    assert named.names[2].endswith("Scaled(by=2)")
    assert named.names[4] == "torch.nn.CrossEntropyLoss()"
    assert "0x" not in "".join(named.names)


def test_objects_that_read_the_same_have_names_of_their_own_and_one_object_has_one():
    twice = Scaled(2)
    names = name_losses([twice, Scaled(2), twice, Scaled(3)]).names
    assert names[0] == names[2]
    assert names[1] == f"{names[0]} #2"
    assert len(set(names)) == 3


def test_the_names_are_the_same_in_another_session_in_the_same_order():
    def names():
        return name_losses([Scaled(2), lambda x, y: plain(x, y), Scaled(2)]).names

    assert names() == names()


def test_every_trial_has_a_copy_of_its_own(monkeypatch):
    monkeypatch.setattr(objects, "_HELD", {})
    loss = Scaled(2)
    named = name_losses([loss])
    hold(named.objects)
    first, second = (build_loss(named.names[0], COUNTS) for _ in range(2))
    first(torch.zeros(2, 3), torch.tensor([0, 1]))
    assert (first.calls, second.calls, loss.calls) == (1, 0, 0)


@pytest.mark.parametrize(
    "other",
    [Scaled(3), lambda x, y: 3 * plain(x, y)],
    ids=["parameter", "code"],
)
def test_another_object_has_another_digest(other):
    same = {pack("m.l", each).digest for each in (Scaled(2), Scaled(2))}
    assert len(same) == 1
    assert pack("m.l", other).digest not in same


def test_another_state_has_another_digest():
    changed = Scaled(2)
    changed.seen += 1
    assert pack("m.l", changed).digest != pack("m.l", Scaled(2)).digest


def test_attributes_that_no_repr_shows_make_another_digest():
    class Plain:
        def __init__(self, by):
            self.by = by

        def __call__(self, logits, target):
            return self.by * plain(logits, target)

    assert pack("m.l", Plain(1)).digest == pack("m.l", Plain(1)).digest
    assert pack("m.l", Plain(1)).digest != pack("m.l", Plain(2)).digest
    assert name_losses([Plain(1)]).names[0].endswith("Plain()")


def test_two_lambdas_on_one_line_have_digests_of_their_own():
    first, second = (lambda x, y: plain(x, y), lambda x, y: 2 * plain(x, y))
    assert pack("m.l", first).digest != pack("m.l", second).digest


def test_an_object_that_cannot_travel_is_refused_with_the_way_out():
    loss = Scaled(2)
    loss.lock = threading.Lock()
    with pytest.raises(UsageError, match=r"Scaled.*cannot be handed.*lock.*'module:attribute'"):
        name_losses([loss])


def test_an_object_that_this_process_was_not_given_is_refused():
    with pytest.raises(UsageError, match=r"is an object that only the Python which has it"):
        fresh("mylosses.MyLoss(gamma=1)")


def test_a_model_is_given_as_what_builds_it():
    with pytest.raises(UsageError, match=r"model: every trial starts with a model of its own"):
        name_model(nn.Linear(2, 2))
    nameless = name_model(lambda shape, classes: nn.Linear(shape[0], classes))
    assert nameless.names[0].endswith("(model)")
    assert name_model("mlp").names == ("mlp",)


def test_classes_take_their_arguments_from_the_name(tmp_path, monkeypatch):
    (tmp_path / "named_losses.py").write_text(
        "from torch.nn import functional as F\n"
        "class Loss:\n"
        "    def __init__(self, gamma, counts=None):\n"
        "        self.gamma, self.counts = gamma, counts\n"
        "    def __call__(self, logits, target):\n"
        "        return self.gamma * F.cross_entropy(logits, target)\n",
    )
    monkeypatch.chdir(tmp_path)
    loss = build_loss("named_losses:Loss(gamma=2)", COUNTS)
    assert (loss.gamma, loss.counts) == (2, list(COUNTS))
    assert build_loss("named_losses:Loss(1, counts=[1])", COUNTS).counts == [1]
    with pytest.raises(UsageError, match=r"needs the arguments gamma.*'named_losses:Loss\(gamma=1"):
        build_loss("named_losses:Loss", COUNTS)
    with pytest.raises(UsageError, match="unexpected keyword argument 'delta'"):
        build_loss("named_losses:Loss(delta=2)", COUNTS)
