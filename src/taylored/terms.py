"""The vocabulary of the algebra, one flat namespace: `from taylored import terms`."""

from taylored.core.terms.clipped_focal import clipped_focal
from taylored.core.terms.elementary import constant, nll, power
from taylored.core.terms.noise_robust import box_cox, jensen_shannon
from taylored.core.terms.shifted import shifted
from taylored.core.terms.sums_of_powers import series, truncated
from taylored.core.terms.term import Term

__all__ = [
    "Term",
    "box_cox",
    "clipped_focal",
    "constant",
    "jensen_shannon",
    "nll",
    "power",
    "series",
    "shifted",
    "truncated",
]
