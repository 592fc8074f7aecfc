"""Handwritten digits, thinned to a long tail."""

import numpy as np

from taylored.lab.data.assemble import RawData
from taylored.lab.data.optional import require

NAME = "digits-lt"
LARGEST = 174  # the smallest class of the original: every class could be the head
SMALLEST = 20  # leaves 4 test samples in the rarest class
_CLASSES = 10


def long_tail_counts() -> tuple[int, ...]:
    """Samples kept of each digit: a geometric series from `LARGEST` down to `SMALLEST`.

    >>> long_tail_counts()
    (174, 137, 108, 85, 67, 52, 41, 32, 25, 20)
    """
    ratio = SMALLEST / LARGEST
    return tuple(round(LARGEST * ratio ** (digit / (_CLASSES - 1))) for digit in range(_CLASSES))


def load_digits_lt() -> RawData:
    """The digits of scikit-learn, 8x8 pixels in 0 .. 1, thinned to `long_tail_counts`."""
    datasets = require("sklearn.datasets", extra="lab", purpose=f"The built-in data {NAME!r}")
    bunch = datasets.load_digits()
    kept = []
    for digit, count in enumerate(long_tail_counts()):
        rows = np.flatnonzero(bunch.target == digit)
        # Evenly over the file, because neighbouring rows come from the same writer.
        kept.append(rows[np.arange(count) * len(rows) // count])
    rows = np.sort(np.concatenate(kept))
    return RawData(
        name=NAME,
        features=(bunch.images[rows, None] / 16.0).astype(np.float32),
        labels=bunch.target[rows].astype(np.int64),
        class_names=tuple(str(digit) for digit in range(_CLASSES)),
        kind="image",
        source="scikit-learn load_digits (test set of the UCI optical recognition of digits)",
        licence="shipped with scikit-learn (BSD 3-Clause); for the original see its UCI page",
        description=(
            "Handwritten digits, 8x8 grey pixels, thinned to a geometric series from "
            f"{LARGEST} zeros to {SMALLEST} nines, evenly over the file."
        ),
        citation=(
            "E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, "
            "UCI Machine Learning Repository, 1998"
        ),
    )
