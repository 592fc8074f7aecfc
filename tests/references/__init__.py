"""One independent float64 reference per loss, written from the papers' equations.

Naive on purpose: exp, sums and loops, no stable forms, no value from the package (links and
defaults of other losses are read from SPEC). Good to about 1e-12 for moderate logits; extremes are
checked against mpmath instead. One module per family of losses; `@reference("name")` adds a loss.
"""

from __future__ import annotations

import importlib
import pkgutil

from references.call import Call
from references.formulas import is_index
from references.loss import reference_loss
from references.registry import REFERENCES, losses_of

__all__ = ["REFERENCES", "Call", "is_index", "losses_of", "reference_loss"]

for _module in pkgutil.iter_modules(__path__, "references."):
    importlib.import_module(_module.name)
