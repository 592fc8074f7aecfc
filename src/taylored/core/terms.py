"""The vocabulary of the algebra, one flat namespace: `from taylored import terms`."""

from taylored.core.leaves import constant, nll, power, series, truncated
from taylored.core.term import Term

__all__ = ["Term", "constant", "nll", "power", "series", "truncated"]
