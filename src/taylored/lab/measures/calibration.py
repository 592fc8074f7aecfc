"""Calibration error, what it would be under perfect calibration, and the reliability diagram."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from taylored.lab.measures.tested import Floats, Integers, Tested

BINS: Final = 15  # Guo et al., On Calibration of Modern Neural Networks, ICML 2017


@dataclass(frozen=True)
class ReliabilityBin:
    """Predictions of about one confidence: how confident they are, and how often they are right.

    `count` adds up to the rows (for any number of labels: the elements) times the repeats.
    """

    confidence: float
    right: float
    count: int


@dataclass(frozen=True)
class Calibration:
    """The expected calibration error (ECE) of one loss; all of it means over repeats.

    A finite number of rows leaves a gap between confidence and share right in every bin, even where
    there is none in truth: `resolution` is the ECE that a perfectly calibrated model would show on
    as many rows. `debiased` takes it off as one takes off noise, sqrt(observed^2 - resolution^2).

    Args:
        observed: the ECE in 15 bins of equal width.
        resolution: its expectation if the confidences were right.
        debiased: the ECE without it; 0 where the observed one is no larger.
        bins: the reliability diagram of all repeats together, without empty bins.
    """

    observed: float
    resolution: float
    debiased: float
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, eq=False)
class _Sums:
    """Sums over the predictions of each bin: count, confidence p, right, and p (1 - p); (15,)."""

    count: Floats
    confidence: Floats
    right: Floats
    variance: Floats


def calibration(tested: Tested) -> Calibration:
    """Calibration of the largest probability, or of the probability of every label.

    Raises:
        ValueError: if there is no row.
    """
    if not tested.rows:
        raise ValueError("tested must have rows, got none")
    sums = [_sums(*_predictions(tested, repeat)) for repeat in range(tested.repeats)]
    observed = np.array([_error(one) for one in sums])
    resolution = np.array([_resolution(one) for one in sums])
    debiased = np.sqrt(np.maximum(observed**2 - resolution**2, 0))
    return Calibration(
        observed=float(observed.mean()),
        resolution=float(resolution.mean()),
        debiased=float(debiased.mean()),
        bins=_diagram(sums),
    )


def _predictions(tested: Tested, repeat: int) -> tuple[Floats, Integers]:
    """Confidence of each prediction, and whether it was right."""
    if tested.multi_label:
        p = tested.log_odds(repeat).sigmoid().flatten()
        return p.numpy(), tested.labels.astype(np.int64).reshape(-1)
    p, predicted = tested.log_probabilities(repeat).exp().max(dim=1)
    right = predicted == torch.from_numpy(tested.labels.astype(np.int64))
    return p.numpy(), right.long().numpy()


def _sums(confidence: Floats, right: Integers) -> _Sums:
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)

    def total(values: Floats | Integers) -> Floats:
        sums: Floats = np.bincount(bins, weights=values, minlength=BINS).astype(np.float64)
        return sums

    return _Sums(
        count=total(np.ones_like(confidence)),
        confidence=total(confidence),
        right=total(right),
        variance=total(confidence * (1 - confidence)),
    )


def _error(sums: _Sums) -> float:
    return float(np.abs(sums.right - sums.confidence).sum() / sums.count.sum())


def _resolution(sums: _Sums) -> float:
    """The mean of the error if every prediction were right with its own confidence.

    The number right in a bin is nearly binomial. Its mean absolute deviation is De Moivre's,
    2 (m + 1) C(n, m + 1) p^(m + 1) (1 - p)^(n - m) with m = floor(n p); confidences that differ
    within the bin make it smaller by as much as the standard deviation.
    """
    from scipy.special import gammaln, xlog1py, xlogy

    full = sums.variance > 0
    n, mean, variance = sums.count[full], sums.confidence[full], sums.variance[full]
    p, below = mean / n, np.floor(mean)
    combinations = gammaln(n + 1) - gammaln(below + 1) - gammaln(n - below)
    powers = xlogy(below + 1, p) + xlog1py(n - below, -p)
    deviation = 2 * np.exp(combinations + powers)
    ratio = np.sqrt(variance / (n * p * (1 - p)))
    return float((deviation * ratio).sum() / sums.count.sum())


def _diagram(sums: list[_Sums]) -> tuple[ReliabilityBin, ...]:
    count, confidence, right = (
        np.sum([getattr(one, name) for one in sums], axis=0)
        for name in ("count", "confidence", "right")
    )
    return tuple(
        ReliabilityBin(float(confidence[b] / count[b]), float(right[b] / count[b]), int(count[b]))
        for b in range(BINS)
        if count[b]
    )
