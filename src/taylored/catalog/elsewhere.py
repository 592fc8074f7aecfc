"""Names under which losses of the catalogue, or calls of them, are known elsewhere."""

from __future__ import annotations

ELSEWHERE: dict[str, str] = {
    "bce": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy",
    "log_loss": "binary_cross_entropy, or cross_entropy of several classes",
    "multi_label_soft_margin": "binary_cross_entropy: its mean is over samples and classes at once",
    "soft_margin": "logistic, with targets of 0 and 1",
    "multi_margin": 'multiclass_hinge(rivals="mean")',
    "crammer_singer": "multiclass_hinge",
    "adaboost": "exponential",
    "smooth_hinge": "modified_huber, or squared_hinge",
    "pinball": "quantile",
    "mae": "l1",
    "ranked_probability_score": "emd",
    "ordinal": "corn, coral or emd",
    "triplet_margin": "triplet, which finds its triplets in the batch",
}
"""What is meant here, by the name that somebody may look for."""


def known_as(name: str) -> str:
    """What to write instead of a name, as a sentence; empty if nobody calls a loss so."""
    found = {_bare(known): here for known, here in ELSEWHERE.items()}.get(_bare(name))
    return f" Here that is {found}." if found else ""


def _bare(name: str) -> str:
    """A name however it is written: `LogLoss`, `log_loss`, `log`."""
    return name.lower().replace("_", "").removesuffix("loss")
