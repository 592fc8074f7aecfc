"""The process in which the user's code runs: it reads a request, and writes a line for each answer.

`python -m taylored.doctor.worker`. Whatever the loss prints goes nowhere, so that standard output
holds answers only.
"""

from __future__ import annotations

import faulthandler
import json
import os
import pickle
import sys
from dataclasses import asdict, dataclass

import torch

from taylored.doctor.here import Asked, answers
from taylored.doctor.patient import Patient
from taylored.doctor.recipe import Recipe, given
from taylored.doctor.target import TargetError, recipe_of


@dataclass(frozen=True)
class Request:
    """What a worker is told, apart from the search path, which it needs to read this."""

    loss: str | bytes
    name: str
    asked: Asked


def main() -> None:
    """Answer one request."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    faulthandler.enable()
    torch.set_num_threads(1)

    def tell(**line: object) -> None:
        out.write(json.dumps(line) + "\n")
        out.flush()

    path, content = pickle.load(sys.stdin.buffer)  # noqa: S301 - from the process that started this
    sys.path[:] = path
    request: Request = pickle.loads(content)  # noqa: S301
    tell(check="importing", snippet="")
    try:
        recipe = _recipe(request)
    except (TargetError, ValueError) as error:
        tell(usage=str(error))
        return

    def saying(check: str, patient: Patient | None) -> None:
        snippet = recipe.code({})
        if patient is not None:
            snippet = patient.snippet(patient.sample(), "print(loss(logits, target))")
        tell(check=check, snippet=snippet)

    for check, form, findings in answers(recipe, request.asked, saying):
        listed = [{**asdict(each), "evidence": dict(each.evidence)} for each in findings]
        tell(done=check, form=form.described() if form else "", findings=listed)


def _recipe(request: Request) -> Recipe:
    if isinstance(request.loss, str):
        return recipe_of(request.loss, request.asked.classes)
    return given(pickle.loads(request.loss))  # noqa: S301


if __name__ == "__main__":
    main()
