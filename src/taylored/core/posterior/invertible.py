"""Whether a loss tells probabilities apart at all: the mean absolute error, for one, does not."""

from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor

from taylored.core.context import values_are_known
from taylored.core.plan.options import Options
from taylored.core.terms.point import Point
from taylored.core.terms.term import Term


class NoPosteriorError(ValueError):
    """Probabilities were asked of a loss whose outputs do not tell them in closed form.

    Example:
        >>> import torch
        >>> from taylored import GHMLoss, NoPosteriorError
        >>> try:
        ...     GHMLoss().posterior(torch.zeros(1, 2))
        ... except NoPosteriorError as error:
        ...     print(str(error).split(": ")[1].split(".")[0])
        its weights depend on the other elements of each batch
    """


def no_posterior(loss: str, why: str) -> NoReturn:
    """Say why a loss has no posterior, and what to do instead."""
    raise NoPosteriorError(
        "`loss` must be one whose class probabilities follow from the outputs in closed form, got "
        f"{loss}: {why}. Fix: fit a temperature to the outputs instead, "
        "taylored.tune_temperature(logits, labels), or predict(outputs)"
    )


_MOST_CLASSES = 4096
"""Of more classes with parameters of their own, a sample is looked at."""


def check_invertible(term: Term, options: Options) -> None:
    """Refuse a loss whose minimum is the same for different class probabilities.

    The odds that an output stands for have to rise with it. Where phi is concave or affine in p
    they do not: the minimum is at p = 0 or 1, whatever the probabilities.
    """
    if options.label_smoothing == 1.0:
        no_posterior(str(term), "label_smoothing=1 leaves nothing of the labels")
    if not values_are_known():
        return
    with torch.no_grad():
        at = Point(torch.linspace(-15.0, 15.0, 61, dtype=torch.float64, device="cpu"))
        if options.link == "softmax":
            rise = at.log_p + at.log_q - _log_slope(term, at)
        else:
            other = term if options.rejection is None else options.rejection
            rise = _log_slope(other, at.complement()) - _log_slope(term, at)
        steps = rise.diff(dim=-1)
        most = torch.where(steps.isfinite(), steps, 0.0).amax(dim=-1)
    if not bool((most > 1e-9).all()):
        why = "it is not strictly convex in p_t, and has one minimum for different probabilities"
        no_posterior(str(term), why)


def _log_slope(term: Term, at: Point) -> Tensor:
    def pick(values: Tensor) -> Tensor:
        few = values.detach().reshape(-1)[:: 1 + values.numel() // _MOST_CLASSES]
        return few.to(at.margin).unsqueeze(1)

    _, slope = term.bind(pick).logarithms(at)
    return torch.where(slope.sign < 0, torch.nan, slope.log)
