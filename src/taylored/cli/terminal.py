"""The outside of a command: streams that are closed, full or narrow, and signals that end it."""

import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

FAILURE = 1
_WIDTHS = range(20, 1001)


def prepare() -> None:
    """Make the three standard streams usable, whatever they are connected to."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:  # closed: the next file that is opened would be written to in its place
            with suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_RDWR), number)
                os.set_inheritable(number, True)  # workers have it too; open() says otherwise
        if getattr(sys, name) is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        if callable(reconfigure := getattr(stream, "reconfigure", None)):
            reconfigure(errors="backslashreplace")  # ASCII only, or a name that is no valid text
    columns = os.environ.get("COLUMNS", "")
    if columns.isdigit() and int(columns) not in _WIDTHS:
        del os.environ["COLUMNS"]


def end_on_signals() -> None:
    """Let SIGTERM and SIGHUP end the command as Ctrl-C does; a second signal ends it at once."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        # What was ignored at the start stays ignored: nohup, jobs in the background.
        if number is not None and signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _interrupt)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), _leave)
    raise KeyboardInterrupt(number)


def _leave(_number: int, _frame: FrameType | None) -> None:
    os._exit(FAILURE)  # worker processes end when their pipes close


def run(command: Callable[[], object]) -> int:
    """The exit code of a command; what it printed has reached its stream, or the code is not 0."""
    try:
        try:
            code = command()
        except SystemExit as error:
            code = error.code
        sys.stdout.flush()
    except BrokenPipeError:  # as with `| head`
        return _silenced()
    except KeyboardInterrupt:
        say("stopped.")
        return FAILURE
    except OSError as error:
        say(f"cannot write to standard output: {error.strerror or error}.")
        return _silenced()
    return code if isinstance(code, int) else 0 if code is None else FAILURE


def say(message: str) -> None:
    """Write a message of the command on standard error, if that is possible."""
    with suppress(OSError, ValueError):
        print(f"taylored: {message}", file=sys.stderr, flush=True)


def _silenced() -> int:
    """Let the interpreter's last flush succeed; the exit code of a failure."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    return FAILURE
