"""Run a plan: tune the learning rate, run every trial that is not on disk, write the results."""

import json
import platform
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any, Literal

import numpy as np
import torch

from taylored.lab.errors import RunError
from taylored.lab.protocol import Role, TrialSpec
from taylored.lab.report.result import Comparison
from taylored.lab.run.folder import RunFolder
from taylored.lab.run.plan import Plan
from taylored.lab.run.pool import WorkerPool, Workload
from taylored.lab.run.problem import Problem
from taylored.lab.run.progress import Reporter
from taylored.lab.run.tune_learning_rate import LADDER, Candidate, best_rate, next_rates
from taylored.lab.trial.build_loss import describe
from taylored.lab.trial.record import Trial, validation_value
from taylored.lab.verdict.summarise import summarise
from taylored.lab.wording import Metric

Stage = Literal["tuning", "comparing"]


@dataclass(frozen=True, eq=False)
class Run:
    """A plan with everything that is needed to carry it out."""

    plan: Plan
    problem: Problem
    folder: RunFolder
    pool: WorkerPool
    reporter: Reporter

    @property
    def primary(self) -> Metric:
        """What the run is judged by."""
        return self.problem.task.metrics[self.plan.primary_metric]

    def execute(self) -> Comparison:
        """Do what is missing and write the results; the same bytes however often it was stopped."""
        try:
            rates, candidates = self._learning_rates()
            specs = self._specs(rates)
            self.reporter.stage("comparing", len(candidates) + len(specs))
            trials = self._trials(specs, "comparing")
        except (RunError, KeyboardInterrupt):
            self.reporter.note(
                "Stopped. Finished trials are kept; finish the run with: "
                f"taylored compare --resume {self.folder.path}"
            )
            raise
        return self._conclude(trials, rates, candidates)

    def _learning_rates(self) -> tuple[dict[str, float], list[Candidate]]:
        """The rate of each loss, and all that were tried on the validation part of seed 0."""
        plan = self.plan
        if plan.learning_rate is not None:
            return dict.fromkeys(plan.losses, plan.learning_rate), []
        reference = self.problem.task.baseline
        tuned = (reference,) if plan.tune_lr == "cross_entropy" else plan.losses
        direction = self.primary.direction
        tried: dict[str, list[Candidate]] = {loss: [] for loss in tuned}
        while specs := [
            TrialSpec(loss, self._role_of(loss), 0, rate)
            for loss in tuned
            for rate in next_rates(tried[loss], direction)
        ]:
            so_far = sum(map(len, tried.values()))
            self.reporter.stage("tuning the learning rate", so_far + len(specs))
            for trial in self._trials(specs, "tuning"):
                value = validation_value(trial, plan.primary_metric)
                tried[trial["loss"]].append(Candidate(trial["loss"], trial["learning_rate"], value))
        best = {loss: best_rate(tried[loss], direction) for loss in tuned}
        baseline = best[reference]
        if baseline is None:
            raise RunError(
                f"{reference} diverged at every learning rate from {LADDER[0]:g} on. Check the "
                "data for extreme values and the model for its initial scale."
            )
        candidates = [candidate for loss in tuned for candidate in tried[loss]]
        ordered = sorted(candidates, key=lambda c: (tuned.index(c.loss), c.learning_rate))
        # A loss that diverged at every rate is run, and recorded, at the baseline's.
        return {loss: best.get(loss) or baseline for loss in plan.losses}, ordered

    def _specs(self, rates: dict[str, float]) -> list[TrialSpec]:
        """All trials, seed by seed, so that early results already compare all losses."""
        return [
            TrialSpec(loss, role, seed, rates[loss])
            for seed in range(self.plan.seeds)
            for loss, role in self._entries()
        ]

    def _entries(self) -> list[tuple[str, Role]]:
        entries = [(loss, self._role_of(loss)) for loss in self.plan.losses]
        return [*entries, (self.problem.task.baseline, "control")]

    def _role_of(self, loss: str) -> Role:
        """Plain cross-entropy, or its binary form, is what the others are compared with."""
        return "baseline" if loss == self.problem.task.baseline else "candidate"

    def _trials(self, specs: Sequence[TrialSpec], stage: Stage) -> list[Trial]:
        """The trials in the order of `specs`, from disk where they are there."""
        known = {spec.id: self.folder.read_trial(spec) for spec in specs}
        missing = [spec for spec in specs if known[spec.id] is None]
        for trial in known.values():
            if trial is not None:
                self._finished(trial, stage)
        workload = Workload(
            self.plan.protocol(self.problem.task.name, self.problem.groups),
            self.problem.dataset.features,
            self.problem.dataset.labels,
            self.problem.parts,
        )
        for trial in self.pool.run(workload, missing):
            spec = _spec_of(trial)
            self.folder.write_trial(spec, trial)
            known[spec.id] = trial
            self._finished(trial, stage)
        return [trial for trial in known.values() if trial is not None]

    def _finished(self, trial: Trial, stage: Stage) -> None:
        overall = self.problem.task.metrics[self.problem.task.overall]
        self.reporter.finished(trial, stage=stage, primary=self.primary, overall=overall)

    def _conclude(
        self, trials: Sequence[Trial], rates: dict[str, float], candidates: Sequence[Candidate]
    ) -> Comparison:
        plan = self.plan
        grouped: dict[tuple[str, str], list[Trial]] = defaultdict(list)
        for trial in trials:
            grouped[trial["loss"], trial["role"]].append(trial)
        losses = [
            {
                **asdict(describe(loss, self.problem.train_counts)),
                "role": role,
                "trials": grouped[loss, role],
            }
            for loss, role in self._entries()
        ]
        shared = rates[self.problem.task.baseline]
        chosen: float | dict[str, float] = rates if plan.tune_lr == "each" else shared
        learning_rate = {
            "chosen": chosen,
            "tuned": "fixed" if plan.learning_rate is not None else plan.tune_lr,
            "candidates": [asdict(candidate) for candidate in candidates],
        }
        results = summarise(
            plan.to_config(),
            self.problem.to_dict(),
            learning_rate,
            losses,
            test_fraction_ratio=self.problem.test_fraction_ratio,
        )
        # Through JSON, so that a fresh result equals one that is loaded from its folder.
        comparison = Comparison(json.loads(json.dumps(results)), self.folder.path)
        self.folder.write_json("timings.json", self._timings(trials, candidates))
        self.folder.write_json("versions.json", versions())
        self.folder.write_text("results.json", comparison.to_json() + "\n")
        self.folder.write_text("results.csv", comparison.to_csv())
        self.folder.write_text("report.html", comparison.to_html())
        return comparison

    def _timings(self, trials: Sequence[Trial], candidates: Sequence[Candidate]) -> dict[str, Any]:
        tuning = [
            self.folder.read_trial(TrialSpec(c.loss, self._role_of(c.loss), 0, c.learning_rate))
            for c in candidates
        ]
        seconds = {_spec_of(trial).id: trial["seconds"] for trial in [*tuning, *trials] if trial}
        return {"trials": seconds, "training_seconds": sum(seconds.values())}


def versions() -> dict[str, Any]:
    """What the numbers were computed with."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "taylored": version("taylored"),
        "platform": platform.platform(),
        "threads": 1,  # per trial: see taylored.lab.run.pool
    }


def _spec_of(trial: Trial) -> TrialSpec:
    return TrialSpec(trial["loss"], trial["role"], trial["seed"], trial["learning_rate"])
