"""All 65 536 numbers of each half precision, of every loss that judges one logit at a time."""

from __future__ import annotations

import pytest
import torch

from kit.cases import call_of, examples
from kit.checks.halves import check_every_half
from kit.traits import BATCHWISE

ONE_BY_ONE = [
    text
    for text in examples()
    if call_of(text).link() == "sigmoid" and call_of(text).name not in BATCHWISE
]


@pytest.mark.parametrize("text", ONE_BY_ONE)
def test_every_half_precision_logit(text: str) -> None:
    for dtype in (torch.float16, torch.bfloat16):
        check_every_half(text, dtype)
