"""Go on with a run: as it was begun, or with more repeats and losses; what is there stays."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from taylored.lab.data import Dataset
from taylored.lab.errors import UsageError
from taylored.lab.own.sources import Sources
from taylored.lab.run import sources
from taylored.lab.run.examine import examine_losses, examine_model
from taylored.lab.run.guard import as_guard, guard_of, refuse_changes
from taylored.lab.run.line_up import line_up
from taylored.lab.run.problem import Problem
from taylored.lab.run.progress import Reporter
from taylored.lab.run.workers.pool import WorkerPool
from taylored.lab.run_config import RunConfig
from taylored.lab.store.folder import RunFolder, RunRecord
from taylored.lab.store.lease import STALE_AFTER, Leases
from taylored.lab.wording import plural


def read_again(
    data: sources.Source | None, recorded: RunRecord, folder: Path, reporter: Reporter
) -> Dataset:
    """The data of a run: those given, or those that it was started with."""
    if data is None and recorded.config.data is None:
        raise UsageError(
            "resume: this run was started from arrays in Python. Give them again: "
            f"taylored.lab.resume({str(folder)!r}, data=(features, labels))."
        )
    if data is None:
        data = sources.located(recorded.config.data or "", recorded.started_in)
    return sources.read(data, recorded.config.target, recorded.config.reading, reporter)


def grown(recorded: RunRecord, repeats: int | None, data: sources.Source | None) -> RunRecord:
    """The record with more repeats, and with the place where the data are now.

    Whoever adds repeats has looked at the results before: every growth is one more look.
    """
    config = recorded.config
    if repeats is not None and repeats < config.repeats:
        raise UsageError(
            f"repeats: this run has {plural(config.repeats, 'repeat')} already, and finished "
            f"trials are kept. Give {config.repeats} or more, not {repeats}."
        )
    if repeats is not None and repeats > config.repeats:
        config = replace(config, repeats=repeats, looks=config.looks + 1)
    grown = replace(recorded, config=config)
    name = sources.recorded_name(data) if data is not None else None
    if name is None or name == config.data:
        return grown
    return replace(grown, config=replace(grown.config, data=name), started_in=str(Path.cwd()))


def checked(
    record: RunRecord,
    add_losses: Sequence[str],
    problem: Problem,
    folder: RunFolder,
    pool: WorkerPool,
    reporter: Reporter,
) -> RunRecord:
    """What the run goes on with; a UsageError if anything it depends on has changed."""
    config = record.config
    refuse_changes(record.guard, guard_of(problem.dataset))
    found: dict[str, Sources] = {}

    def examine(names: Sequence[str]) -> None:
        found.update(examine_losses(pool, names, problem.train_counts, problem.task.name))

    losses = config.losses
    if add_losses:
        wanted = [*losses, *add_losses]
        losses, notes = line_up(wanted, problem.train_counts, problem.task, examine)
        for note in notes:
            reporter.note(note)
    else:
        examine(losses)
    found |= examine_model(pool, config.model, problem)
    fixed = [
        name for name in record.sources if name in found and not _may_change(name, config, folder)
    ]
    refuse_changes(
        as_guard({name: record.sources[name] for name in fixed}),
        as_guard({name: found[name] for name in fixed}),
    )
    return replace(record, config=replace(config, losses=losses), sources=found)


def _may_change(name: str, config: RunConfig, folder: RunFolder) -> bool:
    """Whether nothing in the folder was made with the loss, so that it may have been mended."""
    return name != config.model and not folder.has_finished(name)


def write_if_changed(
    recorded: RunRecord, record: RunRecord, folder: RunFolder, leases: Leases
) -> None:
    """Keep what the run goes on with, unless somebody else works on it."""
    if record == recorded:
        return
    if not leases.acquire("settings") or leases.others():
        raise UsageError(busy(folder.path, leases.others()))
    if folder.read_record() != recorded:
        raise UsageError("resume: the settings of this run were changed just now. Try again.")
    folder.write_record(record)
    leases.release("settings")


def busy(path: Path, others: Sequence[str]) -> str:
    """Why a run cannot be resumed now."""
    return (
        f"resume: {path} is being worked on ({', '.join(others) or 'another process'}). Take part "
        f"with --join, stop the others, or wait {STALE_AFTER:g} s if they were killed."
    )
