"""Every form of the user's own loss, and what is said about those that cannot train."""

import pytest
import torch

from taylored.lab.errors import UsageError
from taylored.lab.run.line_up import line_up
from taylored.lab.tasks import SINGLE_LABEL
from taylored.lab.trial.build_loss import build_loss
from taylored.lab.trial.links import link_of
from taylored.lab.trial.loss_card import loss_card

COUNTS = (120, 30, 4)
OWN = """
import functools
import torch
from torch import nn
from torch.nn import functional as F

def plain(logits, target):
    return F.cross_entropy(logits, target)

def with_option(logits, target, counts=None):
    return F.cross_entropy(logits, target)

partial = functools.partial(F.cross_entropy, label_smoothing=0.1)
instance = nn.CrossEntropyLoss()

def factory():
    return nn.CrossEntropyLoss(label_smoothing=0.2)

def counting_factory(counts, beta=0.5):
    loss = nn.CrossEntropyLoss(weight=1 / torch.tensor(counts, dtype=torch.float32))
    loss.counts = counts
    return loss

class Module(nn.Module):
    link = "sigmoid"

    def forward(self, logits, target):
        return F.cross_entropy(logits, target)

class Callable:
    def __call__(self, logits, target):
        return F.cross_entropy(logits, target)

class Needy(nn.Module):
    def __init__(self, gamma):
        super().__init__()

class Counted(Module):
    def __init__(self, counts):
        super().__init__()
        self.counts = counts

def per_sample(logits, target):
    return F.cross_entropy(logits, target, reduction="none")

def infinite(logits, target):
    return F.cross_entropy(logits, target) / 0.0

def detached(logits, target):
    return F.cross_entropy(logits, target).detach()

def constant(logits, target):
    return (logits * 0).sum()

def nan_gradient(logits, target):
    return F.cross_entropy(logits, target) + torch.sqrt((logits - logits.detach()).sum()) * 0

def number(logits, target):
    return 1.0

def raises(logits, target):
    raise RuntimeError("bad shapes")

def bad_factory():
    return 3

three = 3
"""
FORMS = (
    "plain",
    "with_option",
    "partial",
    "instance",
    "factory",
    "counting_factory",
    "Module",
    "Callable",
    "Counted",
)


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_losses.py").write_text(OWN)
    (tmp_path / "broken_losses.py").write_text("import package_that_is_not_there\n")
    (tmp_path / "wrong_losses.py").write_text("x = 1 / 0\n")
    monkeypatch.chdir(tmp_path)


def test_counts_of_the_training_part_reach_the_loss():
    loss = build_loss("class_balanced(cross_entropy, beta=0.999)", COUNTS)
    assert "counts=[120, 30, 4]" in repr(loss)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_an_own_loss(own, form):
    loss = build_loss(f"own_losses:{form}", COUNTS)
    logits = torch.randn(5, 3, requires_grad=True)
    assert loss(logits, torch.tensor([0, 1, 2, 0, 1])).ndim == 0
    assert line_up([f"own_losses:{form}"], COUNTS, SINGLE_LABEL)[0] == (
        "cross_entropy",
        f"own_losses:{form}",
    )


def test_own_factories_get_the_counts(own):
    assert build_loss("own_losses:counting_factory", COUNTS).counts == list(COUNTS)
    assert build_loss("own_losses:Counted", COUNTS).counts == list(COUNTS)


def test_link_is_an_attribute(own):
    assert link_of(build_loss("own_losses:Module", COUNTS), "single-label") == "sigmoid"
    assert link_of(build_loss("own_losses:plain", COUNTS), "single-label") == "softmax"
    assert link_of(build_loss("focal(gamma=2)", COUNTS), "single-label") == "softmax"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("per_sample", r"scalar tensor, it returned shape \(8,\).*mean"),
        ("number", "scalar tensor, it returned float"),
        ("infinite", "is inf on ordinary"),
        ("detached", "gives no gradient"),
        ("constant", "gradient of zero"),
        ("nan_gradient", "gradient that is not finite"),
        ("raises", "RuntimeError: bad shapes"),
        ("Needy", r"needs the arguments gamma.*Needy\(gamma=1\)"),
        ("bad_factory", "factory and returned a int"),
        ("three", "is a int"),
        ("plane", "no 'plane'. Did you mean 'plain'"),
    ],
)
def test_own_losses_that_cannot_train_are_refused(own, name, message):
    with pytest.raises(UsageError, match=message):
        line_up([f"own_losses:{name}"], COUNTS, SINGLE_LABEL)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("no_such_file:loss", "no module named 'no_such_file'"),
        ("broken_losses:loss", "No module named 'package_that_is_not_there'"),
        ("wrong_losses:loss", "ZeroDivisionError"),
        ("focall(gamma=2)", "focal"),
        ("focal(gamma=-1)", "gamma"),
    ],
)
def test_names_that_lead_nowhere_are_refused(own, name, message):
    with pytest.raises(UsageError, match=message):
        line_up([name], COUNTS, SINGLE_LABEL)


def test_cards_hold_the_gain_curve():
    card = loss_card("focal(gamma=2)", COUNTS)
    p, g = card.gain.p, card.gain.g
    assert len(p) == len(g) == 99
    half = g[p.index(0.5)]  # gain of focal: (1-p)^2 - 2 p (1-p) log p
    assert half == pytest.approx(0.25 - 2 * 0.5 * 0.5 * torch.tensor(0.5).log().item(), rel=1e-6)
    assert card.formula


@pytest.mark.parametrize(
    ("name", "what"),
    [("giou", "boxes"), ("mse", "values"), ("triplet", "embeddings"), ("ctc", "sequences")],
)
def test_losses_of_something_else_than_logits_are_refused(name: str, what: str) -> None:
    with pytest.raises(UsageError, match=f"loss '{name}' is called on {what}; .*taylored list"):
        build_loss(name, [3, 2, 1])


def test_sums_are_losses_of_the_catalogue() -> None:
    loss = build_loss("cross_entropy + 0.5 * class_balanced(focal)", [3, 2, 1])
    assert repr(loss) == (
        "CrossEntropyLoss() + 0.5 * "
        "ClassBalancedLoss(FocalLoss(gamma=2), beta=0.999, counts=[3, 2, 1])"
    )
