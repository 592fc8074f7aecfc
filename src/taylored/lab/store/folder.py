"""The folder of a run. Every file is written whole or not at all, so a run may be killed."""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from shlex import quote

from taylored.lab.errors import RunError, UsageError
from taylored.lab.own.sources import Sources
from taylored.lab.run_config import RunConfig
from taylored.lab.store import files
from taylored.lab.store.sealed import as_text, read_sealed, sealed
from taylored.lab.store.timed_trial import KeptTrial, TimedTrial
from taylored.lab.trial.protocol import TrialSpec

DEFAULT_PARENT = Path("runs", "compare")
CONFIG = "config.json"


@dataclass(frozen=True)
class RunRecord:
    """The content of `config.json`: what the run was started with.

    `guard` holds what must not change before the run goes on, `sources` the files behind each loss
    or model of the user. A relative path in the settings is relative to `started_in`.
    """

    config: RunConfig
    guard: Mapping[str, str]
    sources: Mapping[str, Sources]
    started_in: str


@dataclass(frozen=True)
class RunFolder:
    """Reads and writes the files of one run."""

    path: Path

    @classmethod
    def create(cls, out: Path | None, record: RunRecord) -> "RunFolder":
        """A new folder: `out`, or `runs/compare/<date>-<time>` in the current folder.

        The folder belongs to the run whose `config.json` is written first.
        """
        for path in _dated() if out is None else [_expanded(out)]:
            if cls._claimed(path, record):
                return cls(path)
        raise UsageError(
            f"out: {out} exists already. Choose another folder, or finish the run in it "
            f"with: taylored compare --resume {quote(str(out))}"
        )

    @classmethod
    def _claimed(cls, path: Path, record: RunRecord) -> bool:
        """Make the folder this run's, unless there is something in it."""
        try:
            if path.is_dir() and not all(map(files.is_leftover, path.iterdir())):
                return False
            if path.exists() and not path.is_dir():
                return False
            path.mkdir(parents=True, exist_ok=True)
            if not files.create_text(path / CONFIG, sealed(record)):
                return False
            (path / "trials").mkdir(exist_ok=True)
        except (OSError, ValueError, RunError) as error:
            why = files.reason(error) if isinstance(error, OSError) else str(error)
            raise UsageError(f"out: cannot write {path}: {why}. Choose another --out.") from error
        return True

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The folder of an earlier run."""
        path = _expanded(path)
        try:
            if not (path / CONFIG).is_file():
                raise UsageError(
                    f"resume: {path} is not the folder of a run (it has no {CONFIG}). "
                    f"Runs are usually in {DEFAULT_PARENT}."
                )
            (path / "trials").mkdir(exist_ok=True)
        except OSError as error:
            raise UsageError(f"resume: {path} cannot be used: {files.reason(error)}.") from error
        return cls(path)

    def read_record(self) -> RunRecord:
        """What the run was started with."""
        file = self.path / CONFIG
        try:
            return read_sealed(RunRecord, file)
        except ValueError as error:
            raise UsageError(
                f"resume: {file} is damaged or from another version of taylored ({error}). "
                "Restore it, or start a new run."
            ) from error
        except OSError as error:
            raise UsageError(f"resume: {file} cannot be read: {files.reason(error)}.") from error

    def write_record(self, record: RunRecord) -> None:
        """Keep what the run goes on with."""
        self.write_text(CONFIG, sealed(record))

    def read_trial(self, spec: TrialSpec, belongs_to: str) -> TimedTrial | None:
        """A finished trial, or None if it is missing, damaged, edited or of something else."""
        try:
            kept = read_sealed(KeptTrial, self.path / _trial_file(spec))
        except (OSError, ValueError):
            return None
        same = kept.belongs_to == belongs_to and TrialSpec.of(kept.content.trial) == spec
        return kept.content if same else None

    def has_trial(self, spec: TrialSpec) -> bool:
        """Whether there is a file for the trial, whatever is in it."""
        return (self.path / _trial_file(spec)).exists()

    def write_trial(self, timed: TimedTrial, belongs_to: str) -> None:
        """Keep a finished trial."""
        kept = KeptTrial(belongs_to, timed)
        self.write_text(_trial_file(TrialSpec.of(timed.trial)), sealed(kept))

    def forget_failures(self) -> None:
        """Delete the trials that failed, so that they are begun again."""
        for name, kept in self._all_trials():
            if kept.content.trial.status == "failed":
                self.remove(f"trials/{name}")

    def has_finished(self, loss: str) -> bool:
        """Whether the loss has a trial that did not fail."""
        trials = (kept.content.trial for _, kept in self._all_trials())
        return any(trial.loss == loss and trial.status != "failed" for trial in trials)

    def _all_trials(self) -> Iterator[tuple[str, KeptTrial]]:
        for file in sorted((self.path / "trials").glob("*.json")):
            with suppress(OSError, ValueError):
                yield file.name, read_sealed(KeptTrial, file)

    def write_json(self, name: str, content: Mapping[str, object]) -> None:
        """Write JSON with sorted keys; a NaN is an error."""
        self.write_text(name, as_text(content))

    def write_text(self, name: str, text: str) -> None:
        """Write a file whole or not at all."""
        files.write_text(self.path / name, text)

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise RunError(f"cannot delete {self.path / name}: {files.reason(error)}.") from error

    def remove_leftovers(self) -> None:
        """Delete temporary files of processes that were killed while writing, long ago."""
        for folder in (self.path, self.path / "trials", self.path / "leases"):
            files.remove_leftovers(folder)


def _trial_file(spec: TrialSpec) -> str:
    return f"trials/{spec.id}.json"


def _dated() -> Iterator[Path]:
    stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
    return (DEFAULT_PARENT / (stamp if n == 1 else f"{stamp}-{n}") for n in count(1))


def _expanded(path: Path) -> Path:
    try:
        return path.expanduser()
    except RuntimeError as error:  # ~somebody who does not exist
        raise UsageError(f"{path}: {error}") from error
