"""Losses for many labels: the line-up, the counts, and refusals that name the fix."""

import pytest
import torch

from taylored.lab.errors import UsageError
from taylored.lab.run.line_up import line_up
from taylored.lab.tasks import MULTI_LABEL
from taylored.lab.trial.build_loss import build_loss
from taylored.lab.trial.links import link_of

COUNTS = (120, 60, 30, 4)
OWN = """
import torch
from torch import nn
from torch.nn import functional as F

def plain(logits, target):
    return F.binary_cross_entropy_with_logits(logits, target)

def for_classes(logits, target):
    return F.cross_entropy(logits, target.long().argmax(dim=1).reshape(-1, 1))

class Softmax(nn.Module):
    link = "softmax"

    def forward(self, logits, target):
        return F.cross_entropy(logits, target)
"""


@pytest.fixture
def own(tmp_path, monkeypatch):
    (tmp_path / "own_label_losses.py").write_text(OWN)
    monkeypatch.chdir(tmp_path)
    return "own_label_losses"


def test_the_line_up_works_with_the_baseline_first():
    names, notes = line_up(MULTI_LABEL.losses, COUNTS, MULTI_LABEL)
    assert names == MULTI_LABEL.losses
    assert names[0] == MULTI_LABEL.baseline
    assert notes == []


def test_binary_cross_entropy_is_added():
    names, notes = line_up(['focal(gamma=2, link="sigmoid")'], COUNTS, MULTI_LABEL)
    assert names == ("binary_cross_entropy", 'focal(gamma=2, link="sigmoid")')
    assert "binary_cross_entropy was added" in notes[0]
    again, notes = line_up(['focal(gamma=0, link="sigmoid")', "binary_cross_entropy()"], COUNTS,
                           MULTI_LABEL)  # fmt: skip
    assert again == ("binary_cross_entropy", 'focal(gamma=0, link="sigmoid")')
    assert "binary_cross_entropy() is binary_cross_entropy" in notes[0]


def test_counts_are_the_positives_of_the_labels():
    name = 'class_balanced(binary_cross_entropy, beta=0.999, weighting="class")'
    assert name in MULTI_LABEL.losses
    loss = build_loss(name, COUNTS)
    assert "counts=[120, 60, 30, 4]" in repr(loss)
    assert loss(torch.zeros(2, 4), torch.ones(2, 4)).ndim == 0


@pytest.mark.parametrize(
    ("name", "fix"),
    [
        ("cross_entropy", "Use binary_cross_entropy."),
        ("cross_entropy()", "Use binary_cross_entropy."),
        ("focal", 'Use focal(link="sigmoid").'),
        ("focal()", 'Use focal(link="sigmoid").'),
        ("focal(gamma=2)", 'Use focal(gamma=2, link="sigmoid").'),
        ('focal(gamma=2, link="softmax")', 'Use focal(gamma=2, link="sigmoid").'),
        ("poly(epsilon=[1, 2])", 'Use poly(epsilon=[1, 2], link="sigmoid").'),
        (
            "class_balanced(cross_entropy, beta=0.99)",
            'Use class_balanced(binary_cross_entropy, beta=0.99, weighting="class").',
        ),
        (
            "class_balanced(focal(gamma=1), beta=0.9)",
            'Use class_balanced(focal(gamma=1, link="sigmoid"), beta=0.9, weighting="class").',
        ),
    ],
)
def test_softmax_losses_are_refused_and_the_fix_works(name, fix):
    with pytest.raises(UsageError) as caught:
        line_up([name], COUNTS, MULTI_LABEL)
    assert "multi-label data need the sigmoid link" in str(caught.value)
    assert str(caught.value).endswith(fix)
    line_up([fix.removeprefix("Use ").removesuffix(".")], COUNTS, MULTI_LABEL)


def test_weights_by_sample_have_no_meaning_for_many_labels():
    with pytest.raises(UsageError, match='weighting="class"'):
        line_up(["class_balanced(binary_cross_entropy)"], COUNTS, MULTI_LABEL)


def test_own_losses_are_taken_as_sigmoid_unless_they_say_otherwise(own):
    names, _ = line_up([f"{own}:plain"], COUNTS, MULTI_LABEL)
    assert names[1] == f"{own}:plain"
    assert link_of(build_loss(names[1], COUNTS), "multi-label") == "sigmoid"
    with pytest.raises(UsageError, match="Use a loss of that link, such as focal"):
        line_up([f"{own}:Softmax"], COUNTS, MULTI_LABEL)
    with pytest.raises(UsageError, match=r"targets \(8, 4\) of type float32"):
        line_up([f"{own}:for_classes"], COUNTS, MULTI_LABEL)
