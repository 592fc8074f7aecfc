"""`study` and `resume`: train what is missing on every data set, conclude, write the report."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from pathlib import Path
from shlex import quote
from typing import Final, get_args

from taylored.lab.data import Reading
from taylored.lab.errors import RunError, UsageError
from taylored.lab.run import sources
from taylored.lab.run.checks import check_choice, check_integer
from taylored.lab.run.execute import current_versions
from taylored.lab.run.progress import ProgressMode, Reporter
from taylored.lab.run.workers.pool import WorkerPool, default_workers
from taylored.lab.run_config import Budget
from taylored.lab.store import files
from taylored.lab.store.sealed import as_text, read_sealed, sealed
from taylored.studies.declared import Study
from taylored.studies.judged import headline_of, judge
from taylored.studies.outcome import RESULTS, StudyOutcome, json_text
from taylored.studies.papers import names, study_of
from taylored.studies.records import StudyConfig, StudyResults
from taylored.studies.survey import Survey, survey

DATA: Final = ("kanjivg-strokes", "digits-lt")
"""The data of a study where none are named."""
CONFIG: Final = "study.json"
_PARENT: Final = Path("runs", "study")


@dataclass(frozen=True)
class StudyRecord:
    """The content of `study.json`; relative paths are relative to `started_in`."""

    config: StudyConfig
    started_in: str


def study(
    name: str,
    data: sources.Source | list[sources.Source] | None = None,
    *,
    target: str | None = None,
    budget: Budget = "default",
    repeats: int = 1,
    seed: int = 0,
    epochs: int | None = None,
    workers: int | None = None,
    out: str | Path | None = None,
    progress: ProgressMode = "auto",
) -> StudyOutcome:
    """Repeat the study of a paper, and say whether its claims hold on these data.

    Losses are trained as by `lab.compare`: on five folds, from the same weights and batches, with
    intervals for new data from the same source. Each claim is judged on each data set: it held, it
    did not hold, or it could not be seen, with the smallest effect that would have been seen.

    Args:
        name: one of `studies.names()`, such as "epsilon-sweep".
        data: what `lab.compare` takes, with one class per sample, or a list of several; by default
            the built-in long tail "kanjivg-strokes" and "digits-lt".
        target: the column with the classes, for tables.
        budget: "quick" has fewer settings and about 100 steps for each training: a glimpse, whose
            verdicts are about short trainings. Raising it to "default" takes minutes to an hour.
        repeats: of the five-fold cross-validation; more make smaller effects visible.
        seed: where all randomness starts; the same seed gives the same results, byte for byte.
        epochs: passes over the training part; by default as many as the budget's steps take.
        workers: processes, one thread each; by default one per processor, at most 8.
        out: folder; by default runs/study/<name>-<date>.
        progress: "auto" shows notes, and a bar on a terminal; "off" is silent.

    Returns:
        The outcome, also kept in the folder together with every trial.

    Raises:
        UsageError: for an unknown name, data of another kind, or a folder that is in use.

    Example:
        >>> from taylored import studies
        >>> outcome = studies.study("epsilon-sweep", budget="quick")  # doctest: +SKIP
        >>> print(outcome.table())  # doctest: +SKIP
    """
    check_choice("name", name, names())
    check_choice("budget", budget, get_args(Budget))
    check_choice("progress", progress, get_args(ProgressMode))
    check_integer("seed", seed, least=0)
    for argument, value in (("repeats", repeats), ("epochs", epochs), ("workers", workers)):
        check_integer(argument, value, least=1)
    given = _several(data)
    declared = study_of(name)
    recorded = tuple(sources.recorded_name(each) for each in given)
    config = StudyConfig(name, recorded, target, budget, repeats, seed, epochs, declared.metric)
    record = StudyRecord(config, str(Path.cwd()))
    folder = _create(None if out is None else Path(out).expanduser(), record)
    return _carry_out(declared, config, given, folder, workers, progress)


def resume(
    folder: str | Path,
    *,
    data: sources.Source | list[sources.Source] | None = None,
    workers: int | None = None,
    progress: ProgressMode = "auto",
) -> StudyOutcome:
    """Finish a study that was stopped; the results are those of one unbroken run.

    Args:
        folder: of the study.
        data: where the data are now; the same arrays again, for a study of arrays.
        workers: processes, one thread each.
        progress: as in `study`.

    Raises:
        UsageError: where the folder is none of a study, or data, packages or sources have changed.
    """
    check_choice("progress", progress, get_args(ProgressMode))
    check_integer("workers", workers, least=1)
    path = Path(folder).expanduser()
    try:
        record = read_sealed(StudyRecord, path / CONFIG)
    except (OSError, ValueError) as error:
        raise UsageError(
            f"resume: {path} is not the folder of a study ({error}). Studies are usually in "
            f"{_PARENT}; runs of compare go on with taylored.lab.resume."
        ) from error
    config = record.config
    given = [] if data is None else _several(data)
    if data is None:
        if None in config.data:
            raise UsageError(
                "resume: this study was started from arrays in Python. Give them again: "
                f"taylored.studies.resume({str(path)!r}, data=(features, labels))."
            )
        given = [sources.located(each or "", record.started_in) for each in config.data]
    elif len(given) != len(config.data):
        raise UsageError(f"data: this study has {len(config.data)}, got {len(given)}.")
    return _carry_out(study_of(config.study), config, given, path, workers, progress)


def _several(data: sources.Source | list[sources.Source] | None) -> list[sources.Source]:
    if data is None:
        return [*DATA]
    several: list[sources.Source] = data if isinstance(data, list) else [data]
    if not several:
        raise UsageError("data must name at least one data set, got an empty list.")
    return several


def _create(out: Path | None, record: StudyRecord) -> Path:
    """A folder of its own for the study, which belongs to whom writes `study.json` first."""
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    name = f"{record.config.study}-{stamp}"
    dated = (_PARENT / (name if n == 1 else f"{name}-{n}") for n in count(1))
    for path in dated if out is None else [out]:
        try:
            if path.is_dir() and any(path.iterdir()):
                continue
            path.mkdir(parents=True, exist_ok=True)
            if files.create_text(path / CONFIG, sealed(record)):
                return path
        except OSError as error:
            why = files.reason(error)
            raise UsageError(f"out: cannot write {path}: {why}. Choose another --out.") from error
    raise UsageError(
        f"out: {out} exists already. Choose another folder, or finish the study in it with: "
        f"taylored study --resume {quote(str(out))}"
    )


def _carry_out(
    declared: Study,
    config: StudyConfig,
    given: Sequence[sources.Source],
    folder: Path,
    workers: int | None,
    progress: ProgressMode,
) -> StudyOutcome:
    surveyed: list[Survey] = []
    with Reporter(progress) as reporter, WorkerPool(workers or default_workers()) as pool:
        reporter.note(f"{declared.name}: {declared.question}")
        reporter.note(f"Folder: {folder}")
        pool.start()
        try:
            for number, source in enumerate(given, start=1):
                dataset = sources.read(source, config.target, Reading(), reporter)
                place = folder / f"data-{number}"
                found = survey(
                    declared, config, dataset, config.data[number - 1], place, pool, reporter
                )
                surveyed.append(_alone(found, surveyed))
        except (RunError, KeyboardInterrupt):
            reporter.note(
                "Stopped. Finished trials are kept; finish the study with: "
                f"taylored study --resume {quote(str(folder))}"
            )
            raise
    results = results_of(declared, config, surveyed)
    files.write_text(folder / "versions.json", as_text(current_versions()))
    files.write_text(folder / RESULTS, json_text(results) + "\n")
    outcome = StudyOutcome(results, folder)
    files.write_text(folder / "report.html", outcome.to_html())
    return outcome


def _alone(found: Survey, before: Sequence[Survey]) -> Survey:
    """The survey under a name that none before has."""
    count = sum(each.about.dataset.name == found.about.dataset.name for each in before)
    return replace(found, name=f"{found.name} ({count + 1})") if count else found


def results_of(declared: Study, config: StudyConfig, surveyed: Sequence[Survey]) -> StudyResults:
    """The results of a study, a pure function of what its data sets say."""
    findings, level = judge({each.name: each.conclusion for each in surveyed})
    conclusions = [each.conclusion for each in surveyed]
    return StudyResults(
        config=config,
        title=declared.title,
        question=declared.question,
        headline=headline_of(declared.claims, findings),
        claims=declared.claims,
        findings=findings,
        remarks=tuple(each for found in conclusions for each in found.remarks),
        panels=tuple(panel for found in conclusions for panel in found.panels),
        data=tuple(each.about for each in surveyed),
        level=level,
    )
