"""Class-balanced loss: the accuracy along beta, and beside what costs no training."""

from collections.abc import Sequence
from typing import Final

from taylored.lab.metrics import MetricName
from taylored.lab.run_config import Budget
from taylored.studies.declared import BASELINE, Conclusion, Evidence, Study
from taylored.studies.ground import Ground, Setting, difference
from taylored.studies.records import Claim
from taylored.studies.sweeps import LABELS, sweep

_METRIC: Final[MetricName] = "balanced_accuracy"
_BETAS: Final = {"default": (0.9, 0.99, 0.999, 0.9999), "quick": (0.9, 0.99, 0.9999)}


def _balanced(beta: float) -> Setting:
    return Setting(f"class_balanced(cross_entropy, beta={beta:g})")


def _settings(budget: Budget) -> Sequence[Setting]:
    return [_balanced(beta) for beta in _BETAS[budget]]


def _conclude(ground: Ground) -> Conclusion:
    label, betas = LABELS[_METRIC], _BETAS[ground.budget]
    best = ground.chosen([*map(_balanced, betas)], _METRIC)
    plain = ground.chosen([BASELINE], _METRIC)
    moved = ground.adjusted(BASELINE, _METRIC)
    of_best = None if best is None else ground.measure(best.tested, _METRIC)
    of_moved = None if moved is None else ground.measure(moved, _METRIC)
    evidence = [
        Evidence(
            "beats",
            f"{label} with beta chosen on validation data minus cross_entropy",
            ground.versus_chosen(best, plain, _METRIC),
        ),
        Evidence(
            "more-than-free",
            f"{label} with beta chosen minus cross_entropy whose scores are moved by log priors",
            difference(of_best, of_moved),
        ),
    ]
    remarks = [] if best is None else [f"{ground.name}: chosen for the models were {best.said}."]
    if of_moved is not None and of_moved.value is not None:
        value = f"{100 * of_moved.value:.1f} %"
        remarks.append(
            f"{ground.name}: cross_entropy with its scores moved by log priors, which takes no "
            f"training, reaches {value} {label}."
        )
    places = [(float(i), f"{beta:g}", _balanced(beta)) for i, beta in enumerate(betas)]
    return Conclusion(evidence, [sweep(ground, places, _METRIC, "beta", "ticks")], remarks)


STUDY = Study(
    name="class-balanced-beta",
    title="Class-balanced loss: accuracy along beta",
    question="Do weights by the effective number of samples beat cross-entropy on a long tail, and "
    "by more than moving its scores does?",
    claims=(
        Claim(
            "beats",
            "A tuned beta beats cross-entropy",
            "On long-tailed data, judged with all classes alike, weights by the effective number "
            "of samples lower the error.",
            "Cui et al., Class-Balanced Loss Based on Effective Number of Samples, CVPR 2019",
            "medium",
            "61.1 % accuracy on iNaturalist 2018 (ResNet-50, class-balanced focal)",
        ),
        Claim(
            "more-than-free",
            "It beats what is free",
            "The gain is larger than that of cross-entropy whose scores are moved by the log "
            "priors after training, which is what a loss has to beat.",
            "no claim of the paper; Menon et al., Long-Tail Learning via Logit Adjustment, ICLR "
            "2021, propose the adjustment",
            "ours",
        ),
    ),
    metric=_METRIC,
    tune="each",
    settings=_settings,
    conclude=_conclude,
)
