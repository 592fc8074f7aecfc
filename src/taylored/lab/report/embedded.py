"""The results inside the page, with as much detail as its size allows."""

import json
from collections.abc import Iterator
from dataclasses import replace

from markupsafe import Markup

from taylored.lab.records import to_json
from taylored.lab.results import LossResult, Results
from taylored.lab.tasks import task_of
from taylored.lab.wording import plural_of


def embedded(results: Results) -> Markup:
    """Results as JSON that no HTML parser can leave: ``<``, ``>``, ``&`` are written as escapes."""
    text = json.dumps(to_json(results), sort_keys=True, separators=(",", ":"), allow_nan=False)
    for character in "<>&":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return Markup(text)  # noqa: S704 - escaped for a script element just above


def shortened(results: Results) -> Iterator[tuple[str, Results]]:
    """The results, then with less and less detail; first what is missing, in words."""
    yield "", results
    task = task_of(results)
    small = replace(results, losses=tuple(map(_without_lists, results.losses)))
    scores = f"per-{task.noun} {task.class_score} and gradient ratio"
    what = f"the curves and the {scores} of single trials"
    yield what, small
    what += f" and the list of {plural_of(task.noun)}"
    dataset = replace(results.dataset, class_names=(), train_counts=(), groups=())
    small = replace(small, dataset=dataset)
    yield what, small
    losses = tuple(replace(loss, class_scores=(), trade_off=()) for loss in small.losses)
    what += f", their {task.class_score} and the trade-off by tau"
    yield what, replace(small, losses=losses)


def _without_lists(loss: LossResult) -> LossResult:
    """The loss without what its trials hold for each class and each epoch."""
    trials = tuple(replace(trial, curve=(), gradient_ratio=None) for trial in loss.trials)
    return replace(loss, trials=trials)
