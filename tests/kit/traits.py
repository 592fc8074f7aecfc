"""What kind of loss a loss is."""

from __future__ import annotations

BATCHWISE = frozenset({"ghm"})
"""Losses of which a sample's depends on its batch."""
OWN = frozenset(
    {
        "asymmetric_single_label",
        "distribution_balanced",
        "equalized_quality_focal",
        "varifocal",
        "quality_focal",
        "ghm",
    }
)
"""Losses that compute element by element: in pieces or composed, "whole" is composed too."""
NOT_NATIVE = OWN | {
    "asymmetric",
    "generalized_cross_entropy",
    "generalized_jensen_shannon",
    "influence_balanced",
    "jensen_shannon",
    "ldam",
}
"""Losses with a term of another form than the native executor's."""
STATEFUL = frozenset({"softmax_eql", "sigmoid_eql", "equalized_focal", "equalized_quality_focal"})
"""Losses with a `GradientIndicator`."""
NEED_ALL_LOGITS = frozenset(
    {
        "asymmetric_single_label",
        "distribution_balanced",
        "distribution_focal",
        "equalization",
        "equalized_quality_focal",
        "generalized_jensen_shannon",
        "ghm",
        "influence_balanced",
        "quality_focal",
        "seesaw",
        "varifocal",
        "vector_scaling",
    }
)
"""Losses that compute with all logits at once, and refuse anything else."""
