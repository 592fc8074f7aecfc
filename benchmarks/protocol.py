"""Whether the protocol of compare chooses well: learning rates, and the recalibration.

    python benchmarks/protocol.py --out runs/protocol            # 45 minutes of one core
    python benchmarks/protocol.py --out runs/protocol --small    # a few minutes
    python benchmarks/protocol.py --out runs/digits --data digits-lt --seeds 5

The regret of a learning rate is what another one of the ladder would have given on the test rows:
the best of them by the mean over all folds, less the one that the short trainings on the first fold
chose. The best is chosen by the test rows themselves, so that the regret is overestimated by noise.
The likelihood is that before and after the recalibration, fitted on other folds. Every run is a
folder below `--out`; what is there is not trained again, and a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from taylored import lab

LOSSES = [
    "focal(gamma=2)",
    "class_balanced(cross_entropy, beta=0.999)",
    "balanced_softmax",
    "logit_adjusted(tau=1)",
    "logit_adjusted(tau=0.5)",
    "softmax_eql",
]
SMALL = ["class_balanced(cross_entropy, beta=0.999)", "balanced_softmax", "logit_adjusted(tau=1)"]
RATES = (1e-3, 3e-3, 1e-2, 3e-2, 1e-1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default="kanjivg-strokes")
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--workers", type=int)
    parser.add_argument("--small", action="store_true", help="one seed, three losses, few steps")
    options = parser.parse_args()
    losses, budget = LOSSES, "default"
    if options.small:
        options.seeds, losses, budget = 1, SMALL, "quick"
    options.out.mkdir(parents=True, exist_ok=True)
    regrets, likelihoods = [], []
    for seed in range(options.seeds):
        settings = {"data": options.data, "seed": seed, "budget": budget}
        name = f"{options.data}-{len(losses)}-{seed}"
        tuned = run(options.out / f"{name}-tuned", losses, options.workers, settings)
        chosen = tuned.results.learning_rate.chosen
        found: dict[str, dict[float, float]] = {loss: {} for loss in chosen}
        for rate in RATES:
            others = [loss for loss in losses if chosen[loss] != rate]
            out = options.out / f"{name}-{rate:g}"
            fixed = run(out, others, options.workers, {**settings, "lr": rate})
            keep(found, fixed, dict.fromkeys(chosen, rate))
        keep(found, tuned, chosen)
        for loss, values in found.items():
            best = max(values, key=values.__getitem__)
            regret = 100 * (values[best] - values[chosen[loss]])
            regrets.append(regret)
            print(
                f"seed {seed}, {loss}: chose {chosen[loss]:g}, best {best:g}, regret {regret:.2f}"
            )
        likelihoods += [
            (loss.name, loss.likelihood.raw_nll, loss.likelihood.nll)
            for loss in tuned.results.losses
            if loss.likelihood is not None
        ]
    metric = tuned.results.primary_metric
    print(f"\nregret of the rate in points of {metric}: mean {np.mean(regrets):.2f}, ", end="")
    print(f"largest {max(regrets):.2f}, over {len(regrets)} choices\n")
    print("| loss | NLL | recalibrated | ratio | less that of cross-entropy |")
    print("| --- | ---: | ---: | ---: | ---: |")
    names = list(dict.fromkeys(name for name, _, _ in likelihoods))
    for name in names:
        raw, after = (np.array([one[k] for one in likelihoods if one[0] == name]) for k in (1, 2))
        base = np.array([one[2] for one in likelihoods if one[0] == names[0]])
        print(
            f"| {name} | {raw.mean():.3f} | {after.mean():.3f} | {(after / raw).max():.3f} "
            f"| {(after - base).mean():+.3f} |"
        )
    return 0


def run(
    out: Path, losses: list[str], workers: int | None, settings: dict[str, object]
) -> lab.Comparison:
    """The comparison in a folder; read, finished, or begun."""
    if (out / "results.json").exists():
        return lab.Comparison.load(out)
    how = {"workers": workers, "progress": "off"}
    if (out / "config.json").exists():
        return lab.resume(out, **how)
    return lab.compare(losses or ["cross_entropy"], out=out, **how, **settings)


def keep(
    found: dict[str, dict[float, float]], result: lab.Comparison, rates: dict[str, float]
) -> None:
    """The metric of each loss that was trained, under its rate; a loss that diverged has none."""
    for loss in result.results.losses:
        value = loss.metrics[result.results.primary_metric]
        if loss.name in found and value is not None:
            found[loss.name][rates[loss.name]] = value


if __name__ == "__main__":
    raise SystemExit(main())
