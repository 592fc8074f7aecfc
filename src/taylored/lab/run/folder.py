"""The run folder: every file is written whole or not at all, so a run can be killed at any time."""

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

from taylored.lab.errors import UsageError
from taylored.lab.protocol import TrialSpec
from taylored.lab.trial.record import Trial, matches

DEFAULT_PARENT = Path("runs", "compare")


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

    def read_config(self) -> dict[str, Any]:
        """What the run was started with."""
        file = self.path / "config.json"
        try:
            config = json.loads(file.read_text("utf-8"))
        except ValueError as error:
            raise UsageError(f"resume: {file} is damaged ({error}). Start a new run.") from error
        if not isinstance(config, dict):
            raise UsageError(f"resume: {file} holds no settings. Start a new run.")
        return config

    def read_trial(self, spec: TrialSpec) -> Trial | None:
        """A finished trial, or None if it is missing, damaged or of something else."""
        try:
            record = json.loads(self._trial_file(spec).read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None
        if not matches(record, spec):
            return None
        trial: Trial = record
        return trial

    def write_trial(self, spec: TrialSpec, trial: Trial) -> None:
        """Keep a finished trial."""
        self.write_json(f"trials/{spec.id}.json", trial)

    def write_json(self, name: str, content: Mapping[str, Any]) -> None:
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

    def _trial_file(self, spec: TrialSpec) -> Path:
        return self.path / "trials" / f"{spec.id}.json"


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}. Choose another --out.") from error
