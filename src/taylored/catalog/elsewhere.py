"""Names under which losses of the catalogue, or calls of them, are known elsewhere."""

from __future__ import annotations

ELSEWHERE: dict[str, str] = {
    "ce": "cross_entropy",
    "nll": "cross_entropy: log-probabilities are logits like others",
    "softmax": "cross_entropy",
    "poly1": "poly",
    "taylor_cross_entropy": "taylor",
    "bce": "binary_cross_entropy",
    "bce_with_logits": "binary_cross_entropy",
    "log_loss": "binary_cross_entropy, or cross_entropy of several classes",
    "multi_label_soft_margin": "binary_cross_entropy: its mean is over samples and classes at once",
    "soft_margin": "logistic, with targets of 0 and 1",
    "sigmoid_focal": 'focal(link="sigmoid")',
    "asl": "asymmetric",
    "gce": "generalized_cross_entropy",
    "sce": "symmetric_cross_entropy",
    "eql": "equalization",
    "eqlv2": "sigmoid_eql",
    "efl": "equalized_focal",
    "logit_adjustment": "logit_adjusted",
    "drw": "deferred",
    "vs": "vector_scaling",
    "bpoe": "balanced_experts",
    "cdb": "difficulty_balanced",
    "loce": "equilibrium",
    "fed": "federated",
    "qfl": "quality_focal",
    "vfl": "varifocal",
    "mal": "matchability_aware",
    "dfl": "distribution_focal",
    "ohem": "hardest(cross_entropy, share=0.25)",
    "top_k": "hardest(cross_entropy, share=0.1)",
    "cvar": "hardest(cross_entropy, share=0.1), the mean of the largest share",
    "term": "tilted(cross_entropy, t=1), or a term of taylored.terms",
    "f1": "dice",
    "iou_score": "jaccard",
    "cauchy": "general_robust(alpha=0)",
    "geman_mcclure": "general_robust(alpha=-2)",
    "supcon": "supervised_contrastive",
    "additive_angular_margin": "arcface",
    "am_softmax": "cosface",
    "aucm": "auc_margin",
    "bmc": "balanced_mse",
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
