"""Which losses take something in the place of logits."""

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
