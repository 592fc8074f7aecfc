"""Builds the optional native kernels with the wheel; without a compiler the wheel is pure Python.

One C++ file becomes one library for each instruction set, so that the choice is made where the
package runs and not where it was built. What happened is written to `_build.json` beside the
libraries, for `taylored env`. Nothing here may stop an installation.
"""

from __future__ import annotations

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

KERNELS = Path("src", "taylored", "kernels")
NOTE = "_build.json"
FLAGS = (
    "-O3", "-std=c++17", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math",
    "-ffp-contract=fast", "-Wno-psabi",
    # Or a change anywhere moves the loops, and they take up to 8 % more or less time.
    "-falign-functions=64", "-falign-loops=64",
)  # fmt: skip
INSTRUCTIONS = {
    "avx512": ("-march=x86-64-v4", "-mprefer-vector-width=512"),
    "avx2": ("-march=x86-64-v3",),
    "baseline": (),
}
SECONDS = 300
"""A compiler that takes longer hangs: the build takes seconds."""


class Built(NamedTuple):
    """What came of it: names of libraries, the compiler, and why something is missing."""

    libraries: tuple[str, ...]
    compiler: str | None
    reason: str | None


class CustomBuildHook(BuildHookInterface):
    """The hook that hatchling looks for, for wheels and editable installs."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and mark the wheel as what it has become."""
        folder = Path(self.root) / KERNELS
        built = build(folder)
        (folder / NOTE).write_text(
            json.dumps({"compiler": built.compiler, "reason": built.reason}) + "\n"
        )
        build_data["artifacts"].append(f"{KERNELS.as_posix()}/{NOTE}")
        if built.reason is not None:
            self.app.display_warning(
                f"taylored: native kernels {'in part' if built.libraries else 'left out'}: "
                f"{built.reason}. Everything works without them, slower"
            )
        if built.libraries:
            build_data["artifacts"] += [f"{KERNELS.as_posix()}/{name}" for name in built.libraries]
            build_data["pure_python"] = False
            build_data["tag"] = f"py3-none-{self._platform()}"

    def _platform(self) -> str:
        """The platform part of the tag that hatchling finds for this machine."""
        return str(self.build_config.builder.get_best_matching_tag()).rsplit("-", 1)[1]


def build(folder: Path) -> Built:
    """Compile every library that this machine's compiler can, side by side."""
    for old in folder.glob("_native_*.so"):
        old.unlink()  # of another version of the source, perhaps
    if sys.platform == "win32":
        return Built((), None, "they are not built on Windows")
    compiler = find_compiler()
    if isinstance(compiler, str):
        return Built((), None, compiler)
    x86 = platform.machine().lower() in ("x86_64", "amd64")
    jobs = {}
    for level in INSTRUCTIONS if x86 else ("baseline",):
        unfinished = folder / f"_native_{level}.so.{os.getpid()}"
        command = [*compiler, *FLAGS, *INSTRUCTIONS[level], f"-ffile-prefix-map={folder}=."]
        command += ["-o", str(unfinished), str(folder / "cpp" / "native.cpp")]
        command += ["-ldl"] if sys.platform == "linux" else []
        job = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)  # noqa: S603
        jobs[level] = (job, unfinished)
    done, failures = [], {}
    for level, (job, unfinished) in jobs.items():
        failure = _failure(job)
        if failure is None:
            name = f"_native_{level}.so"
            unfinished.replace(folder / name)  # at once: a running process may have the old one
            done.append(name)
        else:
            unfinished.unlink(missing_ok=True)
            failures[level] = failure.replace(f"{folder}/", "")
    reason = None
    if failures:
        first = next(iter(failures.values()))
        reason = f"{shlex.join(compiler)} failed on {', '.join(failures)}: {first}"
    return Built(tuple(done), _version(compiler), reason)


def find_compiler() -> list[str] | str:
    """The command of a C++ compiler, or why there is none."""
    named = os.environ.get("CXX")
    if named:
        command = shlex.split(named)
        found = shutil.which(command[0])
        return command if found else f"the compiler in CXX, {command[0]!r}, was not found"
    for name in ("c++", "g++", "clang++"):
        if shutil.which(name):
            return [name]
    return "no C++ compiler was found"


def _failure(job: subprocess.Popen[bytes]) -> str | None:
    """Wait; the first line that tells what went wrong, or None."""
    try:
        _, errors = job.communicate(timeout=SECONDS)
    except subprocess.TimeoutExpired:
        job.kill()
        job.communicate()
        return f"stopped after {SECONDS} s"
    if job.returncode == 0:
        return None
    lines = [line.strip() for line in errors.decode(errors="replace").splitlines() if line.strip()]
    telling = [line for line in lines if "error" in line.lower()]
    return (telling or lines or [f"exit status {job.returncode}"])[0]


def _version(compiler: list[str]) -> str:
    asked = [*compiler, "--version"]
    run = subprocess.run(asked, capture_output=True, text=True, check=False)  # noqa: S603
    return run.stdout.splitlines()[0].strip() if run.stdout else shlex.join(compiler)
