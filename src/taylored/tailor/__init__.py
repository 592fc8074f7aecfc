"""A loss learned from the data: coefficients, class bias and temperature along one training.

`tailor(...)` learns them by the derivatives of the X-ray; `Tailored.judge` retrains with the
loss, from scratch, and lets `lab.compare` judge it on rows that it never saw. The command is
`taylored tailor`.
"""

from taylored.tailor.learn import tailor
from taylored.tailor.numbers import Numbers
from taylored.tailor.tailored import Tailored

__all__ = ["Numbers", "Tailored", "tailor"]
