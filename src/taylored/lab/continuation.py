"""`resume` and `join`: go on with a run, alone or with others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from taylored.lab.errors import UsageError
from taylored.lab.report.result import Comparison
from taylored.lab.run import sources
from taylored.lab.run.checks import check_choice, check_integer, check_losses, check_time_limit
from taylored.lab.run.execute import Run
from taylored.lab.run.grow import busy, checked, grown, read_again, write_if_changed
from taylored.lab.run.problem import problem_of
from taylored.lab.run.progress import ProgressMode, Reporter
from taylored.lab.run.workers.pool import WorkerPool, default_workers
from taylored.lab.store.folder import RunFolder
from taylored.lab.store.lease import Leases


def resume(
    folder: str | Path,
    *,
    data: sources.Source | None = None,
    repeats: int | None = None,
    add_losses: Sequence[str] = (),
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
        add_losses: losses to compare besides those of the run.
        workers: processes, one thread each.
        time_limit: as in `compare`.
        progress: as in `compare`.

    Returns:
        The comparison.

    """
    check_losses(add_losses)
    check_integer("repeats", repeats, least=1)
    request = _Continuation(data, repeats, tuple(add_losses), "resume")
    return _go_on(Path(folder), request, workers, time_limit, progress)


def join(
    folder: str | Path,
    *,
    data: sources.Source | None = None,
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
        workers: processes, one thread each.
        time_limit: as in `compare`.
        progress: as in `compare`.

    Returns:
        The comparison.

    """
    request = _Continuation(data, None, (), "join")
    return _go_on(Path(folder), request, workers, time_limit, progress)


@dataclass(frozen=True, eq=False)
class _Continuation:
    """How to go on with a run: alone, and then it may grow, or with others."""

    data: sources.Source | None
    repeats: int | None
    add_losses: tuple[str, ...]
    how: Literal["resume", "join"]


def _go_on(
    path: Path,
    request: _Continuation,
    workers: int | None,
    time_limit: float | None,
    progress: ProgressMode,
) -> Comparison:
    check_choice("progress", progress, get_args(ProgressMode))
    check_integer("workers", workers, least=1)
    check_time_limit(time_limit)
    folder = RunFolder.open(path)
    folder.remove_leftovers()
    with (
        Reporter(progress) as reporter,
        Leases(folder.path) as leases,
        WorkerPool(workers or default_workers(), time_limit) as pool,
    ):
        recorded = folder.read_record()
        alone = request.how == "resume"
        if alone and (others := leases.others()):
            raise UsageError(busy(folder.path, others))
        dataset = read_again(request.data, recorded, path, reporter)
        wanted = grown(recorded, request.repeats, request.data if alone else None)
        problem = problem_of(dataset, wanted.config)
        record = checked(wanted, request.add_losses, problem, folder, pool, reporter)
        if alone:
            write_if_changed(recorded, record, folder, leases)
            folder.forget_failures()
        elif record != recorded:
            raise UsageError("join: the source of your own losses is not that of the run.")
        return Run(record, problem, folder, leases, pool, reporter).execute()
