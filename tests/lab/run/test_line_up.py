"""The losses of a run: the baseline first, every loss once, and notes on what was changed."""

from taylored.lab.run.line_up import line_up
from taylored.lab.tasks import SINGLE_LABEL

COUNTS = (120, 30, 4)


def test_the_default_losses_all_work():
    names, notes = line_up(SINGLE_LABEL.losses, COUNTS, SINGLE_LABEL)
    assert names == SINGLE_LABEL.losses
    assert notes == []


def test_cross_entropy_is_added_and_comes_first():
    names, notes = line_up(["focal(gamma=2)"], COUNTS, SINGLE_LABEL)
    assert names == ("cross_entropy", "focal(gamma=2)")
    assert len(notes) == 1
    assert "cross_entropy was added" in notes[0]
    assert line_up(["focal(gamma=2)", "cross_entropy"], COUNTS, SINGLE_LABEL) == (names, [])


def test_the_same_loss_in_other_words_runs_once():
    given = ["focal(gamma=2)", "focal(gamma=2.0)", "cross_entropy()", "focal(gamma=2)"]
    names, notes = line_up(given, COUNTS, SINGLE_LABEL)
    assert names == ("cross_entropy", "focal(gamma=2)")
    assert "focal(gamma=2.0) is the same loss as focal(gamma=2)" in notes[0]
    assert "cross_entropy() is cross_entropy" in notes[1]
    assert "focal(gamma=2) was given 2 times" in notes[2]
