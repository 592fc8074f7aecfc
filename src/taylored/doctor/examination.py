"""The examination of a loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from taylored.core.checks import fail, one_of
from taylored.doctor.apart import Answer, answers_apart, packed
from taylored.doctor.checks import CHECKS
from taylored.doctor.form import Layout
from taylored.doctor.here import Asked, answers
from taylored.doctor.patient import Link, TargetKind
from taylored.doctor.recipe import LossFunction, Recipe, given
from taylored.doctor.report import Report, ordered
from taylored.doctor.target import check_catalogued, recipe_of
from taylored.doctor.worker import Request
from taylored.own import is_reference

_NAMES = tuple(check.name for check in CHECKS)


class HowToExamine(TypedDict, total=False):
    """What `examine` is told besides the loss, for functions that hand it on."""

    link: Link | None
    target: TargetKind | None
    classes: int
    layout: Layout | None
    checks: Sequence[str]
    time_limit: float | None


def examine(
    loss: str | LossFunction,
    *,
    link: Link | None = None,
    target: TargetKind | None = None,
    classes: int = 5,
    layout: Layout | None = None,
    checks: Sequence[str] = (),
    time_limit: float | None = 60.0,
) -> Report:
    """Find what is wrong with a classification loss, with numbers and a program that shows each.

    The loss is any callable `(logits, target) -> value`. It is called on logits (N, C) or
    (N, C, H, W), and on class indices or one number in [0, 1] for every logit, whichever it takes.
    It runs in a process of its own, so that one that exits, hangs or crashes is a finding.

    Args:
        loss: a string of the catalogue, "module:Loss(gamma=2)" or "path/file.py:Loss", or the
            object itself.
        link: "softmax" or "sigmoid"; found by trying if left out.
        target: "index" or "multi-hot"; found by trying if left out.
        classes: how many columns the logits have; a loss built for 10 classes needs 10.
        layout: "rows", logits (N, C), or "maps", logits (N, C, H, W); rows are tried first.
        checks: names of the checks to run; all if left out.
        time_limit: seconds for each check; None runs everything in this process, without a limit.
            An object that cannot be pickled is always examined in this process.

    Returns:
        `Report`, with the findings, errors first.

    Raises:
        ValueError: for a text that names nothing, and unknown checks.

    Example:
        A modulator that overflows lets the hardest positives go:

        >>> import torch
        >>> def focal(logits, target):
        ...     q = 1 - torch.softmax(logits, 1).gather(1, target[:, None]).squeeze(1)
        ...     return (q ** 2 * -torch.log(1 - q)).mean()
        >>> found = examine(focal, checks=("float32",), time_limit=None)
        >>> [(each.severity, each.name) for each in found.errors]
        [('error', 'overflows')]

    Reference:
        What it looks for has been found in public implementations; `docs/doctor.md` lists them.
    """
    if link is not None:
        one_of("link", link, ("softmax", "sigmoid"))
    if target is not None:
        one_of("target", target, ("index", "multi-hot"))
    if layout is not None:
        one_of("layout", layout, ("rows", "maps"))
    if classes < 1:
        fail("classes", "a whole number >= 1", classes, "count the columns of your logits")
    for check in checks:
        one_of("checks", check, _NAMES)
    asked = Asked(link, target, classes, layout, tuple(checks))
    name, content = _named(loss)
    found: list[Answer] = []
    if time_limit is None or content is None:
        recipe = _recipe(loss, classes)
        for check, form, findings in answers(recipe, asked, lambda *_: None):
            found.append(Answer(check, form.described() if form else "", findings))
    else:
        found.extend(answers_apart(Request(content, name, asked), time_limit))
    return Report(
        loss=name,
        form=next((each.form for each in found if each.form), "it could not be called"),
        findings=ordered(tuple(finding for each in found for finding in each.findings)),
        asked=tuple(each.check for each in found if each.check in _NAMES),
    )


def _named(loss: str | LossFunction) -> tuple[str, str | bytes | None]:
    if isinstance(loss, str):
        if not is_reference(loss):
            check_catalogued(loss)
        return loss, loss
    if not callable(loss):
        fail("loss", "a string or something that can be called", type(loss).__name__,
             "give a function or module (logits, target) -> value")  # fmt: skip
    return given(loss).name, packed(loss)


def _recipe(loss: str | LossFunction, classes: int) -> Recipe:
    return recipe_of(loss, classes) if isinstance(loss, str) else given(loss)
