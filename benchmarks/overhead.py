"""What everything around the losses costs: the import, and `taylored compare` around its trainings.

    python benchmarks/overhead.py import                    # over torch, fresh processes
    python benchmarks/overhead.py compare                   # --quick on the default data
    python benchmarks/overhead.py compare --data kanjivg-components --losses asymmetric

Import: CPU seconds of `import taylored` in processes that have torch already, with compiled
bytecode (as pip installs it) and without; the fastest and the median of the repetitions.

Compare: a run in its own processes, then the same trials by a plain loop in one process: the same
data, models, losses, batches, learning rates, evaluation after every epoch and fold metrics, and
nothing else, which must come out with the same numbers, digit by digit. The overhead is what the
run takes more, in CPU seconds of all its processes, as a share of the run: worker processes,
gradient ratios, kept outputs, statistics, report, files. CPU
seconds, one thread each, because the machine may have other work; run it twice.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import fields
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
IMPORT = """
import time, torch
start = time.process_time()
import taylored
print(time.process_time() - start)
"""


def python(*arguments: str, **environment: str) -> str:
    command = [sys.executable, *arguments]
    return subprocess.run(
        command, env=ENVIRONMENT | environment, capture_output=True, text=True, check=True
    ).stdout


def import_cost(repeats: int) -> None:
    with tempfile.TemporaryDirectory() as kept, tempfile.TemporaryDirectory() as unused:
        compiled = {"PYTHONPYCACHEPREFIX": kept, "PYTHONDONTWRITEBYTECODE": ""}
        source = {"PYTHONPYCACHEPREFIX": unused, "PYTHONDONTWRITEBYTECODE": "1"}
        python("-c", IMPORT, **compiled)
        for name, environment in (("compiled", compiled), ("from source", source)):
            # Torch's own bytecode is not in the empty folders: it is loaded before the clock runs.
            found = [float(python("-c", IMPORT, **environment)) * 1e3 for _ in range(repeats)]
            print(
                f"import taylored over torch, {name}: fastest {min(found):.1f} ms, "
                f"median {statistics.median(found):.1f} ms of {repeats} processes"
            )


def children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def compare_cost(options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent, "run")
        arguments = ["--data", options.data, "--workers", str(options.workers), "--json"]
        arguments += ["--quick"] if options.budget == "quick" else []
        arguments += [] if options.repeats is None else ["--repeats", str(options.repeats)]
        before, start = children(), time.perf_counter()
        python("-m", "taylored.cli", "compare", *options.losses, *arguments, "--out", str(folder))
        run, wall = children() - before, time.perf_counter() - start
        before = children()
        loop = json.loads(python(__file__, "loop", str(folder)))
        script = children() - before
        trials = json.loads((folder / "timings.json").read_text())["training_seconds"]
    print(
        f"\n{options.data}, {options.budget}: {loop['trials']} trainings of {loop['steps']} steps"
    )
    print(f"compare, {options.workers} worker(s): {run:7.1f} s of CPU, {wall:.1f} s on the clock")
    print(f"plain script, all of it:  {script:7.1f} s of CPU; the same metrics: {loop['same']}")
    print(f"  its trainings alone:    {loop['seconds']:7.1f} s; those of the run: {trials:.1f} s")
    print(f"  forward and backward:   {loop['passes']:7.1f} s (model and loss, a sample of steps)")
    print(f"overhead: {1 - script / run:.1%} of the run beyond the script, ", end="")
    print(f"{1 - loop['seconds'] / run:.1%} beyond its trainings alone")


def run_loop(folder: Path) -> None:
    import torch

    from taylored.lab.run import sources
    from taylored.lab.run.problem import problem_of
    from taylored.lab.run.progress import Reporter
    from taylored.lab.store.folder import RunFolder
    from taylored.lab.trial.protocol import TrialSpec
    from taylored.lab.trial.train import make_parts

    torch.set_num_threads(1)
    config = RunFolder.open(folder).read_record().config
    with Reporter("off") as reporter:
        dataset = sources.read(config.data or "", config.target, config.reading, reporter)
    problem = problem_of(dataset, config)
    protocol = problem.protocol(config)
    trials = [
        json.loads(file.read_text())["content"]["trial"]
        for file in sorted((folder / "trials").glob("*.json"))
    ]
    seconds = passes = 0.0
    same = True
    trials.sort(key=lambda trial: (trial["repeat"], trial["fold"]))
    for (repeat, fold), group in groupby(
        trials, key=lambda trial: (trial["repeat"], trial["fold"])
    ):
        rows = problem.part(repeat, fold)
        parts = make_parts(dataset.features, dataset.labels, rows, dataset.columns)
        for trial in group:
            names = [field.name for field in fields(TrialSpec)]
            spec = TrialSpec(**{name: trial[name] for name in names})
            start = time.process_time()
            metrics, shares = plain_training(protocol, parts, spec)
            seconds += time.process_time() - start
            passes += shares
            same = same and metrics == trial["metrics"]
    steps = config.epochs * (problem.rows["train"] // config.batch_size)
    print(json.dumps({"trials": len(trials), "steps": steps, "seconds": seconds, "passes": passes,
                      "same": same}))  # fmt: skip


def plain_training(protocol: Any, parts: Any, spec: Any) -> tuple[dict[str, Any], float]:
    """Metrics of the fold, and an estimate of the seconds in forward and backward."""
    import torch

    import taylored
    from taylored.lab.measures import Tested, measure
    from taylored.lab.trial.build_loss import build_loss, head_of
    from taylored.lab.trial.links import link_of
    from taylored.lab.trial.models import build_model, predict_share
    from taylored.lab.trial.outputs import log_probabilities, scores_of
    from taylored.lab.trial.protocol import streams

    classes = len(protocol.groups)
    source = streams(protocol.seed, spec.repeat, spec.fold)
    torch.manual_seed(source.weights)
    x, y = parts.train.features, parts.train.labels
    counts = (y.sum(0) if y.dim() == 2 else torch.bincount(y, minlength=classes)).int().tolist()
    model = build_model(protocol.model, x.shape[1:], classes, head=head_of(spec.loss))
    loss = build_loss(spec.loss, counts, len(y))
    if link_of(loss, protocol.task) == "sigmoid":
        predict_share(model, sum(counts) / len(y) / classes)
    torch.manual_seed(source.batches)

    def measured(part: Any, wanted: tuple[str, ...]) -> dict[str, float | None]:
        model.eval()
        with torch.no_grad():
            raw = torch.cat([model(rows) for rows in part.features.split(2048)])
        labels = part.labels.to(torch.int8) if part.labels.dim() == 2 else part.labels
        log_p = log_probabilities(loss, protocol.task, raw)[None]
        tested = Tested(
            scores_of(loss, raw)[None], labels.numpy(), np.zeros((1, len(raw)), int), log_p
        )
        return {
            name: found.value for name, found in measure(tested, protocol.groups, wanted).items()
        }

    loss.train()
    optimizer = torch.optim.AdamW(
        [*model.parameters(), *loss.parameters()],
        spec.learning_rate,
        weight_decay=spec.weight_decay,
        fused=True,
    )
    steps, epochs = len(y) // protocol.batch_size, protocol.epochs_of(spec.schedule)
    generator = torch.Generator().manual_seed(source.batches)
    done, sampled, timed = 0, 0.0, 0
    untested = dict.fromkeys(protocol.followed)
    for epoch in range(epochs):
        model.train()
        if isinstance(loss, taylored.Loss):
            loss.set_progress(epoch / epochs)
        for batch in torch.randperm(len(y), generator=generator).split(protocol.batch_size)[:steps]:
            half = math.pi * done / (epochs * steps)
            optimizer.param_groups[0]["lr"] = spec.learning_rate * 0.5 * (1 + math.cos(half))
            features, labels = x[batch], y[batch]
            optimizer.zero_grad()
            start = time.process_time() if done % 16 == 0 else 0.0
            value = loss(model(features), labels)
            if not math.isfinite(value.item()):
                return untested, 0.0
            value.backward()
            if done % 16 == 0:
                sampled, timed = sampled + time.process_time() - start, timed + 1
            optimizer.step()
            done += 1
        measured(parts.validation, (*protocol.followed, "nll"))
    metrics = measured(parts.test, protocol.followed) if spec.schedule == "full" else untested
    return metrics, sampled / timed * done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("import").add_argument("--repeats", type=int, default=15)
    compare = kinds.add_parser("compare")
    compare.add_argument("--data", default="kanjivg-strokes")
    compare.add_argument("--losses", nargs="*", default=[])
    compare.add_argument("--budget", choices=("quick", "default"), default="quick")
    compare.add_argument("--repeats", type=int)
    compare.add_argument("--workers", type=int, default=1)
    kinds.add_parser("loop").add_argument("folder", type=Path)
    options = parser.parse_args()
    if options.kind == "import":
        import_cost(options.repeats)
    elif options.kind == "compare":
        compare_cost(options)
    else:
        run_loop(options.folder)


if __name__ == "__main__":
    main()
