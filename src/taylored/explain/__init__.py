"""What a loss does, explained: curves, parameters, regions, series, optimum and guarantees.

`explain(["focal(gamma=2)", "poly(epsilon=2)"])` gives an `Explanation`: data, with `draw()`,
`to_dict()`, `to_json()` and `to_html()`; with `Outputs` of a model, where its samples are and which
of them get the gradient. The command is `taylored explain`.
"""

from taylored.explain.asked import explain
from taylored.explain.explanation import Explanation, LossView
from taylored.explain.on_data import OnData, Outputs
from taylored.explain.optimum import Optimum
from taylored.explain.parameters import Effect
from taylored.explain.polynomials import Polynomials
from taylored.explain.regions import Regions
from taylored.explain.views import View

__all__ = [
    "Effect",
    "Explanation",
    "LossView",
    "OnData",
    "Optimum",
    "Outputs",
    "Polynomials",
    "Regions",
    "View",
    "explain",
]
