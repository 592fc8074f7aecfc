"""`resume` and `join`: go on with a run, alone or with others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from taylored.lab.errors import UsageError
from taylored.lab.model.train import Given
from taylored.lab.outcome import Comparison
from taylored.lab.own.naming import GivenLoss, GivenModel, Named, name_losses, name_model
from taylored.lab.own.objects import Objects, is_object
from taylored.lab.run import sources
from taylored.lab.run.checks import (
    check_choice,
    check_integer,
    check_losses,
    check_model_given,
    check_time_limit,
)
from taylored.lab.run.execute import Run
from taylored.lab.run.grow import busy, checked, grown, read_again, write_if_changed
from taylored.lab.run.problem import problem_of
from taylored.lab.run.progress import ProgressMode, Reporter
from taylored.lab.run.workers.pool import WorkerPool, default_workers
from taylored.lab.run_config import RunConfig
from taylored.lab.store.folder import RunFolder
from taylored.lab.store.lease import Leases


def resume(
    folder: str | Path,
    *,
    data: sources.Source | None = None,
    repeats: int | None = None,
    add_losses: Sequence[GivenLoss] = (),
    objects: Sequence[GivenLoss] = (),
    model: GivenModel | None = None,
    workers: int | None = None,
    time_limit: float | None = None,
    progress: ProgressMode = "auto",
) -> Comparison:
    """Finish a run that was stopped, or let it grow; the results are those of one unbroken run.

    Finished trials are kept, trials that failed are begun again. Refused when the data, torch, the
    processor, the executors or the source of your own losses has changed, and while another process
    works on the run (see `join`).

    Args:
        folder: the run folder.
        data: where the data are now; the same arrays again, for a run started from arrays.
        repeats: of the cross-validation, at least as many as the run has; each growth is one more
            look at the data, for which the limits of significance become stricter.
        add_losses: losses to compare besides those of the run, given as to `compare`.
        objects: the loss objects that the run was started with, in the same order.
        model: the function that builds the models, where the run was started with one.
        workers: processes, one thread each.
        time_limit: as in `compare`.
        progress: as in `compare`.

    Returns:
        The comparison.

    """
    check_losses(add_losses)
    check_integer("repeats", repeats, least=1)
    request = _Continuation(data, repeats, tuple(add_losses), tuple(objects), model, "resume")
    return _go_on(Path(folder), request, workers, time_limit, progress)


def join(
    folder: str | Path,
    *,
    data: sources.Source | None = None,
    objects: Sequence[GivenLoss] = (),
    model: GivenModel | None = None,
    workers: int | None = None,
    time_limit: float | None = None,
    progress: ProgressMode = "auto",
) -> Comparison:
    """Take part in a run that other processes work on, here or on machines that see its folder.

    Every trial is trained by one process; the trials of one that dies are taken over. All end with
    the same results.

    Args:
        folder: the run folder.
        data: where the data are for this process; the same arrays, for a run started from arrays.
        objects: as in `resume`.
        model: as in `resume`.
        workers: processes, one thread each.
        time_limit: as in `compare`.
        progress: as in `compare`.

    Returns:
        The comparison.

    """
    request = _Continuation(data, None, (), tuple(objects), model, "join")
    return _go_on(Path(folder), request, workers, time_limit, progress)


@dataclass(frozen=True, eq=False)
class _Continuation:
    """How to go on with a run: alone, and then it may grow, or with others."""

    data: sources.Source | None
    repeats: int | None
    add_losses: tuple[GivenLoss, ...]
    objects: tuple[GivenLoss, ...]
    model: GivenModel | None
    how: Literal["resume", "join"]


def _go_on(
    path: Path,
    request: _Continuation,
    workers: int | None,
    time_limit: float | None,
    progress: ProgressMode,
) -> Comparison:
    check_losses(request.objects)
    if request.model is not None:
        check_model_given(request.model)
    check_choice("progress", progress, get_args(ProgressMode))
    check_integer("workers", workers, least=1)
    check_time_limit(time_limit)
    folder = RunFolder.open(path)
    folder.remove_leftovers()
    named = name_losses((*request.objects, *request.add_losses))
    with (
        Reporter(progress) as reporter,
        Leases(folder.path) as leases,
        WorkerPool(workers or default_workers(), time_limit) as pool,
    ):
        recorded = folder.read_record()
        alone = request.how == "resume"
        if alone and (others := leases.others()):
            raise UsageError(busy(folder.path, others))
        objects = _objects(recorded.config, request, named, path)
        pool.hand_over(objects)
        dataset = read_again(request.data, recorded, path, reporter)
        wanted = grown(recorded, request.repeats, request.data if alone else None)
        problem = problem_of(dataset, wanted.config)
        added = named.names[len(request.objects) :]
        record = checked(wanted, added, problem, folder, pool, reporter)
        if alone:
            write_if_changed(recorded, record, folder, leases)
            folder.forget_failures()
        elif record != recorded:
            raise UsageError("join: the source of your own losses is not that of the run.")
        results = Run(record, problem, folder, leases, pool, reporter).execute()
        return Comparison(results, folder.path, Given(dataset, objects))


def _objects(config: RunConfig, request: _Continuation, losses: Named, path: Path) -> Objects:
    """The objects of the run by name; a UsageError if one is missing, or is none of the run's."""
    objects = dict(losses.objects)
    if request.model is not None:
        model = name_model(request.model)
        if model.names[0] != config.model:
            raise UsageError(f"model: this run has {config.model}, got {model.names[0]}.")
        objects |= model.objects
    strangers = [n for n in losses.names[: len(request.objects)] if n not in config.losses]
    if strangers:
        raise UsageError(
            f"objects: {', '.join(strangers)} is not in this run. add_losses= compares another "
            "loss."
        )
    missing = [name for name in (*config.losses, config.model) if is_object(name)]
    missing = [name for name in missing if name not in objects]
    if missing:
        argument = "model=..." if missing == [config.model] else "objects=[...]"
        raise UsageError(
            f"{request.how}: this run has {', '.join(missing)}, given in Python, which no file "
            f"names. Give it again: taylored.lab.{request.how}({str(path)!r}, {argument})."
        )
    return objects
