"""The segmentation example at a small size, on real characters."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from iou_table import Scores, verdicts
from kanji_pixels import IGNORED, Drawings, draw, read_kanji
from segmentation import LOSSES, confusion, pixels, predict, split, train
from torch import nn

import taylored

SCRIPT = Path(__file__).parents[2] / "examples" / "segmentation.py"
ACROSS = "M10,54.5c30,0,60,0,89,0"  # through the middle of pixels
DOWN = "M54.5,10c0,30,0,60,0,89"


@pytest.fixture(scope="module")
def data() -> Drawings:
    """Some 30 characters, evenly over the script."""
    return draw(read_kanji()[::220], 40)


def trained(name, data, *, epochs):
    part, _ = split(data, 0)
    loss = taylored.get(name, num_classes=len(data.names))
    return train(loss, part, len(data.names), epochs=epochs, lr=3e-3, seed=0)


def test_a_pixel_has_the_type_of_its_stroke_and_none_where_types_cross():
    drawn = draw([[("㇐", ACROSS), ("㇑", DOWN)]], 109)
    assert drawn.names == ("㇐ H", "㇑ S")
    assert drawn.targets[0, 54, 20] == 0
    assert drawn.targets[0, 20, 54] == 1
    assert drawn.targets[0, 54, 54] == drawn.targets[0, 20, 20] == IGNORED
    assert drawn.images[0, 0, 54, 54] == 1
    assert drawn.images[0, 0, 20, 20] == 0
    # Three pixels wide, around the line from 10 to 99.
    assert (drawn.targets[0] == 0).sum() == pytest.approx(3 * 89, rel=0.06)
    same = draw([[("㇐", ACROSS), ("㇐", DOWN)]], 109)
    assert same.targets[0, 54, 54] == 0
    assert same.images.equal(drawn.images)


def test_a_type_too_rare_to_be_tested_is_drawn_but_ignored():
    drawn = draw([[("㇐", ACROSS)]] * 100 + [[("㇞", DOWN)]], 40)
    assert drawn.names == ("㇐ H",)
    assert drawn.left_out == ("㇞ SZZ",)
    assert drawn.targets[-1].eq(IGNORED).all()
    assert drawn.images[-1].max() > 0.5


def test_the_real_characters_have_a_long_tail_and_mostly_paper(data):
    part, test = split(data, 0)
    counts = pixels(part, len(data.names))
    assert counts.max() > 50 * counts[counts > 0].min()
    assert counts.sum() == (part.targets != IGNORED).sum() < 0.2 * part.targets.numel()
    assert len(part.images) == pytest.approx(3 * len(test.images), abs=3)


@pytest.mark.parametrize("name", LOSSES)
def test_the_loss_falls(name, data):
    _, curve = trained(name, data, epochs=6)
    # From the second step on: after the first, the margins of Softmax-EQL alone lower the loss.
    assert curve[-1] < 0.9 * curve[1], curve


class Recording(nn.Module):
    """A loss that keeps what it is given."""

    def __init__(self, loss):
        super().__init__()
        self.loss = loss
        self.logits, self.targets = [], []

    def forward(self, logits, targets):
        self.logits.append(logits.detach())
        self.targets.append(targets)
        return self.loss(logits, targets)


def recorded(name, data, seed):
    part, _ = split(data, seed)
    loss = Recording(taylored.get(name, num_classes=len(data.names)))
    train(loss, part, len(data.names), epochs=2, lr=3e-3, seed=seed)
    return loss


def test_all_losses_get_the_same_split_weights_and_batches(data):
    first, second = (recorded(name, data, 0) for name in (LOSSES[0], LOSSES[2]))
    assert first.logits[0].equal(second.logits[0])
    assert all(map(torch.equal, first.targets, second.targets))
    assert not first.targets[0].equal(first.targets[1])
    assert not first.logits[1].equal(second.logits[1])  # and then each goes its own way


def test_the_seed_decides_everything(data):
    first, again, other = (recorded(LOSSES[1], data, seed) for seed in (0, 0, 1))
    assert first.logits[-1].equal(again.logits[-1])
    assert first.targets[-1].equal(again.targets[-1])
    assert not first.logits[0].equal(other.logits[0])
    assert not first.targets[0].equal(other.targets[0])


def test_ignored_pixels_count_nowhere(data):
    model, _ = trained("cross_entropy", data, epochs=1)
    _, test = split(data, 0)
    classes = len(data.names)
    predicted = predict(model, test.images)
    found = confusion(predicted, test.targets, classes)
    assert found.sum(1).equal(pixels(test, classes))
    predicted[test.targets == IGNORED] = 0
    assert confusion(predicted, test.targets, classes).equal(found)


def test_iou_by_hand():
    scores = Scores.of(torch.tensor([[3, 1, 0], [2, 4, 0], [0, 0, 0]]), [90, 50, 10])
    assert scores.iou[:2].tolist() == pytest.approx([3 / 6, 4 / 7])
    assert scores.iou[2].isnan()
    assert scores.mean_iou == pytest.approx((3 / 6 + 4 / 7) / 2)
    assert scores.pixel_accuracy == pytest.approx(0.7)
    assert scores.groups["head"] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("differences", "said"),
    [
        ((0.050, 0.051, 0.049), "other beats cross_entropy by 5.000 of mean IoU"),
        ((0.050, -0.051, 0.002), "Undecided: no loss is shown to beat cross_entropy"),
        ((0.050,), "no claim"),
    ],
)
def test_the_verdict_is_about_the_spread_over_seeds(differences, said):
    def of(value):
        return Scores(torch.tensor([value, value]), value, value, {})

    base = [0.5, 0.6, 0.55][: len(differences)]
    other = [b + d for b, d in zip(base, differences, strict=True)]
    scores = {"cross_entropy": list(map(of, base)), "other": list(map(of, other))}
    headline, *more = verdicts(scores)
    assert said in headline
    assert bool(more) == (len(differences) > 1)
    assert not more or "For new rows they are too narrow" in more[0]


def test_the_script_prints_every_class_and_draws(tmp_path):
    done = subprocess.run(
        [sys.executable, SCRIPT, "--kanji", "24", "--epochs", "1", "--plot", "some.png"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    chosen = done.stderr.split(" types of strokes")[0].split()[-1]
    rows = [line for line in done.stdout.splitlines() if line and "\u31c0" <= line[0] <= "\u31ef"]
    assert len(rows) == int(chosen) > 15
    for word in (*LOSSES, "mean IoU", "head", "medium", "tail", "pixel accuracy", "no claim"):
        assert word in done.stdout
    assert (tmp_path / "some.png").read_bytes().startswith(b"\x89PNG")
