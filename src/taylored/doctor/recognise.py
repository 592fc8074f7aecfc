"""Which loss of the catalogue a loss is, by its values."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import suppress

import torch
from torch import Tensor

from taylored.catalog.lookup import get, needs
from taylored.catalog.table import SPECS
from taylored.doctor.patient import Form, Patient, alone
from taylored.doctor.recipe import Catalogued, UnavailableError
from taylored.own import FAILURES

ROWS = 12
_FAMILIES = {
    "focal": ("gamma", (0.5, 1, 1.5, 2, 3, 4, 5)),
    "poly": ("epsilon", (-1, -0.5, 0.5, 1, 2)),
    "generalized_cross_entropy": ("q", (0.3, 0.5, 0.7, 0.9)),
    "taylor": ("num_terms", (1, 2, 3, 5, 10)),
}
"""Parameters that are tried besides the examples of each loss."""


def _texts(link: str) -> Iterator[str]:
    seen = set()
    grid = (
        f"{name}({parameter}={value})"
        for name, (parameter, values) in _FAMILIES.items()
        for value in values
    )
    examples = (
        text
        for spec in SPECS.values()
        if spec.takes == "logits" and spec.call == "plain" and spec.inner == "none"
        for text in (spec.name, *spec.examples)
    )
    for text in (*PLAIN[link], *grid, *examples):
        for said in (text, _linked(text, link)):
            if said not in seen:
                seen.add(said)
                yield said


PLAIN = {"softmax": ("cross_entropy",), "sigmoid": ("binary_cross_entropy",)}


def _linked(text: str, link: str) -> str:
    if text.endswith(")"):
        return f"{text[:-1]}, link={link!r})".replace("(, ", "(")
    return f"{text}(link={link!r})"


@functools.lru_cache(maxsize=8)
def _known(form: Form, reduction: str) -> tuple[tuple[str, Tensor], ...]:
    """Values of the losses of the catalogue on one sample."""
    found = []
    for text in _texts(form.link):
        with suppress(*FAILURES):
            if needs(text):
                continue
            loss = get(text)
            if getattr(loss, "link", form.link) != form.link:
                continue
            patient = Patient(Catalogued(text, form.classes), form)
            sample = patient.sample(ROWS, scale=1.5)
            found.append((text, alone(patient.still(reduction=reduction), sample)))
    return tuple(found)


def values_of(patient: Patient) -> tuple[Tensor, str]:
    """Of each sample, as a sum where there is one: a mean may be over elements or over samples."""
    sample = patient.sample(ROWS, scale=1.5)
    try:
        return alone(patient.still(reduction="sum"), sample), "sum"
    except (UnavailableError, *FAILURES):
        return alone(patient.still(), sample), "mean"


def recognised(patient: Patient) -> tuple[str, float, float] | None:
    """The catalogue's loss that has the same values, a factor, and the largest relative error."""
    values, reduction = values_of(patient)
    size = values.abs().max()
    if not bool(torch.isfinite(values).all()) or float(size) == 0:
        return None
    best: tuple[str, float, float] | None = None
    for text, known in _known(patient.form, reduction):
        if known.shape != values.shape or float(known.abs().max()) == 0:
            continue
        factor = float((values * known).sum() / known.square().sum())
        error = float((values - factor * known).abs().max() / size)
        # The plain losses come first, and are meant unless another is nearer by more than rounding.
        if factor > 0 and error < 1e-5 and (best is None or error < 1e-3 * best[2] - 1e-9):
            best = (text, factor, error)
    return best or _fitted(patient, values)


def _fitted(patient: Patient, values: Tensor) -> tuple[str, float, float] | None:
    """A focal exponent or a Poly-1 coefficient that was not on the grid."""
    form = patient.form
    if not form.exclusive or form.space or form.link != "softmax":
        return None
    sample = patient.sample(ROWS, scale=1.5)
    index = sample.target if form.target == "index" else sample.target.argmax(1)
    logs = torch.log_softmax(sample.logits, 1).gather(1, index[:, None]).squeeze(1)
    nll, wrong = -logs, -torch.expm1(logs)
    ones = torch.ones_like(nll)
    fits: list[tuple[str, float, Tensor]] = []
    if bool((values > 0).all()):
        columns = torch.stack([wrong.log(), ones], 1)
        gamma, scale = torch.linalg.lstsq(columns, (values / nll).log()[:, None]).solution[:, 0]
        power, factor = round(float(gamma), 4), float(scale.exp())
        fits.append((f"focal(gamma={power})", factor, factor * wrong**power * nll))
    both = torch.stack([nll, wrong], 1)
    a, b = torch.linalg.lstsq(both, values[:, None]).solution[:, 0].tolist()
    if a > 0:
        epsilon = round(b / a, 4)
        fits.append((f"poly(epsilon={epsilon})", a, a * (nll + epsilon * wrong)))
    for text, factor, fitted in fits:
        error = float((values - fitted).abs().max() / values.abs().max())
        if error < 1e-4:
            return text, factor, error
    return None
