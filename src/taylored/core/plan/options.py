"""The options that all losses of the family share, as the caller gave them, and their checks."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor

from taylored.core.checks import fail, in_range, one_of, seen
from taylored.core.labels import PerClass as PerClass
from taylored.core.plan.truth_margin import TruthMargin
from taylored.core.state.gradient_indicator import GradientIndicator
from taylored.core.terms.term import Term

LinkName = Literal["softmax", "sigmoid"]
Reduction = Literal["none", "sum", "mean", "batch_mean"]

LINK_NAMES: tuple[LinkName, ...] = ("softmax", "sigmoid")
REDUCTIONS: tuple[Reduction, ...] = ("none", "sum", "mean", "batch_mean")


class Options(NamedTuple):
    """What a caller may ask for besides input, target and term.

    A tuple, because one is made in every call: a frozen dataclass takes three times as long.

    Attributes:
        class_dim: where the caller has the classes. Nothing here reads it, because
            `modules/class_axis.py` brings them to axis 1 before; it is one of the shared keywords,
            all of which a function hands on as `Options(**shared)`.
        rejection: term of the outcome "no" where that has one of its own (sigmoid), else None.
        logit_scale: what multiplies the logits of each class (softmax), before the bias; above 0.
        margin: what is added to the logit of the one true class (softmax), before the temperature;
            not beside a scale.
        indicator: the gradient sums of a forward that counts are added to it; None for nowhere.
        uncounted: how many of the last columns belong to no class (a background column).
    """

    link: LinkName = "softmax"
    weight: PerClass | None = None
    alpha: float | PerClass | None = None
    pos_weight: float | PerClass | None = None
    neg_weight: PerClass | None = None
    logit_scale: PerClass | None = None
    logit_bias: PerClass | None = None
    temperature: float = 1.0
    margin: TruthMargin | None = None
    ignore_index: int | None = -100
    background_index: int | None = None
    rejection: Term | None = None
    label_smoothing: float = 0.0
    reduction: Reduction = "mean"
    class_dim: int = 1
    sample_weight: Tensor | None = None
    normalizer: float | Tensor | None = None
    indicator: GradientIndicator | None = None
    uncounted: int = 0


def check_options(options: Options) -> None:
    """Refuse options that are wrong whatever the data are."""
    one_of("link", options.link, LINK_NAMES)
    check_reduction(options.reduction, options.normalizer)
    in_range(
        "label_smoothing", options.label_smoothing, 0.0, 1.0,
        "give the mass to move away from the target (0.1 is common; not the mass to keep)",
    )  # fmt: skip
    in_range(
        "temperature", options.temperature, 0.0, float("inf"), "give a number > 0", interval="()"
    )
    if isinstance(options.alpha, (int, float)):
        in_range(
            "alpha", options.alpha, 0.0, 1.0,
            "alpha is the weight of positives against negatives (1 - alpha); None switches it off",
        )  # fmt: skip
    if isinstance(options.pos_weight, (int, float)):
        in_range("pos_weight", options.pos_weight, 0.0, float("inf"), "give a number >= 0")
    for name in ("ignore_index", "background_index"):
        index = getattr(options, name)
        if index is not None and not -(2**63) <= index < 2**63:
            fail(name, "a class index, which has 64 bits", index, "take a number that no class has")
    if options.background_index is not None and options.background_index == options.ignore_index:
        fail(
            "background_index",
            "another number than ignore_index",
            options.background_index,
            "background is a row of negatives, ignored positions count for nothing",
        )
    if options.link == "softmax":
        _refuse_what_only_sigmoid_has(options)
    elif options.logit_scale is not None or options.margin is not None:
        _refuse_what_only_softmax_has(options)


def _refuse_what_only_softmax_has(options: Options) -> None:
    for name in ("logit_scale", "margin"):
        value = getattr(options, name)
        if value is not None:
            fail(
                name,
                'left out with link="sigmoid": it moves the logits of the classes against each'
                " other, and here every class is a question of its own",
                value,
                'declare link = "softmax" for the loss whose `fill` sets it; a factor for all'
                " classes is 1 / temperature, and a shift is `logit_bias`",
            )


def _refuse_what_only_sigmoid_has(options: Options) -> None:
    if options.background_index is not None:
        fail(
            "background_index",
            'left out with link="softmax": every position has one true class',
            options.background_index,
            "give background a column of its own, or use ignore_index",
        )
    for name in ("alpha", "pos_weight", "neg_weight"):
        value = getattr(options, name)
        if value is not None:
            fail(
                name,
                'left out with link="softmax": it balances positives against negatives, and a'
                " single number on every class would only rescale the learning rate",
                value,
                'pass one number per class as `weight`, or use link="sigmoid"',
            )


def check_reduction(reduction: str, normalizer: float | Tensor | None) -> None:
    """Refuse unknown reductions, and a normalizer that is no amount.

    Zero is one: nothing is counted, and the loss is 0, as where every position is ignored.
    """
    one_of("reduction", reduction, REDUCTIONS)
    if normalizer is None:
        return
    if reduction != "mean":
        fail(
            "normalizer",
            'used with reduction="mean" only (it replaces the denominator)',
            f"reduction={reduction!r}",
            'leave `normalizer` out, or use reduction="mean"',
        )
    amount: float | Tensor = normalizer
    if isinstance(normalizer, Tensor):
        if normalizer.numel() != 1:
            fail("normalizer", "one number", f"shape {tuple(normalizer.shape)}", "sum it first")
        amount = normalizer.item() if seen(normalizer) else 0.0
    if not amount >= 0:  # NaN neither
        fail("normalizer", "a number >= 0", amount, "give the count itself; max(1, count) where a"
             " batch without any is to be learned from")  # fmt: skip
