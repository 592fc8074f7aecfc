"""Run a comparison: tune the learning rate, train what is not on disk, write the results."""

import platform
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.metadata import version
from shlex import quote

import numpy as np
import torch

from taylored.lab.errors import RunError
from taylored.lab.metrics import Metric
from taylored.lab.report.result import FAILURES, Comparison
from taylored.lab.results import LearningRateChoice, Role, RunConfig, TriedRate
from taylored.lab.run.problem import Problem
from taylored.lab.run.progress import Reporter
from taylored.lab.run.trainings import Trainings
from taylored.lab.run.tune_learning_rate import LADDER, Wanted, best_rates, tune
from taylored.lab.run.workers.pool import WorkerPool
from taylored.lab.store.folder import RunFolder, RunRecord
from taylored.lab.store.lease import Leases
from taylored.lab.store.timed_trial import TimedTrial
from taylored.lab.trial.loss_card import loss_card
from taylored.lab.trial.protocol import TrialSpec
from taylored.lab.verdict.summarise import LossTrials, summarise


@dataclass(frozen=True, eq=False)
class Run:
    """A resolved request with everything that is needed to carry it out."""

    record: RunRecord
    problem: Problem
    folder: RunFolder
    leases: Leases
    pool: WorkerPool
    reporter: Reporter

    @property
    def config(self) -> RunConfig:
        """What the run was asked to do."""
        return self.record.config

    @property
    def primary(self) -> Metric:
        """The metric that the run is judged by."""
        return self.problem.task.metrics[self.config.primary_metric]

    @cached_property
    def _trainings(self) -> Trainings:
        return Trainings(
            self.record, self.problem, self.folder, self.leases, self.pool, self.reporter
        )

    def execute(self) -> Comparison:
        """Do what is missing and write the results; the same bytes however often it was stopped."""
        try:
            rates, tried = self._learning_rates()
            specs = self._specs(rates)
            self.reporter.stage("comparing", len(tried) + len(specs))
            timed = self._trainings.run(specs, "comparing")
            return self._conclude(timed, rates, tried)
        except (RunError, KeyboardInterrupt):
            self.reporter.note(
                "Stopped. Finished trials are kept; finish the run with: "
                f"taylored compare --resume {quote(str(self.folder.path))}"
            )
            raise

    def _learning_rates(self) -> tuple[dict[str, float], list[TriedRate]]:
        """The rate of each loss, and all that were tried on the validation part of seed 0."""
        losses, reference = self.config.losses, self.problem.task.baseline
        if self.config.learning_rate is not None:
            return dict.fromkeys(losses, self.config.learning_rate), []
        tuned = (reference,) if self.config.tune_lr == "cross_entropy" else losses
        tried = tune(tuned, self._try, direction=self.primary.direction)
        best = best_rates(tried, self.primary.direction)
        if reference not in best:
            raise RunError(self._no_baseline(reference))
        # A loss that diverged at every rate is run, and recorded, at the rate of the baseline.
        rates = {loss: best.get(loss, best[reference]) for loss in losses}
        return rates, [found for loss in tuned for found in tried[loss]]

    def _try(self, wanted: Wanted) -> list[TriedRate]:
        """Train with these rates on the first seed; how each did on the validation part."""
        self.reporter.add_stage("tuning the learning rate", len(wanted))
        specs = [TrialSpec(loss, self._role_of(loss), 0, rate) for loss, rate in wanted]
        metric = self.primary.key
        return [
            TriedRate(timed.trial.loss, timed.trial.learning_rate, timed.trial.validation(metric))
            for timed in self._trainings.run(specs, "tuning")
        ]

    def _specs(self, rates: dict[str, float]) -> list[TrialSpec]:
        """All trials, seed by seed, so that early results already compare all losses."""
        return [
            TrialSpec(loss, role, seed, rates[loss])
            for seed in range(self.config.seeds)
            for loss, role in self._rows()
        ]

    def _rows(self) -> list[tuple[str, Role]]:
        """The losses of the results with their roles, the control last."""
        rows = [(loss, self._role_of(loss)) for loss in self.config.losses]
        return [*rows, (self.problem.task.baseline, "control")]

    def _role_of(self, loss: str) -> Role:
        return "baseline" if loss == self.problem.task.baseline else "candidate"

    def _conclude(
        self, timed: Sequence[TimedTrial], rates: dict[str, float], tried: Sequence[TriedRate]
    ) -> Comparison:
        config, problem = self.config, self.problem
        results = summarise(
            config,
            problem.summary(),
            LearningRateChoice(
                chosen=rates if config.tune_lr == "each" else rates[problem.task.baseline],
                tuned="fixed" if config.learning_rate is not None else config.tune_lr,
                candidates=tuple(tried),
            ),
            self._measured(timed),
            test_fraction_ratio=problem.test_fraction_ratio,
        )
        comparison = Comparison(results, self.folder.path)
        self._trainings.refuse_another_config()
        self.folder.write_json("timings.json", timings([*self._tuning_trials(tried), *timed]))
        self.folder.write_json("versions.json", current_versions())
        self.folder.write_text("results.json", comparison.to_json() + "\n")
        self.folder.write_text("results.csv", comparison.to_csv())
        self.folder.write_text("report.html", comparison.to_html())
        self._write_failures([*self._tuning_trials(tried), *timed])
        return comparison

    def _write_failures(self, timed: Sequence[TimedTrial]) -> None:
        """Keep why trials failed; no file where none did."""
        failed = [each for each in timed if each.trial.status == "failed"]
        if not failed:
            self.folder.remove(FAILURES)
            return
        reasons = {TrialSpec.of(each.trial).id: each.error for each in failed}
        self.folder.write_json(FAILURES, reasons)

    def _measured(self, timed: Sequence[TimedTrial]) -> list[LossTrials]:
        """The trials of each loss of the results, with its card."""
        trials = defaultdict(list)
        for each in timed:
            trials[each.trial.loss, each.trial.role].append(each.trial)
        rows = []
        for loss, role in self._rows():
            card = loss_card(loss, self.problem.train_counts)
            rows.append(LossTrials(loss, role, card.gain, card.formula, tuple(trials[loss, role])))
        return rows

    def _tuning_trials(self, tried: Sequence[TriedRate]) -> list[TimedTrial]:
        specs = [TrialSpec(r.loss, self._role_of(r.loss), 0, r.learning_rate) for r in tried]
        return [timed for spec in specs if (timed := self._trainings.read(spec)) is not None]

    def _no_baseline(self, reference: str) -> str:
        """Why there is nothing to compare to."""
        specs = [TrialSpec(reference, "baseline", 0, rate) for rate in LADDER]
        errors = [timed.error for spec in specs if (timed := self._trainings.read(spec))]
        if error := next(filter(None, errors), None):
            return f"{reference} failed at every learning rate: {error}"
        return (
            f"{reference} diverged at every learning rate from {LADDER[0]:g} on. Check the "
            "data for extreme values and the model for its initial scale."
        )


def timings(timed: Iterable[TimedTrial]) -> dict[str, object]:
    """Seconds of each trial and of all; a trial of the tuning may be one of the comparison."""
    seconds = {TrialSpec.of(each.trial).id: each.seconds for each in timed}
    return {"trials": seconds, "training_seconds": sum(seconds.values())}


def current_versions() -> dict[str, object]:
    """The versions that the numbers are computed with."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "taylored": version("taylored"),
        "platform": platform.platform(),
        "threads": 1,  # per trial: see taylored.lab.run.workers.pool
    }
