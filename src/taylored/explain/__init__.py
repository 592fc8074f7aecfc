"""What a loss does, explained: curves, parameters, regions, series, optimum and guarantees.

`explain(["focal(gamma=2)", "poly(epsilon=2)"])` gives an `Explanation`: data, with `draw()`,
`to_dict()`, `to_json()` and `to_html()`. The command is `taylored explain`.
"""

from taylored.explain.asked import explain
from taylored.explain.explanation import Explanation, LossView
from taylored.explain.optimum import Optimum
from taylored.explain.parameters import Effect
from taylored.explain.polynomials import Polynomials
from taylored.explain.regions import Regions
from taylored.explain.views import View

__all__ = [
    "Effect",
    "Explanation",
    "LossView",
    "Optimum",
    "Polynomials",
    "Regions",
    "View",
    "explain",
]
