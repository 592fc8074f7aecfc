"""The vocabulary of the algebra, one flat namespace: `from taylored import terms`."""

from taylored.core.leaves import constant, nll, power, series, truncated
from taylored.core.robust_leaves import box_cox, jensen_shannon
from taylored.core.term import Term

__all__ = [
    "Term",
    "box_cox",
    "constant",
    "jensen_shannon",
    "nll",
    "power",
    "series",
    "truncated",
]
