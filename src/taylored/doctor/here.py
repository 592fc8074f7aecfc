"""Asking the questions in this process, one after the other."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from taylored.doctor.check import Check
from taylored.doctor.checks import CHECKS
from taylored.doctor.finding import Finding
from taylored.doctor.form import Layout, NoFormError, form_of, prepared
from taylored.doctor.patient import Form, Link, Patient, TargetKind, said
from taylored.doctor.recipe import Recipe
from taylored.own import FAILURES

Saying = Callable[[str, Patient | None], None]
"""Told of every check before it is asked, with the patient once it is known."""


@dataclass(frozen=True)
class Asked:
    """How a loss is to be called, as far as the user has said it, and which checks to run."""

    link: Link | None = None
    target: TargetKind | None = None
    classes: int = 5
    layout: Layout | None = None
    checks: tuple[str, ...] = ()
    without: tuple[str, ...] = ()

    def wanted(self) -> tuple[Check, ...]:
        """The checks, in their order."""
        return tuple(
            check
            for check in CHECKS
            if (not self.checks or check.name in self.checks) and check.name not in self.without
        )


LOADING = "loading"
"""What comes before the first check: finding out how the loss is called."""


def answers(
    recipe: Recipe, asked: Asked, saying: Saying
) -> Iterator[tuple[str, Form | None, tuple[Finding, ...]]]:
    """The findings of each check, as they come."""
    saying(LOADING, None)
    try:
        with left_alone():
            form = form_of(
                recipe,
                link=asked.link,
                target=asked.target,
                classes=asked.classes,
                layout=asked.layout,
            )
    except (NoFormError, *FAILURES) as error:
        yield LOADING, None, (_uncallable(recipe, error),)
        return
    with left_alone():
        patient = prepared(recipe, form)
    yield LOADING, form, ()
    for check in asked.wanted():
        saying(check.name, patient)
        found = _answer(check, patient)
        yield check.name, form, found
        if any(each.name in _FATAL for each in found):
            return


_FATAL = {
    "exits",
    "raises",
    "returns-no-tensor",
    "not-finite",
    "no-gradient",
    "takes-probabilities",
    "not-deterministic",
}
"""Findings after which comparisons of values make no sense."""


def _answer(check: Check, patient: Patient) -> tuple[Finding, ...]:
    try:
        with left_alone():
            return tuple(each.by(check.name) for each in check.run(patient))
    except FAILURES as error:
        first = check.name == "call"
        return (_stopped(patient, check.name, error, "raises" if first else "fails-in-check"),)


def _stopped(patient: Patient, check: str, error: BaseException, name: str) -> Finding:
    leaves = isinstance(error, SystemExit)
    return Finding(
        "exits" if leaves else name,
        "error" if leaves or name == "raises" else "warning",
        f"It fails while it is asked: {check}.",
        "Let it return a value for any logits and targets of the right shapes.",
        {"error": said(error)},
        patient.snippet(patient.sample(), "print(loss(logits, target))"),
        check,
    )


def _uncallable(recipe: Recipe, error: BaseException) -> Finding:
    leaves = "sys.exit" in str(error)
    return Finding(
        "exits" if leaves else "call-fails", "error",
        "It can be called neither on class indices nor on one number for every logit.",
        "Say what it takes: --target index or --target multi-hot, --classes C; arguments in "
        "brackets.",
        {"errors": said(error) if not isinstance(error, NoFormError) else str(error)[:600]},
        recipe.code({}), LOADING,
    )  # fmt: skip


@contextmanager
def left_alone() -> Iterator[None]:
    """What a check or the loss itself has set is set back; warnings are not shown."""
    modes = torch.is_grad_enabled(), torch.get_default_dtype(), torch.get_num_threads()
    strict = torch.are_deterministic_algorithms_enabled()
    precision, benchmark = torch.get_float32_matmul_precision(), torch.backends.cudnn.benchmark
    with torch.random.fork_rng(devices=[]), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.manual_seed(0)
        try:
            yield
        finally:
            torch.set_grad_enabled(modes[0])
            torch.set_default_dtype(modes[1])
            if torch.get_num_threads() != modes[2]:
                torch.set_num_threads(modes[2])
            if torch.are_deterministic_algorithms_enabled() != strict:  # setting it loads inductor
                torch.use_deterministic_algorithms(strict)
            torch.autograd.set_detect_anomaly(False)
            torch.set_float32_matmul_precision(precision)
            torch.backends.cudnn.benchmark = benchmark
