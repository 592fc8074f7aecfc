"""Numbers by class label, names of classes, and what is too unclear to be put in an order."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import taylored
from taylored import class_counts, effective_number_weights, inverse_frequency_weights
from taylored.core.class_weights import log_prior
from taylored.core.state import buffers

LABELS = [2, 0, 2, 1, 2, 2, 0]
COUNTED = [2, 1, 4]


class Column:
    """A series without an index, as polars has it."""

    def __init__(self, values: list[float]) -> None:
        self.values = values

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        del copy
        return np.array(self.values, dtype=dtype)


def test_the_issue_s_example() -> None:
    counts = pd.Series(LABELS).value_counts()
    assert counts.tolist() != COUNTED
    loss = taylored.BalancedSoftmaxLoss(counts=counts)
    assert loss.counts.tolist() == COUNTED
    assert repr(loss) == "BalancedSoftmaxLoss(counts=[2, 1, 4])"
    assert log_prior(Counter(LABELS)).tolist() == log_prior(COUNTED).tolist()
    assert effective_number_weights(counts, 0.9).tolist() == (
        effective_number_weights(COUNTED, 0.9).tolist()
    )
    moved = taylored.adjust_logits(torch.zeros(1, 3), counts=counts)
    assert torch.equal(moved, taylored.adjust_logits(torch.zeros(1, 3), counts=COUNTED))
    alpha = taylored.balance_alpha(counts, 10)
    assert torch.equal(alpha, taylored.balance_alpha(COUNTED, 10))
    assert repr(taylored.get("balanced_softmax", counts=counts)) == repr(loss)
    loss.counts = {2: 5, 0: 1, 1: 2}
    assert loss.counts.tolist() == [1, 2, 5]


@pytest.mark.parametrize("given", [np.array(COUNTED), Column(COUNTED), pd.Series(COUNTED)])
def test_numbers_without_labels_are_in_order(given: Any) -> None:
    assert torch.equal(inverse_frequency_weights(given), inverse_frequency_weights(COUNTED))


def test_missing_classes_have_no_samples() -> None:
    with pytest.warns(UserWarning, match=r"1 of 4 classes have no samples \(class 1\)"):
        found = inverse_frequency_weights({3: 2, 0: 8, 2: 2})
    assert found[1] == found.max()
    with pytest.warns(UserWarning, match=r"2 of 5 classes have no samples \(class 3, 4\)"):
        loss = taylored.SeesawLoss(num_classes=5, counts=Counter(LABELS))
    assert loss.counts.tolist() == [*COUNTED, 0, 0]
    loss = taylored.BalancedSoftmaxLoss(counts=Counter(LABELS))
    with pytest.raises(ValueError, match=r"`counts`.*got 3.*class_counts\(targets, num_classes=5"):
        loss(torch.zeros(2, 5), torch.tensor([0, 1]))


def test_names() -> None:
    names = ["cat", "dog", "fox"]
    animals = pd.Series([names[label] for label in LABELS])
    assert class_counts(animals, classes=names).tolist() == COUNTED
    assert class_counts(animals.tolist(), classes=names).tolist() == COUNTED
    assert class_counts(np.array(animals), classes=names).tolist() == COUNTED
    assert class_counts(Counter(animals), classes=[*names, "owl"]).tolist() == [*COUNTED, 0]
    assert class_counts(animals.value_counts().to_dict(), classes=names).tolist() == COUNTED
    assert class_counts(torch.tensor([90, 7, 90]), classes=[7, 90]).tolist() == [1, 2]
    fix = r"counts=taylored\.class_counts\(dict\(counts\), classes="
    for counts in (Counter(animals), animals.value_counts()):
        with pytest.raises(ValueError, match=fix):
            taylored.BalancedSoftmaxLoss(counts=counts)
        with pytest.raises(ValueError, match=fix):
            log_prior(counts)


def test_counts_by_label_are_no_labels() -> None:
    assert class_counts(Counter(LABELS)).tolist() == COUNTED
    assert class_counts(Counter(LABELS), num_classes=4).tolist() == [*COUNTED, 0]
    assert class_counts(pd.Series(LABELS)).tolist() == COUNTED
    assert class_counts(np.array(LABELS, dtype=np.uint16)).tolist() == COUNTED


@pytest.mark.parametrize(
    "make",
    [
        lambda: class_counts(pd.Series(LABELS).value_counts()),
        lambda: class_counts(pd.Series(LABELS).value_counts(normalize=True)),
        lambda: class_counts(["cat", "dog"]),
        lambda: class_counts("cat"),
        lambda: class_counts(["cat", "cow"], classes=["cat", "dog"]),
        lambda: class_counts({"cat": 1, "cow": 2}, classes=["cat", "dog"]),
        lambda: class_counts(Counter(LABELS), num_classes=2),
        lambda: class_counts(["cat"], classes=["cat", "cat"]),
        lambda: class_counts(["c"], classes="cat"),
        lambda: class_counts(torch.tensor([[1.0, -1.0]])),
        lambda: class_counts(torch.tensor([[1.0, float("nan")]])),
        lambda: log_prior({0: 3, 1: "many"}),
        lambda: log_prior([0.7, 0.3]),
        lambda: log_prior(pd.Series(LABELS).value_counts(normalize=True)),
        lambda: log_prior({2**40: 3}),
        lambda: log_prior({-100: 3, 0: 2}),
        lambda: log_prior(pd.Series(LABELS).value_counts(dropna=False).rename({0: float("nan")})),
    ],
)
def test_what_is_unclear_is_refused(make: Any) -> None:
    with pytest.raises(ValueError, match=r"^`(targets|counts|classes)` must be .*Fix: "):
        make()


def test_ignored_elements_of_floats_do_not_count() -> None:
    targets = torch.tensor([[1.0, -100.0, 0.5], [0.0, 1.0, -100.0]])
    assert class_counts(targets).tolist() == [1.0, 1.0, 0.5]
    marked = torch.tensor([[1.0, 255.0], [1.0, 0.0]])
    assert class_counts(marked, ignore_index=255).tolist() == [2.0, 0.0]


def test_float_sums_go_on_past_the_digits_of_float32() -> None:
    many = torch.ones(2**24 + 1, 1).expand(-1, 2)
    assert class_counts(many).tolist() == [2**24 + 1] * 2


def test_numbers_that_float32_has_not() -> None:
    weight, logits = [1e39, 1.0], torch.zeros(2, 2, dtype=torch.float64)
    target = torch.tensor([1, 1])
    loss = taylored.CrossEntropyLoss(weight=weight)
    assert loss(logits, target) == taylored.cross_entropy_loss(logits, target, weight=weight)
    assert repr(taylored.get(repr(loss))) == repr(loss)


def test_assigned_counts_keep_their_fractions() -> None:
    loss = taylored.BalancedSoftmaxLoss(counts=[9, 1])
    loss.counts = [9.5, 1.5]
    assert loss.counts.tolist() == [9.5, 1.5]


def test_devices_without_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buffers, "widest_dtype", lambda device: torch.float32)
    loss = taylored.CrossEntropyLoss(weight=[0.1, 0.2])

    def move(values: torch.Tensor) -> torch.Tensor:
        if values.dtype == torch.float64:
            raise TypeError("Cannot convert a MPS Tensor to float64 dtype")
        return values.clone()

    assert loss._apply(move).weight.dtype == torch.float32
