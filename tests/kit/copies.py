"""Python programs that run in a copy of this process, which has imported torch already.

Starting Python and importing torch takes seconds of the processor, a copy milliseconds. `Popen` and
`run` take the command of a new interpreter (`-c`, `-m` or a script, with its arguments), and what
they return is a process like any other: with streams of its own, that can be waited for and killed.
What only a new interpreter shows (what an import loads, how streams are encoded, how much memory
is used) needs `subprocess`; each command and each kind of worker is started that way at least once.
"""

from __future__ import annotations

import os
import runpy
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch

import kit.loaded_before  # noqa: F401 - for the copies, which it takes seconds


def copies_work() -> bool:
    """Not everywhere, and not where autograd has started threads, which no copy has."""
    if not hasattr(os, "fork"):
        return False
    child = os.fork()
    if child:
        return os.waitpid(child, 0)[1] == 0
    code = 1
    try:
        torch.ones(1, requires_grad=True).sum().backward()
        code = 0
    finally:
        os._exit(code)


class Popen(subprocess.Popen):
    """As `subprocess.Popen`, for the command of a Python interpreter."""

    def __init__(
        self,
        command: Sequence[Any],
        *,
        env: Mapping[str, str] | None = None,
        preexec_fn: Callable[[], object] | None = None,
        **options: Any,
    ) -> None:
        environment = dict(os.environ if env is None else env)
        if not copies_work():
            known = [*environment.get("PYTHONPATH", "").split(os.pathsep), *sys.path]
            environment["PYTHONPATH"] = os.pathsep.join(filter(None, known))
            super().__init__(command, env=environment, preexec_fn=preexec_fn, **options)
            return
        arguments = [os.fsdecode(each) for each in command]

        def child() -> None:
            # The parent waits for the end of a pipe that closes here, as it would by `exec`.
            os.closerange(3, os.sysconf("SC_OPEN_MAX"))
            _be(arguments, environment, preexec_fn)

        super().__init__(command, env=env, preexec_fn=child, **options)


def run(
    command: Sequence[Any],
    *,
    capture_output: bool = False,
    check: bool = False,
    timeout: float | None = None,
    **options: Any,
) -> subprocess.CompletedProcess[Any]:
    """As `subprocess.run`."""
    if capture_output:
        options.update(stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    with Popen(command, **options) as process:
        try:
            out, errors = process.communicate(timeout=timeout)
        except BaseException:
            process.kill()
            raise
    if check and process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command, out, errors)
    return subprocess.CompletedProcess(command, process.returncode, out, errors)


@contextmanager
def copies_started_by(module: ModuleType) -> Iterator[None]:
    """What a module starts by `subprocess.Popen` are copies of this process."""
    with pytest.MonkeyPatch.context() as patch:
        namespace = SimpleNamespace(**{**vars(subprocess), "Popen": Popen})
        patch.setattr(module, "subprocess", namespace)
        yield


def _be(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    prepare: Callable[[], object] | None,
) -> None:
    """Do what the interpreter would that is started with these arguments, and end."""
    code: object = 1
    try:
        for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGALRM"):
            number = getattr(signal, name)
            if signal.getsignal(number) != signal.SIG_IGN:
                signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # as every interpreter has it
        if prepare is not None:
            prepare()
        if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:
            signal.signal(signal.SIGINT, signal.default_int_handler)
        os.environ.clear()
        os.environ.update(environment)
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
        sys.stderr = open(  # noqa: SIM115
            2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False
        )
        sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr
        _warn_as_usual()
        torch.set_num_threads(1)  # a copy has no threads, and would wait for them
        _python(arguments[1:], environment)
        code = 0
    except SystemExit as error:
        code = error.code
        if code is None or isinstance(code, int):
            code = code or 0
        else:
            print(code, file=sys.stderr)
            code = 1
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                code = code or 120  # as an interpreter says it
        os._exit(int(code) & 0xFF)  # type: ignore[call-overload]


def _warn_as_usual() -> None:
    """The filters of an interpreter, and its printing, instead of the record of the tests."""

    def show(message: Any, category: Any, name: str, line: int, *_: object) -> None:
        print(warnings.formatwarning(message, category, name, line), end="", file=sys.stderr)

    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)
    warnings.filterwarnings("ignore", ".* found in sys.modules .*", RuntimeWarning)
    warnings.showwarning = show


def _python(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    what, *rest = arguments
    added = [each for each in environment.get("PYTHONPATH", "").split(os.pathsep) if each]
    first = os.path.dirname(os.path.abspath(what)) if what not in ("-c", "-m") else os.getcwd()  # noqa: PTH100, PTH109, PTH120
    sys.path[:] = [first, *added, *(each for each in sys.path if each not in added)]
    if what == "-c":
        sys.argv = ["-c", *rest[1:]]
        names = {"__name__": "__main__"}
        exec(compile(rest[0], "<string>", "exec"), names)  # noqa: S102
    elif what == "-m":
        sys.argv = [rest[0], *rest[1:]]
        runpy.run_module(rest[0], run_name="__main__", alter_sys=True)
    else:
        sys.argv = [what, *rest]
        runpy.run_path(what, run_name="__main__")
