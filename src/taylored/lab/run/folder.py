"""The folder of a run. Every file is written whole or not at all, so a run may be killed."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path

from taylored.lab.errors import UsageError
from taylored.lab.records import from_json, to_json
from taylored.lab.results import RunConfig
from taylored.lab.run.timed_trial import TimedTrial
from taylored.lab.trial.protocol import TrialSpec

DEFAULT_PARENT = Path("runs", "compare")


@dataclass(frozen=True)
class RunRecord:
    """The content of `config.json`: what the run was started with.

    `guard` holds what must not change before the run is resumed. A relative path in the settings
    is relative to `started_in`.
    """

    config: RunConfig
    guard: Mapping[str, str]
    started_in: str


@dataclass(frozen=True)
class RunFolder:
    """Reads and writes the files of one run."""

    path: Path

    @classmethod
    def create(cls, out: Path | None) -> "RunFolder":
        """A new folder: `out`, or `runs/compare/<date>-<time>` in the current folder."""
        if out is None:
            stamp = datetime.now().astimezone().strftime("%Y%m%d-%H%M%S")
            names = (stamp if n == 1 else f"{stamp}-{n}" for n in count(1))
            path = next(DEFAULT_PARENT / n for n in names if not (DEFAULT_PARENT / n).exists())
        else:
            path = out
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise UsageError(
                f"out: {path} exists already. Choose another folder, or finish the run in it "
                f"with: taylored compare --resume {path}"
            )
        with _explained(path):
            (path / "trials").mkdir(parents=True, exist_ok=True)
        return cls(path)

    @classmethod
    def open(cls, path: Path) -> "RunFolder":
        """The folder of an earlier run."""
        if not (path / "config.json").is_file():
            raise UsageError(
                f"resume: {path} is not the folder of a run (it has no config.json). "
                f"Runs are usually in {DEFAULT_PARENT}."
            )
        (path / "trials").mkdir(exist_ok=True)
        return cls(path)

    def read_record(self) -> RunRecord:
        """What the run was started with."""
        file = self.path / "config.json"
        try:
            return from_json(RunRecord, json.loads(file.read_text("utf-8")), file.name)
        except ValueError as error:
            raise UsageError(
                f"resume: {file} is damaged or from another version of taylored ({error}). "
                "Start a new run."
            ) from error

    def write_record(self, record: RunRecord) -> None:
        """Keep what the run is started with."""
        self.write_json("config.json", to_json(record))

    def read_trial(self, spec: TrialSpec) -> TimedTrial | None:
        """A finished trial, or None if it is missing, damaged or of something else."""
        try:
            content = json.loads((self.path / _trial_file(spec)).read_text("utf-8"))
            timed = from_json(TimedTrial, content)
        except (FileNotFoundError, ValueError):
            return None
        return timed if TrialSpec.of(timed.trial) == spec else None

    def write_trial(self, timed: TimedTrial) -> None:
        """Keep a finished trial."""
        self.write_json(_trial_file(TrialSpec.of(timed.trial)), to_json(timed))

    def write_json(self, name: str, content: Mapping[str, object]) -> None:
        """Write JSON with sorted keys; a NaN is an error."""
        text = json.dumps(content, sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False)
        self.write_text(name, text + "\n")

    def write_text(self, name: str, text: str) -> None:
        """Write beside the target, flush to the disk, rename."""
        target = self.path / name
        with _explained(target):
            handle, temporary = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=target.parent)
            try:
                with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
                    stream.write(text)
                    stream.flush()
                    os.fsync(stream.fileno())
                Path(temporary).chmod(0o644)  # mkstemp lets only the owner read
                Path(temporary).replace(target)
            except BaseException:
                Path(temporary).unlink(missing_ok=True)
                raise

    def remove_leftovers(self) -> None:
        """Delete temporary files of a process that was killed while writing."""
        for folder in (self.path, self.path / "trials"):
            for file in folder.glob(".*.tmp"):
                file.unlink(missing_ok=True)


def _trial_file(spec: TrialSpec) -> str:
    return f"trials/{spec.id}.json"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}. Choose another --out.") from error
