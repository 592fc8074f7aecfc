"""Whole comparisons of which a careful statistician knows what must come out."""

import numpy as np
import pytest

from taylored import lab
from taylored.lab.data import load
from taylored.lab.run.tune_learning_rate import FEWEST_ROWS
from taylored.lab.trial_result import LADDER

SETTINGS = {"workers": 1, "progress": "off"}


MODEL = """
from torch import nn

def from_zero(shape, classes):
    model = nn.Sequential(nn.Linear(*shape, classes))
    nn.init.zeros_(model[0].weight), nn.init.zeros_(model[0].bias)
    return model
"""


@pytest.fixture(scope="module")
def rare(tmp_path_factory):
    """Two classes, 1 : 40, that overlap: no rate makes cross-entropy predict the rare one."""
    rng = np.random.default_rng(0)
    labels = (np.arange(2870) % 41 == 0).astype(int)
    features = rng.normal(size=(2870, 4)) + 0.45 * labels[:, None] * [1, 1, 0, 0]
    folder = tmp_path_factory.mktemp("conclusions")
    (folder / "conclusion_models.py").write_text(MODEL)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return lab.compare(
            ["balanced_softmax"],
            (features, labels),
            model="conclusion_models:from_zero",
            epochs=6,
            out="rare",
            **SETTINGS,
        ).results


def test_rates_that_tie_at_1_to_40_are_a_warning_and_never_the_end_of_the_ladder(rare):
    rates = rare.learning_rate
    assert rare.dataset.rows["validation"] >= FEWEST_ROWS
    assert rates.judged_by == "balanced_accuracy"
    tried = [found for found in rates.candidates if found.loss == "cross_entropy"]
    assert {found.validation for found in tried} == {0.5}, "this test needs a tie"
    assert "cross_entropy" in rates.tied
    assert rates.chosen["cross_entropy"] == min(tried, key=lambda found: found.nll).learning_rate
    assert rates.chosen["cross_entropy"] > 1e-3
    assert LADDER[0] not in {found.learning_rate for found in tried}
    told, majority = rare.verdict.warnings[1], rare.verdict.warnings[0]
    assert told.startswith("The metric cannot tell the learning rates of cross_entropy")
    assert majority.startswith("Cross-entropy predicts the majority only (100 % of the rows)")


def test_what_looks_like_a_victory_at_1_to_40_is_free(rare):
    by_name = {loss.name: loss for loss in rare.losses}
    balanced = by_name["balanced_softmax"]
    assert balanced.against_baseline("balanced_accuracy").difference > 0.05
    assert balanced.verdict == "free gain"
    assert rare.verdict.ranking == ()
    assert rare.verdict.free.startswith("cross_entropy")
    assert rare.verdict.free != "cross_entropy"
    found = balanced.against_baseline("auroc")
    assert found.low < 0.02, "nor does it rank the rows better"


def test_balanced_softmax_is_not_better_than_adjusted_cross_entropy_on_strokes(tmp_path):
    """Real strokes, a sixteenth of them."""
    strokes = load("kanjivg-strokes")
    rows = np.arange(0, len(strokes.labels), 16)
    names = np.array(strokes.class_names)[strokes.labels[rows]]
    found = lab.compare(
        ["balanced_softmax"],
        (strokes.features[rows], names),
        model="mlp",
        epochs=6,
        lr=0.01,
        out=tmp_path / "run",
        **SETTINGS,
    ).results
    balanced = next(loss for loss in found.losses if loss.name == "balanced_softmax")
    plain = balanced.against_baseline("balanced_accuracy")
    free = balanced.against_free("balanced_accuracy")
    assert plain.difference > 0.05
    assert plain.beyond_noise
    assert balanced.against_baseline("accuracy").difference < -0.05
    assert abs(free.difference) < plain.difference / 3
    assert balanced.verdict == "free gain"
    assert "reaches for nothing" in found.verdict.headline
    assert "overall accuracy -" in found.verdict.headline
