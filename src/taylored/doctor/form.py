"""On what a loss is called, found by trying."""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import Literal

import torch
from torch import Tensor

from taylored.doctor.patient import (
    Form,
    Link,
    Patient,
    TargetKind,
    alone,
    outcome,
)
from taylored.doctor.recipe import Following, Recipe
from taylored.own import FAILURES

Layout = Literal["rows", "maps"]
SPACES: dict[Layout, tuple[int, ...]] = {"rows": (), "maps": (4, 4)}


class NoFormError(ValueError):
    """The loss can be called on nothing that was tried."""


def prepared(recipe: Recipe, form: Form) -> Patient:
    """The patient, whose numbers follow the dtype of the logits where they have to.

    The questions are asked in float64, in which torch's losses refuse weights in float32.
    """
    patient = Patient(recipe, form)
    sample = patient.sample()
    if isinstance(outcome(lambda: patient.still()(sample.logits, sample.target)), str):
        following = Patient(Following(recipe), form)
        if not isinstance(outcome(lambda: following.still()(sample.logits, sample.target)), str):
            return following
        return Patient(recipe, form, torch.float32)
    return patient


def form_of(
    recipe: Recipe,
    *,
    link: Link | None,
    target: TargetKind | None,
    classes: int,
    layout: Layout | None = None,
) -> Form:
    """The first form in which the loss answers.

    Class indices are tried first, then a number in [0, 1] for every logit, both for rows and for
    maps. Where class indices work and the loss reads its logits by the sigmoid, the second is
    preferred if it works too.

    Raises:
        NoFormError: where it fails on all of them; the message says how.
    """
    kinds: tuple[TargetKind, ...] = ("index", "multi-hot") if target is None else (target,)
    works: list[Form] = []
    failures = []
    spaces = SPACES.values() if layout is None else (SPACES[layout],)
    for space, kind in product(spaces, kinds):
        form = Form(kind, link or "sigmoid", classes, space)
        patient = Patient(recipe, form)
        found = outcome(lambda p=patient: _called(p))  # type: ignore[misc]
        if isinstance(found, str):
            failures.append(f"on {form.described().rpartition(',')[0]}: {found}")
        elif not works or works[0].space == space:
            works.append(form)
    if not works:
        raise NoFormError("; ".join(failures))
    read = [Form(form.target, link or _link(recipe, form), classes, form.space) for form in works]
    return next((form for form in read if form.link == "softmax"), read[-1])


def _called(patient: Patient) -> Tensor:
    sample = patient.sample().to(torch.float32)
    found = patient.loss()(sample.logits, sample.target)
    if not isinstance(found, Tensor):
        raise TypeError(f"it returns a {type(found).__name__}, not a tensor")
    return found


def _link(recipe: Recipe, form: Form) -> Link:
    """The link that a loss has: a softmax does not see a constant on all logits of a sample."""
    patient = Patient(recipe, replace(form, link="softmax"))
    sample = patient.sample(scale=1.0)
    try:
        loss = patient.still()
        told = getattr(loss, "link", None)
        if told in ("softmax", "sigmoid"):
            return told  # type: ignore[no-any-return]
        here = alone(loss, sample)
        there = alone(loss, patient.exact(sample.logits + 1.0, sample.target))
    except FAILURES:
        return "softmax" if form.target == "index" else "sigmoid"
    return "softmax" if torch.allclose(here, there, rtol=1e-3, atol=1e-5) else "sigmoid"
