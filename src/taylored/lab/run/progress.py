"""Progress of a run on standard error: notes, finished trials, and a bar with the time left."""

import sys
from contextlib import suppress
from types import TracebackType
from typing import IO, Literal, Self, cast

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from taylored.lab.metrics import Metric
from taylored.lab.store.timed_trial import TimedTrial
from taylored.lab.trial.protocol import TrialSpec
from taylored.lab.trial_result import TrialResult
from taylored.lab.wording import escaped

ProgressMode = Literal["auto", "off"]
Stage = Literal["tuning", "comparing"]


class _Unfailing:
    """Standard error, or nothing: a run does not end because nobody can read its progress."""

    def write(self, text: str) -> int:
        with suppress(OSError, ValueError, AttributeError):  # full, closed, or None
            sys.stderr.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError, ValueError, AttributeError):
            sys.stderr.flush()

    def isatty(self) -> bool:
        with suppress(ValueError, AttributeError):
            return sys.stderr.isatty()
        return False

    @property
    def encoding(self) -> str:
        return getattr(sys.stderr, "encoding", None) or "utf-8"

    def fileno(self) -> int:
        return sys.stderr.fileno()


class Reporter:
    """Writes to standard error: notes always, trials and the bar only on a terminal."""

    def __init__(self, mode: ProgressMode) -> None:
        stream = cast(IO[str], _Unfailing())
        self._console = Console(file=stream, quiet=mode == "off", highlight=False)
        # Not rich's own guess, which environment variables such as FORCE_COLOR change.
        self._live = mode == "auto" and stream.isatty()
        self._bar = Progress(
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("trials, time left"),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
            disable=not self._live,
        )
        self._expected = 0
        self._task = self._bar.add_task("reading data", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._bar.stop()

    def note(self, text: str) -> None:
        """Say something the user should know."""
        self._bar.console.print(escape(escaped(text)), soft_wrap=True)

    def stage(self, name: str, trials: int) -> None:
        """Begin a stage at whose end `trials` trials will be finished, earlier stages included."""
        self._expected = trials
        self._bar.update(self._task, description=name, total=trials)

    def add_stage(self, name: str, trials: int) -> None:
        """Begin a stage of `trials` trials."""
        self.stage(name, self._expected + trials)

    def finished(
        self, timed: TimedTrial, *, stage: Stage, primary: Metric, overall: Metric
    ) -> None:
        """Count a trial and, on a terminal, say how it went."""
        self._bar.advance(self._task)
        trial = timed.trial
        if trial.status == "failed":
            self.note(f"{trial.loss} failed at {where_of(trial)}: {timed.error}")
            return
        if not self._live:
            return
        if trial.status == "diverged":
            outcome = "[red]diverged[/red]"
        elif stage == "tuning":
            value = trial.validation(primary.key)
            outcome = f"validation {primary.label} {primary.value(value)}"
        else:
            outcome = f"{primary.label} {primary.value(trial.metrics[primary.key])}"
            if primary is not overall:
                outcome += f", {overall.short} {overall.value(trial.metrics[overall.key])}"
        name, where = escape(escaped(trial.loss)), where_of(trial)
        if stage == "tuning":
            where = f"learning rate {trial.learning_rate:g}, weight decay {trial.weight_decay:g}"
        seconds = f"[dim]{timed.seconds:.1f} s[/dim]"
        self._bar.console.print(f"{where}  {name}  {outcome}  {seconds}", soft_wrap=True)


def where_of(trial: TrialResult | TrialSpec) -> str:
    """Which of the trainings of a loss this is, counted from 1."""
    return f"repeat {trial.repeat + 1}, fold {trial.fold + 1}"
