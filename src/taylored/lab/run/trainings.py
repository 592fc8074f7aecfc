"""The trials of a run: read from its folder, trained here, or awaited from another process."""

from collections import Counter
from collections.abc import Iterator, Sequence

from taylored.lab.errors import RunError
from taylored.lab.own.sources import changed
from taylored.lab.records import from_json, to_json
from taylored.lab.run.guard import Fingerprints
from taylored.lab.run.problem import Problem
from taylored.lab.run.progress import Reporter, Stage, where_of
from taylored.lab.run.workers.pool import Reply, WorkerPool
from taylored.lab.run.workers.process import Request
from taylored.lab.store.folder import RunFolder, RunRecord
from taylored.lab.store.lease import Leases
from taylored.lab.store.timed_trial import TimedTrial
from taylored.lab.trial.protocol import TrialSpec
from taylored.lab.trial_result import TrialResult

_ATTEMPTS = 2
"""How often a trial is begun whose process was ended from outside."""

_WAIT = 0.5  # seconds between two looks at what other processes have finished


class Trainings:
    """Trains what is missing in the folder of a run."""

    def __init__(
        self,
        record: RunRecord,
        problem: Problem,
        folder: RunFolder,
        leases: Leases,
        pool: WorkerPool,
        reporter: Reporter,
    ) -> None:
        self._record = record
        self._problem = problem
        self._folder = folder
        self._leases = leases
        self._pool = pool
        self._reporter = reporter
        self._fingerprints = Fingerprints(record.config, problem, record.guard, record.sources)
        self._sources = {name: dict(files) for name, files in record.sources.items()}
        self._attempts = Counter[TrialSpec]()
        data = problem.dataset
        arrays = (data.features, data.labels, problem.parts)
        about = {
            "kind": "data",
            "protocol": to_json(problem.protocol(record.config)),
            "columns": to_json(data.columns),
        }
        pool.load(Request(about, arrays))

    def read(self, spec: TrialSpec) -> TimedTrial | None:
        """A finished trial of this run, if it is in the folder."""
        return self._folder.read_trial(spec, self._fingerprints.of(spec))

    def run(self, specs: Sequence[TrialSpec], stage: Stage) -> list[TimedTrial]:
        """The trials in the order of `specs`, from disk where they are there."""
        known: dict[TrialSpec, TimedTrial | None] = {spec: self.read(spec) for spec in specs}
        foreign = [s for s, timed in known.items() if timed is None and self._folder.has_trial(s)]
        if foreign:
            self._reporter.note(
                f"{len(foreign)} of the trials in {self._folder.path} are damaged, were edited or "
                "belong to another run: they are trained again."
            )
        for timed in known.values():
            if timed is not None:
                self._finished(self._agreed(timed), stage)
        missing = [spec for spec, timed in known.items() if timed is None]
        for timed in self._train(missing):
            known[TrialSpec.of(timed.trial)] = timed
            self._finished(timed, stage)
        return [timed for timed in known.values() if timed is not None]

    def refuse_another_config(self) -> None:
        """Raise if the settings on disk are no longer those that this run was begun with."""
        if self._folder.read_record() != self._record:
            raise RunError("the settings of this run were changed while it went on.")

    def _train(self, specs: Sequence[TrialSpec]) -> Iterator[TimedTrial]:
        """Train what no other process does, and yield every trial when it is in the folder."""
        waiting, begun = list(specs), 0
        while waiting or begun:
            for spec in [*waiting] if self._pool.idle > 0 else []:
                if self._pool.idle <= 0:
                    break
                if not self._leases.acquire(spec.id):
                    continue
                waiting.remove(spec)
                if timed := self.read(spec):  # another process has just finished it
                    self._leases.release(spec.id)
                    yield self._agreed(timed)
                else:
                    self._submit(spec)
                    begun += 1
            reply = self._pool.next(_WAIT)
            if reply is None:
                for spec in [*waiting]:
                    if timed := self.read(spec):
                        waiting.remove(spec)
                        yield self._agreed(timed)
            elif timed := self._outcome(reply):
                begun -= 1
                yield self._kept(timed)

    def _kept(self, timed: TimedTrial) -> TimedTrial:
        spec = TrialSpec.of(timed.trial)
        self._folder.write_trial(self._agreed(timed), self._fingerprints.of(spec))
        self._leases.release(spec.id)
        return timed

    def _submit(self, spec: TrialSpec) -> None:
        self._attempts[spec] += 1
        runs = (spec.loss, self._record.config.model)
        self._pool.submit(Request({"kind": "trial", "spec": to_json(spec)}, runs=runs))

    def _outcome(self, reply: Reply) -> TimedTrial | None:
        """The trial; one that failed, where it cannot be trained; None if it is begun again."""
        if reply.answer is not None:
            return from_json(TimedTrial, reply.answer, "the answer")
        spec = from_json(TrialSpec, reply.request.content["spec"])
        if reply.lost and self._attempts[spec] < _ATTEMPTS:
            self._reporter.note(
                f"{spec.loss}, {where_of(spec)}: {reply.failed}; it is begun again."
            )
            self._submit(spec)
            return None
        return self._failed(spec, str(reply.failed))

    def _failed(self, spec: TrialSpec, error: str) -> TimedTrial:
        trial = TrialResult(
            spec.loss,
            spec.role,
            spec.repeat,
            spec.fold,
            spec.learning_rate,
            spec.schedule,
            status="failed",
            metrics=dict.fromkeys(self._problem.protocol(self._record.config).followed),
            curve=(),
            weight_decay=spec.weight_decay,
        )
        return TimedTrial(trial, 0.0, error, {})

    def _agreed(self, timed: TimedTrial) -> TimedTrial:
        """The trial; an error if it was made with other files of the user than those before it."""
        for name in (timed.trial.loss, self._record.config.model):
            if name not in self._sources:
                continue
            known = self._sources[name]
            if modules := changed(known, timed.sources):
                raise RunError(
                    f"the source of {', '.join(modules)}, which {name} uses, has changed since the "
                    "run began. Restore it, or start a new run."
                )
            known |= timed.sources
        return timed

    def _finished(self, timed: TimedTrial, stage: Stage) -> None:
        tasks = self._problem.task
        self._reporter.finished(
            timed,
            stage=stage,
            primary=tasks.metrics[self._record.config.primary_metric],
            overall=tasks.metrics[tasks.overall],
        )
