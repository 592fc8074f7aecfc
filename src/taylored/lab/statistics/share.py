"""The interval of a share, such as the recall of a class."""

import math


def wilson(share: float, rows: int, confidence: float = 0.95) -> tuple[float, float]:
    """Interval of the share in the population, by the choice of rows alone.

    Args:
        share: the observed share, in [0, 1]; of several repeats their mean.
        rows: rows that it is the share of, each counted once however often it was tested; more
            narrow the interval.
        confidence: coverage; a larger one widens the interval.

    >>> low, high = wilson(0.0, 10)
    >>> round(low, 3), round(high, 3)
    (0.0, 0.278)

    Reference:
        E. B. Wilson, Probable Inference, the Law of Succession, and Statistical Inference, Journal
        of the American Statistical Association 22, 1927.
    """
    from scipy import stats

    if not rows >= 1 or not 0 <= share <= 1:
        raise ValueError(f"share must lie in [0, 1] and rows be >= 1, got {share!r} and {rows!r}")
    z2 = float(stats.norm.ppf((1 + confidence) / 2)) ** 2
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = math.sqrt(z2 * (share * (1 - share) / rows + z2 / (4 * rows**2))) / (1 + z2 / rows)
    return max(middle - half, 0.0), min(middle + half, 1.0)
