"""The losses of a run: the baseline first, every loss once, and none that cannot train."""

from collections.abc import Callable, Sequence

from taylored.lab.data import TaskName
from taylored.lab.own.code import is_own
from taylored.lab.own.settings import ProcessSettings
from taylored.lab.tasks import Task
from taylored.lab.trial.build_loss import build_loss
from taylored.lab.trial.check_loss import check_loss
from taylored.lab.trial.links import require_sigmoid

Examine = Callable[[Sequence[str]], object]
"""Raises a UsageError for losses that cannot train, wherever it runs their code."""


def line_up(
    names: Sequence[str], counts: Sequence[int], task: Task, examine: Examine | None = None
) -> tuple[tuple[str, ...], list[str]]:
    """The losses to run, the baseline first, each once; and notes on what was changed.

    `examine` is given the losses of the user; without it they are examined in this process.
    """
    notes: list[str] = []
    baseline_name = task.baseline
    wanted = [name.strip() for name in names]
    every = dict.fromkeys([baseline_name, *wanted])
    same = {name: _identity(name, counts) for name in every}
    baseline = same[baseline_name]
    chosen = {baseline: baseline_name}
    for name in wanted:
        identity = same[name]
        first = chosen.setdefault(identity, name)
        if identity == baseline and name != baseline_name:
            notes.append(f"{name} is {baseline_name}, which is the baseline of every comparison.")
        elif first != name:
            notes.append(f"{name} is the same loss as {first}: it is run once.")
    for name in sorted({name for name in wanted if wanted.count(name) > 1}):
        notes.append(f"{name} was given {wanted.count(name)} times: it is run once.")
    if not any(same[name] == baseline for name in wanted):
        notes.append(f"{baseline_name} was added: every comparison needs it as the baseline.")
    own = [name for name in chosen.values() if is_own(name)]
    for name in chosen.values():
        if examine is None or name not in own:
            examine_loss(name, counts, task.name)
    if examine is not None:
        examine(own)
    return tuple(chosen.values()), notes


def examine_loss(name: str, counts: Sequence[int], task: TaskName) -> None:
    """Refuse a loss that cannot train on data of this task."""
    settings = ProcessSettings.current()
    loss = build_loss(name, counts)
    settings.restore()  # as before a training
    if task == "multi-label":
        require_sigmoid(name, loss, lambda form: build_loss(form, counts))
    check_loss(name, loss, len(counts), task)


def _identity(name: str, counts: Sequence[int]) -> str:
    """Text that two names share if they mean the same loss."""
    return name if is_own(name) else repr(build_loss(name, counts))
