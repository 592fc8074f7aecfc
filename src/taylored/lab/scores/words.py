"""What has to be said about scores whose training this library has not seen."""

from collections.abc import Sequence
from statistics import median

from taylored.lab.judgement.free import UNMOVED
from taylored.lab.judgement.remarks import caveats
from taylored.lab.results import LossResult
from taylored.lab.scores.described import Setting
from taylored.lab.scores.read import Read
from taylored.lab.tasks import SINGLE_LABEL


def design_of(read: Read) -> tuple[int, int]:
    """Repeats and folds."""
    if read.numbers:
        return len(next(iter(read.numbers.values()))), 1
    tested = next(iter(read.tested.values()))
    return tested.repeats, tested.fold_count


def test_of(read: Read) -> str:
    """How the differences are tested."""
    if read.numbers:
        return "paired t-test over trainings, for one test set"
    if read.folds_given:
        return "paired, over examples and trainings: every row tested by cross-validation"
    return "paired, over examples and trainings: for one test set"


def warnings_of(setting: Setting, repeats: int, folds: int) -> list[str]:
    """What a reader has to know before any number."""
    read, found = setting.read, []
    if not read.numbers and folds == 1 and repeats == 1:
        found.append(
            "There is one training of each loss: no interval can say how another would come out. "
            "Give several, with a first axis for them, or a cross-validation with folds=."
        )
    if read.numbers:
        found.append(
            "One number per training: the intervals are for other trainings, tested on the same "
            "rows. For new rows they are too narrow; predictions of every row would tell."
        )
    key = setting.primary.key
    if setting.task.name == "multi-label" or key in UNMOVED or key not in SINGLE_LABEL.metrics:
        return found  # no adjustment would help
    if not read.tested_logits:
        found.append(
            f"What {setting.task.reference} reaches for nothing, by adjusting its scores after "
            "training, cannot be seen here: give logits (rows, classes)."
        )
    elif setting.priors is None:
        found.append(
            f"What {setting.task.reference} reaches for nothing, by adjusting its scores after "
            "training, needs train_counts=, the training samples of each class."
        )
    return found


def closing_of(losses: Sequence[LossResult], setting: Setting) -> list[str]:
    """How small a difference these scores can show."""
    candidates = [loss for loss in losses if loss.role == "candidate"]
    primary = setting.primary
    if not setting.read.numbers:
        return caveats(candidates, primary, setting.task.examples)
    found = [loss.against_baseline(primary.key) for loss in candidates]
    visible = [each.smallest for each in found if each.smallest is not None]
    if not visible:
        return []
    return [
        f"These trainings show a difference of {primary.value(median(visible))}{primary.unit} with "
        "a chance of 80 %, on these test rows; smaller ones may exist."
    ]
