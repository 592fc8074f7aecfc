"""Value and gradient of sigmoid losses at all 2^32 float32 logits, both targets.

    python benchmarks/exhaustive.py 'focal(gamma=2, link="sigmoid")' --instructions avx2
    python benchmarks/exhaustive.py binary_cross_entropy --instructions baseline --minutes 9
    python benchmarks/exhaustive.py --functions --instructions avx2     # exp, log and log1p
    python benchmarks/exhaustive.py --table                # Markdown of everything that is finished

One loss and one instruction set per call. Results are kept in a JSON file for each, a chunk of 2^23
logits at a time: a call that is stopped, or that --minutes ends, goes on where it was. What is
compared with is certified by mpmath when the last chunk is done (exact.py). A run takes two to
five minutes of one idle core.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

SETS = {"avx512": "AVX-512", "avx2": "AVX2", "baseline": "the baseline"}
"""Instruction sets that the native library is compiled for, best first."""

SETTING = "ATEN_CPU_CAPABILITY"
"""What torch, and so the library, takes its instruction set from."""

ASK = "import torch; print(torch.backends.cpu.get_cpu_capability())"


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("loss", nargs="?", help="as the catalogue writes it")
    parser.add_argument("--functions", action="store_true", help="exp, log and log1p instead")
    parser.add_argument("--table", action="store_true", help="print the results that there are")
    parser.add_argument("--instructions", choices=SETS, help="the best by default")
    parser.add_argument("--results", type=Path, default=Path("exhaustive"), help="a folder")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--minutes", type=float, default=float("inf"), help="stop after so many")
    options = parser.parse_args()
    if (options.loss is not None) + options.functions + options.table != 1:
        parser.error("name one loss, or --functions, or --table")
    return options


def best() -> str:
    """The best instruction set of this processor, whatever the environment asks for."""
    environment = {name: value for name, value in os.environ.items() if name != SETTING}
    asked = subprocess.run(
        [sys.executable, "-c", ASK], env=environment, capture_output=True, text=True, check=True
    )
    found = asked.stdout.strip().lower()
    return found if found in SETS else "baseline"


def subject(what: str) -> Any:
    """What is checked; its `chunk(name)` gives tallies by the name of an output."""
    import torch

    torch.set_num_threads(1)
    from taylored.kernels import NATIVE, library

    level = os.environ[SETTING].replace("default", "baseline")
    if isinstance(NATIVE, library.Absent):
        raise SystemExit(f"there is no native library: {NATIVE.reason}. {NATIVE.fix}")
    if NATIVE.level != level:
        raise SystemExit(f"the library for {SETS[level]} is not there, {NATIVE.level} is")
    if what == "functions":
        from functions import Functions

        return Functions(Path(library.__file__).parent / f"_native_{level}.so")
    from float32 import Checked

    from taylored.kernels.executor import Native

    return Checked(what, Native(NATIVE))


_subject: Any = None


def prepare(what: str) -> None:
    """Make the subject that `work` asks."""
    global _subject
    _subject = subject(what)


def work(chunk: str) -> tuple[str, dict[str, Any]]:
    """One chunk, in a process of the pool."""
    return chunk, {output: asdict(tally) for output, tally in _subject.chunk(chunk).items()}


def build_of(level: str) -> str:
    """The digest of the library: results of another build do not belong to it."""
    from taylored.kernels import library

    path = Path(library.__file__).parent / f"_native_{level}.so"
    return hashlib.sha256(path.read_bytes()).hexdigest()


def run(what: str, level: str, options: argparse.Namespace) -> None:
    """Check what is left, and write after every chunk."""
    from float32 import chunks
    from rich.console import Console
    from rich.progress import MofNCompleteColumn, Progress, TimeRemainingColumn

    prepare(what)
    path = options.results / f"{re.sub(r'[^a-z0-9_.]+', '-', what).strip('-')}.{level}.json"
    record = {"what": what, "instructions": level, "build": build_of(level), "chunks": {}}
    if path.exists():
        found = json.loads(path.read_text())
        if found["build"] != record["build"]:
            raise SystemExit(f"{path} is of another build of the library: remove it")
        record = found
    options.results.mkdir(parents=True, exist_ok=True)
    todo = [name for name in chunks() if name not in record["chunks"]]
    print(f"{what} on {SETS[level]}: {len(todo)} of 512 chunks to go", file=sys.stderr)
    end = time.monotonic() + 60.0 * options.minutes
    with ExitStack() as stack:
        mapped = map
        if options.processes > 1:  # of this process, which has imported everything
            mapped = stack.enter_context(get_context("fork").Pool(options.processes)).imap
        columns = (*Progress.get_default_columns()[:2], MofNCompleteColumn(), TimeRemainingColumn())
        bar = stack.enter_context(Progress(*columns, console=Console(stderr=True)))
        task = bar.add_task("chunks", total=512, completed=512 - len(todo))
        batch = 4 * options.processes
        for first in range(0, len(todo), batch):
            if time.monotonic() > end:
                break
            for name, found in mapped(work, todo[first : first + batch]):
                record["chunks"][name] = found
                bar.advance(task)
            _write(path, record)
    if len(record["chunks"]) == 512 and "reference" not in record:
        from certify import certified

        record |= certified(_subject, record["chunks"])
        _write(path, record)


def _write(path: Path, record: dict[str, Any]) -> None:
    unfinished = path.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(record))
    unfinished.replace(path)


def main() -> None:
    options = arguments()
    if options.table:
        from exhaustive_table import table

        print(table(options.results))
        return
    possible = best()
    level = options.instructions or possible
    if list(SETS).index(level) < list(SETS).index(possible):
        print(f"skipped: this processor has no {SETS[level]}, its best set is {SETS[possible]}")
        return
    # Before torch is imported, in this process and in those of the pool.
    os.environ[SETTING] = level.replace("baseline", "default")
    run("functions" if options.functions else options.loss, level, options)


if __name__ == "__main__":
    main()
