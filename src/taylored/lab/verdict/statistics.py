"""Paired statistics over resampled splits: is a difference larger than the noise of the run?

Every seed draws a new stratified split, so the training sets of two seeds overlap and the paired
differences are not independent. A plain t-test would then find differences that are not there. The
corrected resampled t-test adds ``n_test / n_train`` to the ``1 / n`` in the variance of the mean.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from taylored.lab.verdict.multiplicity import SIGNIFICANCE as SIGNIFICANCE
from taylored.lab.verdict.multiplicity import holm as holm

CONFIDENCE = 0.95
"""Coverage of every interval that the lab reports."""

CONTROL_SIGNIFICANCE = 0.01
"""A control (A/A check) with a p-value below this fails. Stricter than `SIGNIFICANCE`: there is one
control in every run, and 1 sound run in 20 must not be thrown away."""

FEWEST_SEEDS = 3
"""With fewer pairs the variance of the differences is not worth an interval."""

RESAMPLED_RATIO = 20 / 60
"""``n_test / n_train`` of the lab's stratified 60 / 20 / 20 split."""


@dataclass(frozen=True)
class PairedComparison:
    """Mean paired difference (candidate minus baseline) with interval and p-value.

    ``low``, ``high`` and ``p`` are None where the data cannot carry them: fewer than
    `FEWEST_SEEDS` pairs, or differences without any variance.
    """

    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    n: int


def compare_paired(
    candidate: Sequence[float], baseline: Sequence[float], *, test_fraction_ratio: float
) -> PairedComparison:
    """Corrected resampled t-test on pairs that share a seed.

    Args:
        candidate: one value per seed.
        baseline: the values of the baseline for the same seeds, in the same order.
        test_fraction_ratio: ``n_test / n_train`` when every seed resamples the data; 0 when all
            seeds share one given split, which leaves the ordinary paired t-test.

    Returns:
        The comparison; without interval and p-value when there are fewer than three pairs or the
        differences do not vary.

    Example:
        >>> result = compare_paired([3.0, 4.0, 6.0], [1.0, 3.0, 3.0], test_fraction_ratio=0.0)
        >>> result.difference, round(result.p, 4)
        (2.0, 0.0742)

    Reference:
        C. Nadeau, Y. Bengio, Inference for the Generalization Error, Machine Learning 52, 2003,
        section 3, the corrected resampled t-test.
    """
    if len(candidate) != len(baseline):
        raise ValueError(
            "candidate and baseline must hold one value per shared seed: got "
            f"{len(candidate)} and {len(baseline)} values; drop the seeds that only one of them has"
        )
    if not (math.isfinite(test_fraction_ratio) and test_fraction_ratio >= 0):
        raise ValueError(
            "test_fraction_ratio must be n_test / n_train, a finite number >= 0: got "
            f"{test_fraction_ratio!r}; pass 0 for one given split"
        )
    differences = [float(c) - float(b) for c, b in zip(candidate, baseline, strict=True)]
    if not all(map(math.isfinite, differences)):
        raise ValueError(
            "candidate and baseline must be finite: got a NaN or an infinity; drop the seeds of "
            "diverged trials from both"
        )
    n = len(differences)
    if n == 0:
        return PairedComparison(None, None, None, None, 0)
    mean = math.fsum(differences) / n
    # Rounding leaves a tiny spread between differences that are equal on paper (0.3 - 0.1 against
    # 0.4 - 0.2); dividing by it would turn rounding error into certainty.
    scale = max(abs(float(v)) for v in (*candidate, *baseline))
    spread = max(differences) - min(differences)
    if n < FEWEST_SEEDS or spread <= 8 * math.ulp(scale):
        return PairedComparison(mean, None, None, None, n)
    variance = math.fsum((d - mean) ** 2 for d in differences) / (n - 1)
    standard_error = math.sqrt((1 / n + test_fraction_ratio) * variance)

    from scipy import stats

    half = float(stats.t.ppf((1 + CONFIDENCE) / 2, n - 1)) * standard_error
    p = 2 * float(stats.t.sf(abs(mean) / standard_error, n - 1))
    return PairedComparison(mean, mean - half, mean + half, min(p, 1.0), n)
