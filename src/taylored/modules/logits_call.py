"""A call on logits: what the documentation says of it, and how the functional form reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from torch import Tensor

from taylored.core.inputs.given import read_weight, usual
from taylored.core.inputs.logits import Logits
from taylored.core.inputs.raw_scores import check_raw_scores
from taylored.modules.base import FunctionCall, Loss, parameters_of
from taylored.modules.class_axis import at_home, check_lengths, class_count, lengths

if TYPE_CHECKING:
    from taylored.modules.classification import ClassificationLoss

SHAPES = {
    "softmax": "input (N, C, d1, ...) logits, or (C,) for one sample; target (N, d1, ...) class "
    "indices, or the shape of `input` with probabilities.",
    "sigmoid": "input (N, C, d1, ...) logits, or (N,) for one yes / no question; target of the "
    "shape of `input` with probabilities or 0 / 1, or (N, d1, ...) class indices.",
    "either": "input (N, C, d1, ...) logits (or (N,) with the sigmoid link); target (N, d1, ...) "
    "class indices, or the shape of `input` with probabilities or 0 / 1.",
}
FURTHER = (
    " The call also takes `sample_weight`, one number per sample or position (in the numerator "
    'only), and `normalizer`, which replaces the denominator of "mean": detectors divide by the '
    "number of positives, `loss(input, target, normalizer=target.sum())`; 0 counts nothing: the "
    "loss is 0. With many classes "
    "`input` may be `LinearLogits(features, head.weight, head.bias)`, or `donate(logits)`, to save "
    "memory, or `ShardedLogits` where processes share the classes; losses that need all logits at "
    "once refuse them."
)
RETURNS = (
    'A scalar, or with reduction="none" one value per position (softmax) or element (sigmoid); '
    "float32 for half-precision logits."
)


def first_look(loss: Loss, input: Logits, link: str, axis: int) -> None:
    """Refuse probabilities in the first batch of a module; `debug()` looks at every one."""
    check_raw_scores(input, link, axis)
    loss.__dict__["_looked"] = True


def link_of(loss: type[Loss]) -> str:
    """The link of a loss class; "either" where the instance says it."""
    link = getattr(loss, "link", None)
    return link if isinstance(link, str) else "either"


def entered(loss: type[ClassificationLoss], call: FunctionCall) -> Tensor:
    """Run a call of a loss's function on tensors in the forms and places where it has them."""
    names, args, given = call.names, call.args, call.given
    class_dim = given.get("class_dim", loss._home)
    if class_dim == loss._home:
        return _checked(loss, call)
    named = {**dict(zip(names, args, strict=False)), **given}
    beside = [keyword for keyword in (*names[1:], "sample_weight") if keyword in named]

    def inside(input: Logits, *moved: Tensor) -> Tensor:
        there = {"input": input, **dict(zip(beside, moved, strict=True))}
        return _checked(loss, call._replace(args=(), given={**named, **there}, lists=True))

    if "input" not in named:
        return call.run(*args, **given)  # and Python says that it is missing
    tensors = [named[keyword] for keyword in beside]
    return at_home(inside, class_dim, loss._home, named["input"], *tensors)


def _checked(loss: type[ClassificationLoss], call: FunctionCall) -> Tensor:
    if call.lists:
        input = call.args[0] if call.args else call.given.get("input")
        found = lengths(parameters_of(loss), call.own)
        if found and input is not None:  # else Python says that it is missing
            check_lengths(found, class_count(input, _link(call.given, loss), loss._home))
    return _read(loss, call)


def _read(loss: type[ClassificationLoss], call: FunctionCall) -> Tensor:
    """Run the function on what was given by position and keyword, brought to its forms."""
    run, names, args, given, *_ = call
    if len(args) > 1 and usual(args[0], args[1], loss._home) and "sample_weight" not in given:
        return run(*args, **given)
    named = {**dict(zip(names, args, strict=False)), **given}
    input = named.get("input")
    if isinstance(input, Logits) and "target" in named:
        named["target"] = loss.read_target(input, named["target"], _link(given, loss))
        if named.get("sample_weight") is not None:
            shape = input.shape[loss._home - 1 :]
            named["sample_weight"] = read_weight(named["sample_weight"], shape)
    return run(**named)


def _link(given: Mapping[str, Any], loss: type[ClassificationLoss]) -> str:
    """The link that a call asks for."""
    fields = parameters_of(loss)
    default = fields["link"].default if "link" in fields else link_of(loss)
    return str(given.get("link", default))
