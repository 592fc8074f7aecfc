"""Numbers per class, in every form in which they are given: by label, in any order, exactly."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from kit.parameters import fields_of, links, module, needed, per_class_values
from kit.tolerances import within
from kit.traits import CLASSES, arguments_of
from taylored import catalog
from taylored.modules.fields.field import Field

# Most frequent first, as value_counts has it, is here another order than that of the classes.
ORDER = (3, 0, 4, 1, 2)


def shuffled(values: list[float]) -> dict[int, float]:
    return {label: values[label] for label in ORDER}


LABELLED: dict[str, Callable[[list[float]], Any]] = {
    "dict": shuffled,
    "Counter": lambda values: Counter(shuffled(values)),
    "series": lambda values: pd.Series(shuffled(values)),
    "sorted series": lambda values: pd.Series(shuffled(values)).sort_index(),
    "numpy labels": lambda values: {
        np.int32(k): np.float64(v) for k, v in shuffled(values).items()
    },
}
"""The same numbers by label."""

IN_ORDER: dict[str, Callable[[list[float]], Any]] = {
    "tuple": tuple,
    "array": np.array,
    "series of a list": pd.Series,
    "tensor": lambda values: torch.tensor(values, dtype=torch.float64),
}
"""The same numbers in the order of the classes."""

FORMS = {**LABELLED, **IN_ORDER}


def lists_of(name: str) -> list[tuple[Field, list[float]]]:
    """Each parameter that may be one number per class, with such numbers; no two alike."""
    found = []
    for field in fields_of(name).values():
        values = per_class_values(field, CLASSES)
        if values is not None:
            found.append((field, values if field.about.needs == "counts" else _uneven(values)))
    return found


def _uneven(values: list[float]) -> list[float]:
    """Numbers that float32 has to round."""
    return [low + (high - low) / 3 for low, high in zip(values, values[::-1], strict=True)][::-1]


def _calls(name: str, field: Field, given: Any) -> list[Tensor]:
    """The loss in float64, of the module and of the function, for each link that allows it."""
    logits, target, further = arguments_of(name)
    arguments = (logits.double(), target, *further)
    found = []
    for link in links(name):
        options = {**link, field.name: given}
        torch.manual_seed(0)  # some losses leave out elements at random
        try:
            loss = module(name, **options)
            found.append(loss(*arguments))
        except ValueError as error:
            if 'left out with link="softmax"' not in str(error):
                raise
            continue
        function = catalog.SPECS[name].function
        if function is not None:
            torch.manual_seed(0)
            found.append(function(*arguments, **{**needed(name), **options}))
    return found


def check_forms(name: str) -> None:
    """In whatever form, the numbers mean the same, down to the last digit."""
    for field, values in lists_of(name):
        expected = _calls(name, field, values)
        for what, form in FORMS.items():
            found = _calls(name, field, form(values))
            assert len(found) == len(expected), what
            for got, wanted in zip(found, expected, strict=True):
                within(got, wanted, 1e-14)  # a tensor may go to another executor than a list


def check_module_and_function(name: str) -> None:
    """A module has the digits that the function has."""
    for field, values in lists_of(name):
        if catalog.SPECS[name].function is None:
            continue
        found = _calls(name, field, values)
        for of_module, of_function in zip(found[::2], found[1::2], strict=True):
            torch.testing.assert_close(of_module, of_function, rtol=1e-14, atol=0)


def check_half(name: str) -> None:
    """Half precision leaves the numbers per class alone."""
    for field, values in lists_of(name):
        for link in links(name):
            try:
                loss = module(name, **link, **{field.name: values})
            except ValueError:  # a parameter of the other link
                continue
            loss.eval()  # which keeps the state of those that have one
            logits, target, further = arguments_of(name)
            torch.manual_seed(0)
            expected = loss(logits, target, *further)
            for low in (copy.deepcopy(loss).half(), loss.bfloat16()):
                torch.manual_seed(0)
                assert torch.equal(low(logits, target, *further), expected), field.name


def check_refused(name: str) -> None:
    """Labels that say no class are refused, with what to do."""
    for field, values in lists_of(name):
        gap = {label: value for label, value in enumerate(values) if label != 1}
        for what, given in {
            "names": {f"class {label}": value for label, value in enumerate(values)},
            "floats": {float(label): value for label, value in enumerate(values)},
            "negative": {label - 1: value for label, value in enumerate(values)},
            "twice": pd.Series(values, index=[0, 1, 2, 2, 3]),
            "a table": pd.DataFrame({"a": values}),
            "truth values": dict.fromkeys(range(CLASSES), True),
            "nothing": {},
            **({} if field.about.needs == "counts" else {"a gap": gap}),
        }.items():
            with pytest.raises(ValueError, match=rf"^`{field.name}` must be .*Fix: ") as caught:
                _calls(name, field, given)
            assert "Fix: " in str(caught.value), what


def check_truth_values(name: str) -> None:
    """A truth value anywhere in a list is no number."""
    for field, values in lists_of(name):
        with pytest.raises(ValueError, match=rf"^`{field.name}`"):
            _calls(name, field, [*values[:-1], True])


def check_compiled(name: str) -> None:
    """A function compiles as a whole, whether its numbers are a list, a mapping or a tensor."""
    function = catalog.SPECS[name].function
    if function is None or not lists_of(name):
        return
    logits, target, further = arguments_of(name)
    for field, values in lists_of(name):
        if field.about.needs != "counts":
            continue
        for given in (values, shuffled(values), torch.tensor(values)):
            options = {**needed(name), field.name: given}
            torch.manual_seed(0)
            expected = function(logits, target, *further, **options)
            torch._dynamo.reset()
            compiled = torch.compile(function, fullgraph=True, backend="eager")
            torch.manual_seed(0)
            found = compiled(logits, target, *further, **options)
            torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)
