"""What everything around the losses costs: the import, and `taylored compare` around its trainings.

    python benchmarks/overhead.py import                    # over torch, fresh processes
    python benchmarks/overhead.py compare                   # --quick on the default data
    python benchmarks/overhead.py compare --data kanjivg-components --losses asymmetric --seeds 1

Import: CPU seconds of `import taylored` in processes that have torch already, with compiled
bytecode (as pip installs it) and without; the fastest and the median of the repetitions.

Compare: a run in its own processes, then the same trials by a plain loop in one process: the same
data, models, losses, batches, learning rates, evaluation after every epoch and test metrics, and
nothing else, which must come out with the same numbers, digit by digit. The overhead is what the
run takes more, in CPU seconds of all its processes, as a share of the run: worker processes,
learning-rate search apart from its trainings, gradient ratios, statistics, report, files. CPU
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
from collections import defaultdict
from pathlib import Path
from typing import Any

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
        arguments += [] if options.seeds is None else ["--seeds", str(options.seeds)]
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
    print(
        f"plain script, all of it:  {script:7.1f} s of CPU; the same test metrics: {loop['same']}"
    )
    print(f"  its trainings alone:    {loop['seconds']:7.1f} s; those of the run: {trials:.1f} s")
    print(f"  forward and backward:   {loop['passes']:7.1f} s (model and loss, a sample of steps)")
    print(f"overhead: {1 - script / run:.1%} of the run beyond the script, ", end="")
    print(f"{1 - loop['seconds'] / run:.1%} beyond its trainings alone")


def run_loop(folder: Path) -> None:
    import torch

    from taylored.lab.run import sources
    from taylored.lab.run.problem import Problem
    from taylored.lab.run.progress import Reporter
    from taylored.lab.store.folder import RunFolder
    from taylored.lab.trial.protocol import TrialSpec
    from taylored.lab.trial.train import make_parts

    torch.set_num_threads(1)
    config = RunFolder.open(folder).read_record().config
    with Reporter("off") as reporter:
        dataset = sources.read(config.data or "", config.target, config.reading, reporter)
    problem = Problem.draw(dataset, seed=config.seed, seeds=config.seeds)
    protocol = problem.protocol(config)
    by_seed: dict[int, list[Any]] = defaultdict(list)
    for file in sorted((folder / "trials").glob("*.json")):
        trial = json.loads(file.read_text())["content"]["trial"]
        by_seed[trial["seed"]].append(trial)
    seconds = passes = 0.0
    same = True
    for seed, trials in sorted(by_seed.items()):
        rows = problem.parts[seed]
        parts = make_parts(dataset.features, dataset.labels, rows, dataset.columns)
        for trial in trials:
            spec = TrialSpec(trial["loss"], trial["role"], seed, trial["learning_rate"])
            start = time.process_time()
            metrics, shares = plain_training(protocol, parts, spec)
            seconds += time.process_time() - start
            passes += shares
            same = same and metrics == trial["metrics"]
    steps = config.epochs * (problem.rows["train"] // config.batch_size)
    count = sum(map(len, by_seed.values()))
    print(json.dumps({"trials": count, "steps": steps, "seconds": seconds, "passes": passes,
                      "same": same}))  # fmt: skip


def plain_training(protocol: Any, parts: Any, spec: Any) -> tuple[dict[str, Any], float]:
    """Test metrics, and an estimate of the seconds in forward and backward."""
    import torch

    import taylored
    from taylored.lab.tasks import TASKS
    from taylored.lab.trial.build_loss import build_loss, head_of
    from taylored.lab.trial.evaluation import logits_of, measure
    from taylored.lab.trial.links import link_of
    from taylored.lab.trial.models import build_model, predict_share
    from taylored.lab.trial.protocol import streams

    task, classes = TASKS[protocol.task], len(protocol.groups)
    source = streams(protocol.seed, spec.seed, spec.role)
    torch.manual_seed(source.weights)
    x, y = parts.train.features, parts.train.labels
    counts = (y.sum(0) if y.dim() == 2 else torch.bincount(y, minlength=classes)).int().tolist()
    model = build_model(protocol.model, x.shape[1:], classes, head=head_of(spec.loss))
    loss = build_loss(spec.loss, counts, len(y))
    link = link_of(loss, task.name)
    if link == "sigmoid":
        predict_share(model, sum(counts) / len(y) / classes)
    torch.manual_seed(source.batches)

    def logits_on(features: torch.Tensor) -> torch.Tensor:
        model.eval()
        with torch.no_grad():
            return logits_of(loss, torch.cat([model(rows) for rows in features.split(2048)]))

    loss.train()
    optimizer = torch.optim.AdamW(
        [*model.parameters(), *loss.parameters()], spec.learning_rate, weight_decay=0.01, fused=True
    )
    steps = len(y) // protocol.batch_size
    generator = torch.Generator().manual_seed(source.batches)
    best, state, done, sampled, timed = -math.inf, None, 0, 0.0, 0
    metric = task.metrics[protocol.primary_metric]
    for epoch in range(protocol.epochs):
        model.train()
        if isinstance(loss, taylored.Loss):
            loss.set_progress(epoch / protocol.epochs)
        for batch in torch.randperm(len(y), generator=generator).split(protocol.batch_size)[:steps]:
            half = math.pi * done / (protocol.epochs * steps)
            optimizer.param_groups[0]["lr"] = spec.learning_rate * 0.5 * (1 + math.cos(half))
            features, labels = x[batch], y[batch]
            optimizer.zero_grad()
            start = time.process_time() if done % 16 == 0 else 0.0
            value = loss(model(features), labels)
            if not math.isfinite(value.item()):
                return dict.fromkeys(task.metrics), 0.0
            value.backward()
            if done % 16 == 0:
                sampled, timed = sampled + time.process_time() - start, timed + 1
            optimizer.step()
            done += 1
        wanted = dict.fromkeys((*task.followed, protocol.primary_metric))
        measured = measure(
            task.name, logits_on(parts.validation.features), parts.validation.labels,
            protocol.groups, link, wanted,
        )  # fmt: skip
        score = measured[protocol.primary_metric] * metric.direction
        if score >= best:
            best, state = score, {name: t.clone() for name, t in model.state_dict().items()}
    model.load_state_dict(state)
    tested = logits_on(parts.test.features)
    metrics = measure(task.name, tested, parts.test.labels, protocol.groups, link, task.metrics)
    return metrics, sampled / timed * done


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    kinds = parser.add_subparsers(dest="kind", required=True)
    kinds.add_parser("import").add_argument("--repeats", type=int, default=15)
    compare = kinds.add_parser("compare")
    compare.add_argument("--data", default="kanjivg-strokes")
    compare.add_argument("--losses", nargs="*", default=[])
    compare.add_argument("--budget", choices=("quick", "default"), default="quick")
    compare.add_argument("--seeds", type=int)
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
