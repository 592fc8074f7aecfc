"""One data set of a study: its trainings, read or made, and what is concluded from them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from taylored.lab.data import Dataset, Reading
from taylored.lab.errors import UsageError
from taylored.lab.run.budget import STEPS, batch_size_for, epochs_for
from taylored.lab.run.execute import Run
from taylored.lab.run.grow import busy
from taylored.lab.run.guard import guard_of, refuse_changes
from taylored.lab.run.problem import Problem
from taylored.lab.run.progress import Reporter
from taylored.lab.run.workers.pool import WorkerPool
from taylored.lab.run_config import Budget, RunConfig
from taylored.lab.store.folder import CONFIG, RunFolder, RunRecord
from taylored.lab.store.lease import Leases
from taylored.lab.store.timed_trial import TimedTrial
from taylored.lab.trial.models import choose_model
from taylored.lab.trial.protocol import OPTIMIZER, TrialSpec
from taylored.lab.trial_result import WEIGHT_DECAY, LearningRates
from taylored.studies.declared import BASELINE, Conclusion, Study
from taylored.studies.followed import FollowedTraining, follow
from taylored.studies.ground import Ground, Setting
from taylored.studies.records import StudyConfig, Surveyed

QUICK_STEPS: Final = 100
"""Steps of a training of a quick study, which trains ten times as many models as it has minutes."""

_UNTUNED: Final = 1e-2
"""The rate of cross-entropy where settings name their own: one of theirs, so that it is shared."""


@dataclass(frozen=True, eq=False)
class Survey:
    """A data set, how it was trained on, and what it says."""

    name: str
    about: Surveyed
    conclusion: Conclusion = field(repr=False)


def survey(
    declared: Study,
    config: StudyConfig,
    dataset: Dataset,
    source: str | None,
    place: Path,
    pool: WorkerPool,
    reporter: Reporter,
) -> Survey:
    """Train what is missing on one data set, and conclude."""
    if dataset.task != "single-label":
        raise UsageError(
            f"data: {dataset.name} has many labels per sample, and the studies are about one class "
            "per sample. Compare losses on it with taylored compare."
        )
    problem = Problem.draw(dataset, seed=config.seed, repeats=config.repeats)
    problem.check_metric(declared.metric)
    settings = [*dict.fromkeys([BASELINE, *declared.settings(config.budget)])]
    record = _record(declared, config, dataset, source, problem, settings)
    folder = _folder(place, record)
    with Leases(folder.path) as leases:
        if others := leases.others():
            raise UsageError(busy(folder.path, others))
        run = Run(record, problem, folder, leases, pool, reporter)
        rates, _ = run.learning_rates()
        # A study that only follows trainings tests none.
        timed = _trained(run, settings if len(settings) > 1 else [], rates)
        followed: tuple[FollowedTraining, ...] = ()
        if declared.followed is not None:
            loss = declared.followed
            followed = follow(run, loss, rates.chosen[loss], rates.decays[loss])
    ground = Ground(dataset.name, problem, config.budget, rates, timed, followed)
    about = Surveyed(
        dataset=problem.summary(),
        model=record.config.model,
        epochs=record.config.epochs,
        batch_size=record.config.batch_size,
        trainings=sum(map(len, timed.values())) + len(followed),
        learning_rate=rates,
    )
    return Survey(dataset.name, about, declared.conclude(ground))


def _trained(
    run: Run, settings: Sequence[Setting], rates: LearningRates
) -> Mapping[Setting, list[TimedTrial]]:
    """The trials of each setting; a rate that equals the tuned one is not trained twice."""
    specs = {
        (setting, repeat, fold): TrialSpec(
            setting.loss,
            "baseline" if setting.loss == BASELINE.loss else "candidate",
            repeat,
            fold,
            rates.chosen[setting.loss] if setting.rate is None else setting.rate,
            weight_decay=rates.decays[setting.loss],
        )
        for repeat in range(run.config.repeats)
        for fold in range(run.problem.folds)
        for setting in settings
    }
    wanted = [*dict.fromkeys(specs.values())]
    run.reporter.add_stage("training", len(wanted))
    found = {TrialSpec.of(each.trial): each for each in run.trainings.run(wanted, "comparing")}
    timed: dict[Setting, list[TimedTrial]] = {setting: [] for setting in settings}
    for (setting, _, _), spec in specs.items():
        timed[setting].append(found[spec])
    return timed


def _record(
    declared: Study,
    config: StudyConfig,
    dataset: Dataset,
    source: str | None,
    problem: Problem,
    settings: Sequence[Setting],
) -> RunRecord:
    """The trainings as a run of the lab, which keeps and resumes them."""
    rows = problem.rows["train"]
    batch_size = batch_size_for(rows, dataset.task)
    run = RunConfig(
        losses=tuple(dict.fromkeys(setting.loss for setting in settings)),
        data=source,
        target=config.target,
        reading=Reading(),
        model=choose_model("auto", dataset.kind, dataset.task),
        budget=config.budget,
        repeats=config.repeats,
        until="done",
        looks=1,
        seed=config.seed,
        epochs=config.epochs or epochs_of(config.budget, rows, batch_size),
        batch_size=batch_size,
        primary_metric=declared.metric,
        tune_lr=(config.budget == "default" and declared.tune) or "cross_entropy",
        learning_rate=_UNTUNED if declared.tune is None else None,
        optimizer=OPTIMIZER,
        weight_decay=(WEIGHT_DECAY,),
    )
    return RunRecord(run, guard_of(dataset), {}, str(Path.cwd()))


def epochs_of(budget: Budget, rows: int, batch_size: int) -> int:
    """Passes over so many training rows: those of a comparison, or fewer for a quick study."""
    if budget == "default":
        return epochs_for(rows, batch_size, STEPS["single-label"]["default"])
    return max(1, round(QUICK_STEPS / max(1, rows // batch_size)))


def _folder(place: Path, record: RunRecord) -> RunFolder:
    """The folder of the trainings, new or from before; refused where anything has changed."""
    if not (place / CONFIG).is_file():
        return RunFolder.create(place, record)
    folder = RunFolder.open(place)
    before = folder.read_record()
    refuse_changes(before.guard, record.guard)
    same = (before.config.losses, before.config.epochs) == (
        record.config.losses,
        record.config.epochs,
    )
    if not same:
        raise UsageError(
            f"resume: {place} was trained for another version of this study. Start a new one."
        )
    folder.remove_leftovers()
    folder.forget_failures()
    return folder
