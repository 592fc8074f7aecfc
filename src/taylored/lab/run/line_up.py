"""The losses of a run: the baseline first, every loss once, and none that cannot train."""

from collections.abc import Sequence

from taylored.lab.tasks import Task
from taylored.lab.trial.build_loss import build_loss
from taylored.lab.trial.check_loss import check_loss
from taylored.lab.trial.links import LossFunction, require_sigmoid
from taylored.lab.trial.user_code import is_reference


def line_up(
    names: Sequence[str], counts: Sequence[int], task: Task
) -> tuple[tuple[str, ...], list[str]]:
    """The losses to run, the baseline first, each once; and notes on what was changed."""
    notes: list[str] = []
    baseline_name = task.baseline
    wanted = [name.strip() for name in names]
    built = {name: build_loss(name, counts) for name in dict.fromkeys([baseline_name, *wanted])}
    baseline = _identity(baseline_name, built[baseline_name])
    chosen = {baseline: baseline_name}
    for name in wanted:
        identity = _identity(name, built[name])
        first = chosen.setdefault(identity, name)
        if identity == baseline and name != baseline_name:
            notes.append(f"{name} is {baseline_name}, which is the baseline of every comparison.")
        elif first != name:
            notes.append(f"{name} is the same loss as {first}: it is run once.")
    for name in sorted({name for name in wanted if wanted.count(name) > 1}):
        notes.append(f"{name} was given {wanted.count(name)} times: it is run once.")
    if not any(_identity(name, built[name]) == baseline for name in wanted):
        notes.append(f"{baseline_name} was added: every comparison needs it as the baseline.")
    for name in chosen.values():
        if task.name == "multi-label":
            require_sigmoid(name, built[name], lambda form: build_loss(form, counts))
        check_loss(name, built[name], len(counts), task.name)
    return tuple(chosen.values()), notes


def _identity(name: str, loss: LossFunction) -> str:
    """Text that two names share if they mean the same loss."""
    return name if is_reference(name) else repr(loss)
