"""Run a comparison: tune the learning rates, train what is not on disk, write the results."""

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
from taylored.lab.judgement.summarise import summarise
from taylored.lab.judgement.words import decidable
from taylored.lab.metrics import Metric
from taylored.lab.report import render
from taylored.lab.report.written import FAILURES, RESULTS, TIMINGS, csv_text, json_text
from taylored.lab.results import Results
from taylored.lab.run.gather import log_priors, trained
from taylored.lab.run.problem import Problem
from taylored.lab.run.progress import Reporter
from taylored.lab.run.trainings import Trainings
from taylored.lab.run.tune_learning_rate import (
    FEWEST_ROWS,
    Judge,
    Wanted,
    best_tried,
    tune,
)
from taylored.lab.run.workers.pool import WorkerPool
from taylored.lab.run_config import RunConfig
from taylored.lab.store.folder import RunFolder, RunRecord
from taylored.lab.store.lease import Leases
from taylored.lab.store.sealed import sealed
from taylored.lab.store.tested_rows import ROWS
from taylored.lab.store.timed_trial import TimedTrial
from taylored.lab.trial.protocol import TrialSpec
from taylored.lab.trial_result import LADDER, LearningRates, Role, TrialResult, TriedRate
from taylored.lab.wording import join, plural


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
    def trainings(self) -> Trainings:
        """The trials of this run: read from its folder, or trained."""
        return Trainings(
            self.record, self.problem, self.folder, self.leases, self.pool, self.reporter
        )

    def execute(self) -> Results:
        """Do what is missing and write the results; the same bytes however often it was stopped."""
        try:
            rates, tried = self.learning_rates()
            timed = self._train(self.config.losses, range(self.config.repeats), rates)
            results = self._results(timed, rates)
            if self.config.until == "decided" and (again := decidable(results)):
                self.reporter.note(
                    f"{plural(len(again), 'loss')} undecided after {self._repeats_text}: "
                    f"another repeat for {join(again)}."
                )
                again = [self.problem.task.baseline, *again]
                timed += self._train(again, [self.config.repeats], rates)
                results = self._results(timed, rates)
            return self._conclude(results, timed, tried)
        except (RunError, KeyboardInterrupt):
            self.reporter.note(
                "Stopped. Finished trials are kept; finish the run with: "
                f"taylored compare --resume {quote(str(self.folder.path))}"
            )
            raise

    @property
    def _repeats_text(self) -> str:
        return plural(self.config.repeats, "repeat")

    def _train(
        self, losses: Sequence[str], repeats: Sequence[int], rates: LearningRates
    ) -> list[TimedTrial]:
        """Train fold by fold, so that early results already compare all losses."""
        specs = [
            TrialSpec(
                loss,
                self._role_of(loss),
                repeat,
                fold,
                rates.chosen[loss],
                weight_decay=rates.decays[loss],
            )
            for repeat in repeats
            for fold in range(self.problem.folds)
            for loss in losses
        ]
        self.reporter.add_stage("comparing", len(specs))
        return self.trainings.run(specs, "comparing")

    def learning_rates(self) -> tuple[LearningRates, list[TimedTrial]]:
        """Rate and weight decay of each loss, and the trainings that they were found by."""
        losses, reference = self.config.losses, self.problem.task.baseline
        given, decays = self.config.learning_rate, self.config.weight_decay
        if given is not None and len(decays) == 1:
            fixed, decay = dict.fromkeys(losses, given), dict.fromkeys(losses, decays[0])
            return LearningRates(fixed, "fixed", "", (), (), decay), []
        tuned = (reference,) if self.config.tune_lr == "cross_entropy" else losses
        judge = self._judge
        trainings: list[TimedTrial] = []

        def attempt(wanted: Wanted) -> list[TriedRate]:
            self.reporter.add_stage("tuning the learning rates", len(wanted))
            specs = [self._short(loss, rate, decay) for loss, rate, decay in wanted]
            done = self.trainings.run(specs, "tuning")
            trainings.extend(done)
            return [self._tried(each.trial) for each in done]

        tried = tune(tuned, attempt, judge, decays, given)
        best = best_tried(tried, judge)
        if reference not in best:
            raise RunError(self._no_baseline(reference))
        # A loss that diverged at every rate is run, and recorded, at the rate of the baseline.
        own = {loss: best.get(loss, best[reference]) for loss in losses}
        rates = LearningRates(
            chosen={loss: found.learning_rate for loss, found in own.items()},
            decays={loss: found.weight_decay for loss, found in own.items()},
            tuned=self.config.tune_lr if given is None else "fixed",
            judged_by="nll" if judge.coarse else self.config.primary_metric,
            tied=tuple(loss for loss in tuned if judge.tied(tried[loss])),
            candidates=tuple(found for loss in tuned for found in tried[loss]),
        )
        return rates, trainings

    @property
    def _judge(self) -> Judge:
        rows = self.problem.rows["validation"]
        coarse = rows < FEWEST_ROWS or self.primary.key == "nll"
        return Judge(self.primary.direction, coarse)

    def _short(self, loss: str, rate: float, decay: float) -> TrialSpec:
        return TrialSpec(loss, self._role_of(loss), 0, 0, rate, "third", decay)

    def _tried(self, trial: TrialResult) -> TriedRate:
        metric, nll = trial.validation(self.primary.key), trial.validation("nll")
        return TriedRate(trial.loss, trial.learning_rate, metric, nll, trial.weight_decay)

    def _role_of(self, loss: str) -> Role:
        return "baseline" if loss == self.problem.task.baseline else "candidate"

    def _results(self, timed: Sequence[TimedTrial], rates: LearningRates) -> Results:
        found = defaultdict(list)
        for each in timed:
            found[each.trial.loss].append(each)
        losses = [
            trained(loss, self._role_of(loss), rates.chosen[loss], self.problem, found[loss])
            for loss in self.config.losses
        ]
        priors = log_priors(self.problem)
        return summarise(self.config, self.problem.summary(), rates, losses, priors)

    def _conclude(
        self, results: Results, timed: Sequence[TimedTrial], tuning: Sequence[TimedTrial]
    ) -> Results:
        self.trainings.refuse_another_config()
        self.folder.write_json(TIMINGS, timings([*tuning, *timed]))
        self.folder.write_json("versions.json", current_versions())
        self.folder.write_text(ROWS, sealed(self.problem.tested_rows))
        self.folder.write_text(RESULTS, json_text(results) + "\n")
        self.folder.write_text("results.csv", csv_text(results))
        self.folder.write_text("report.html", render(results, self.folder.path))
        self._write_failures([*tuning, *timed])
        return results

    def _write_failures(self, timed: Sequence[TimedTrial]) -> None:
        """Keep why trials failed; no file where none did."""
        failed = [each for each in timed if each.trial.status == "failed"]
        if not failed:
            self.folder.remove(FAILURES)
            return
        reasons = {TrialSpec.of(each.trial).id: each.error for each in failed}
        self.folder.write_json(FAILURES, reasons)

    def _no_baseline(self, reference: str) -> str:
        """Why there is nothing to compare to."""
        rates = [self.config.learning_rate] if self.config.learning_rate else LADDER
        decays = self.config.weight_decay
        specs = [self._short(reference, rate, decay) for decay in decays for rate in rates]
        errors = [timed.error for spec in specs if (timed := self.trainings.read(spec))]
        if error := next(filter(None, errors), None):
            return f"{reference} failed at every learning rate: {error}"
        return (
            f"{reference} diverged at every learning rate from {LADDER[0]:g} on. Check the "
            "data for extreme values and the model for its initial scale."
        )


def timings(timed: Iterable[TimedTrial]) -> dict[str, object]:
    """Seconds of each trial and of all."""
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
