"""CTC against all paths, against torch, and where there is no alignment."""

from __future__ import annotations

import math
import warnings

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kit.checks import ctc as checks
from kit.checks.ctc import GIVEN, INPUT, LABELS, STEPS, TARGET, gradient
from kit.tolerances import close
from taylored import CTCLoss


@pytest.fixture(autouse=True)
def no_warnings() -> None:
    warnings.simplefilter("error")


def test_values_and_gradients_are_those_of_all_paths() -> None:
    checks.check_values()


def test_torch_takes_log_probabilities_and_divides_by_the_length() -> None:
    log_p = INPUT.log_softmax(2)
    expected = F.ctc_loss(log_p, TARGET, STEPS, LABELS, reduction="sum")
    close(CTCLoss(reduction="sum")(*GIVEN), expected)


def test_weights_normalizers_and_half_precision() -> None:
    checks.check_weights()


IMPOSSIBLE = [
    (torch.tensor([[1, 2, 3]]), 2, 3),  # more labels than steps
    (torch.tensor([[1, 1, 0]]), 2, 2),  # two alike need a blank between them
    (torch.tensor([[2, 2, 2]]), 4, 3),
    (torch.tensor([[1, 2, 3]]), 0, 1),
]


@pytest.mark.parametrize(("target", "steps", "labels"), IMPOSSIBLE)
@pytest.mark.parametrize("junk", [1.0, math.nan, math.inf, 1e4])
def test_what_has_no_alignment_costs_nothing_and_is_reported(
    target: Tensor, steps: int, labels: int, junk: float
) -> None:
    both = torch.cat([TARGET[:1], target])
    lengths = torch.tensor([5, steps]), torch.tensor([3, labels])
    input = INPUT[:, :2].clone()
    input[:, 1] = junk
    with pytest.warns(UserWarning, match="no alignment for 1 of 2 .*sequence 1"):
        value = CTCLoss()(input, both, *lengths)
    alone = INPUT[:, :1], TARGET[:1], STEPS[:1], LABELS[:1]
    close(value, CTCLoss()(*alone))
    with pytest.warns(UserWarning, match="no alignment"):
        found = gradient(CTCLoss(), input, both, *lengths)
    assert (found[:, 1] == 0).all()
    close(found[:, :1], gradient(CTCLoss(), *alone))
    with pytest.raises(ValueError, match=r"`target` must be no longer .*impossible=\"left_out\""):
        CTCLoss(impossible="refused")(input, both, *lengths)


def test_the_shortest_input_that_fits_is_taken() -> None:
    value = CTCLoss()(INPUT[:, :1], torch.tensor([[1, 1, 2]]), torch.tensor([4]), torch.tensor([3]))
    assert value.isfinite()


def test_no_sequence_at_all() -> None:
    empty = INPUT[:, :0], TARGET[:0], STEPS[:0], LABELS[:0]
    assert CTCLoss()(*empty) == 0
    assert gradient(CTCLoss(), *empty).shape == (5, 0, 4)


REFUSED = [
    ((INPUT[0], *GIVEN[1:]), "`input` must be logits of N sequences"),
    ((INPUT.long(), *GIVEN[1:]), "`input` must be real numbers"),
    ((INPUT, TARGET.double(), STEPS, LABELS), "`target` must be labels"),
    ((INPUT, TARGET[:2], STEPS, LABELS), "`target` must be a row for each of the 4"),
    ((INPUT, TARGET, STEPS + 1, LABELS), r"`input_lengths` must be in 0..5, got 6"),
    ((INPUT, TARGET, STEPS, LABELS + 1), r"`target_lengths` must be in 0..3, got 4"),
    ((INPUT, TARGET, STEPS.double(), LABELS), "`input_lengths` must be whole numbers"),
    ((INPUT, TARGET.clamp_min(0) * 0, STEPS, LABELS), "other than the blank, 0, got 0"),
    ((INPUT, TARGET + 3, STEPS, LABELS), r"labels in 0..3 .*got 4"),
]


@pytest.mark.parametrize(("given", "message"), REFUSED)
def test_refused(given: tuple[Tensor, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CTCLoss()(*given)
