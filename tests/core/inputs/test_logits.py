"""The three kinds of input: each knows its outline, and losses that need all logits refuse two."""

from __future__ import annotations

import pytest
import torch

from taylored import LinearLogits, donate
from taylored.core.inputs.logits import SUBSTITUTES, outline
from taylored.core.inputs.targets import check_input

FEATURES, WEIGHT = torch.randn(4, 6, 3), torch.randn(5, 3)
KINDS = {
    "tensor": torch.zeros(4, 5, 6),
    "linear": LinearLogits(FEATURES, WEIGHT),
    "donated": donate(torch.zeros(4, 5, 6)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_outline_is_that_of_the_logits(kind: str) -> None:
    found = outline(KINDS[kind])
    assert found.shape == KINDS[kind].shape == (4, 5, 6)
    assert found.dtype == KINDS[kind].dtype == torch.float32
    assert found.device == KINDS[kind].device
    assert found.untyped_storage().nbytes() <= 4 * 4 * 5 * 6


def test_the_outline_of_features_takes_no_memory() -> None:
    assert outline(KINDS["linear"]).untyped_storage().nbytes() == 4


@pytest.mark.parametrize("kind", ["linear", "donated"])
def test_a_substitute_says_what_to_pass_instead(kind: str) -> None:
    assert isinstance(KINDS[kind], SUBSTITUTES)
    with pytest.raises(ValueError, match="all logits at once") as refusal:
        check_input(KINDS[kind])
    assert KINDS[kind].REMEDY in str(refusal.value)


@pytest.mark.parametrize("wrong", [None, [1.0], torch.ones(3, dtype=torch.int64)])
def test_anything_else_is_refused_by_the_checks(wrong: object) -> None:
    assert outline(wrong) is wrong
    with pytest.raises(ValueError, match="^`input` must be a floating-point tensor"):
        check_input(wrong)
