"""From the outputs of single models to what one loss said about every row."""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from taylored.lab.data import TRAIN, count_labels
from taylored.lab.judgement.trained import Heads, Trained
from taylored.lab.measures import Tested
from taylored.lab.run.problem import Problem
from taylored.lab.store.timed_trial import TimedTrial
from taylored.lab.trial.loss_card import loss_card
from taylored.lab.trial.outputs import Outputs
from taylored.lab.trial_result import Role


def trained(
    name: str, role: Role, rate: float, problem: Problem, timed: Sequence[TimedTrial]
) -> Trained:
    """A loss with its trials and what its models said about every row."""
    card = loss_card(name, problem.train_counts)
    ordered = sorted((each.trial for each in timed), key=lambda trial: (trial.repeat, trial.fold))
    outputs = {(each.trial.repeat, each.trial.fold): each.outputs for each in timed}
    return Trained(
        name=name,
        role=role,
        gain=card.gain,
        formula=card.formula,
        learning_rate=rate,
        trials=tuple(ordered),
        tested=tested_of(problem, outputs),
        heads=_heads(outputs),
    )


def log_priors(problem: Problem) -> Tensor:
    """Log of the share of each class in the training rows of every model.

    Shape:
        Returns (R, K, C); for many labels per row it is the log of the rate of positives.
    """
    classes = len(problem.dataset.class_names)
    shares = []
    for part in problem.parts:
        labels = problem.dataset.labels[part == TRAIN]
        shares.append(count_labels(labels, classes) / len(labels))
    return torch.tensor(np.array(shares)).log().reshape(-1, problem.folds, classes)


def tested_of(problem: Problem, outputs: Mapping[tuple[int, int], Outputs | None]) -> Tested | None:
    """The outputs put together row by row; None where one of the models has none."""
    if not outputs or any(found is None for found in outputs.values()):
        return None
    repeats = 1 + max(repeat for repeat, _ in outputs)
    shape = (repeats, len(problem.tested_labels), len(problem.dataset.class_names))
    scores = torch.empty(shape)
    log_p = torch.empty(shape)
    for (repeat, fold), found in outputs.items():
        assert found is not None  # noqa: S101 - looked at above
        rows = torch.from_numpy(problem.tested[repeat] == fold)
        scores[repeat, rows] = torch.from_numpy(found.score_array)
        own = found.log_p_array
        if own is not None:
            log_p[repeat, rows] = torch.from_numpy(own)
        elif problem.task.name == "multi-label":
            log_p[repeat, rows] = logsigmoid(scores[repeat, rows])
        else:
            log_p[repeat, rows] = torch.log_softmax(scores[repeat, rows], dim=1)
    special = any(found is not None and found.log_p for found in outputs.values())
    labels, folds = problem.tested_labels, problem.tested[:repeats]
    return Tested(scores, labels, folds, log_p if special else None)


def _heads(outputs: dict[tuple[int, int], Outputs | None]) -> Heads | None:
    """The last layers of all models; None where one of them has no linear one."""
    found = [outputs[place] for place in sorted(outputs)]
    heads = [each.head for each in found if each is not None and each.head is not None]
    if not heads or len(heads) < len(found):
        return None
    repeats = 1 + max(repeat for repeat, _ in outputs)

    def stacked(values: list[tuple[float, ...]]) -> Tensor:
        return torch.tensor(values).reshape(repeats, -1, len(values[0]))

    return Heads(stacked([head.norm for head in heads]), stacked([head.bias for head in heads]))
