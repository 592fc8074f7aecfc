"""Our losses beside those of other libraries: time and peak memory of a training step.

    python benchmarks/losses.py                      # eager and compiled, as Markdown
    python benchmarks/losses.py --compiled no        # half the time
    python benchmarks/losses.py --repeat 2 --json losses.json
    python benchmarks/losses.py --only "sigmoid focal" --threads 1 --clock cpu    # a busy machine

Ours run on each executor and under torch.compile, peers as they are and under torch.compile; all
contestants of a shape take turns in one process. Memory is measured in a fresh process per
contestant, in multiples of the logits; the gradient is one of them. Compare ratios, not
milliseconds. Then: which targets are met, and with --repeat whether the winners stay the same.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

import torch
from figures import Cell, Figures, environment
from memory import of_all
from peers import DISTRIBUTIONS, installed
from tables import disagreements, shape_table, target_table, where, winner_lines
from timing import AGREEMENT, CLOCKS, Lap, peers_at_their_best, run, start_compiler
from works import RACES, Contestant, Race, available


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--repeat", type=int, default=1, help="passes over everything")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--clock", choices=CLOCKS, default="wall")
    parser.add_argument("--only", default="", help='rows whose "loss, shape" contains this')
    parser.add_argument("--executors", default="native,blocked", help="ours, by name")
    parser.add_argument("--compiled", choices=("yes", "no"), default="yes")
    parser.add_argument("--memory", choices=("yes", "no"), default="yes")
    parser.add_argument("--json", type=Path, help="write the figures here, for report.py")
    return parser.parse_args()


def cells(race: Race, laps: list[dict[Contestant, Lap]], threads: int | None) -> list[Cell]:
    """The figures of one race over all passes, with memory if there are threads for it."""
    finished = [each for each in laps[0] if all(each in lap for lap in laps)]
    peaks = {} if threads is None else of_all(race, finished, threads)
    return [
        Cell(
            loss=each.loss,
            shape=race.label(),
            library=each.library,
            how=each.how,
            small=race.small,
            passes=tuple(lap[each].deciles for lap in laps),
            compile_seconds=laps[0][each].compile_seconds,
            extra_peak=peaks.get(each),
            value=laps[0][each].value,
            off=max(lap[each].off for lap in laps),
        )
        for each in finished
    ]


def main() -> None:
    options = arguments()
    began = time.perf_counter()
    torch.set_num_threads(options.threads)
    print(peers_at_their_best())
    # Compile times start from nothing; memory's processes and later passes find what was compiled.
    cache = tempfile.TemporaryDirectory()
    os.environ["TORCHINDUCTOR_CACHE_DIR"] = cache.name
    names = available(options.executors.split(","))
    missing = [name for name in DISTRIBUTIONS if not installed(name)]
    if missing:
        print(f"not installed, left out: {', '.join(missing)}")
    field = [
        (race, found)
        for race in RACES
        if (found := race.contestants(options.only, names, options.compiled))
    ]
    figures = Figures(environment(options.threads, options.rounds, options.clock), ())
    print(where(figures), flush=True)
    if options.compiled == "yes":
        figures.environment["compiler_start"] = start_compiler()
        started = figures.environment["compiler_start"]
        print(f"Starting the compiler: {started:.1f} s, in no other figure.", flush=True)
    laps: dict[Race, list[dict[Contestant, Lap]]] = {race: [] for race, _ in field}
    for _ in range(options.repeat):
        for race, contestants in field:
            laps[race].append(run(race, contestants, options.rounds, options.clock))
            print(f"timed {race.label()}: {time.perf_counter() - began:.0f} s", flush=True)
    threads = options.threads if options.memory == "yes" else None
    for race, _ in field:
        found = cells(race, laps[race], threads)
        figures = Figures(figures.environment, (*figures.cells, *found))
        if options.json:
            figures.save(options.json)
        print(f"\n{race.label()}\n\n{shape_table(figures, race.label())}", flush=True)
    print(f"\n{target_table(figures)}\n")
    for line in (*winner_lines(figures), *disagreements(figures, AGREEMENT)):
        print(line)
    print(f"{time.perf_counter() - began:.0f} s in all.")
    cache.cleanup()


if __name__ == "__main__":
    main()
