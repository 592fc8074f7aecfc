"""Every example of every loss of embeddings runs through every check."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from kit.catalogued import EMBEDDINGS
from kit.checks import embedding as checks

TEXTS = [text for spec in EMBEDDINGS.values() for text in spec.examples]
CHECKS = [
    checks.check_value,
    checks.check_derivatives,
    checks.check_ignored,
    checks.check_length,
    checks.check_order,
    checks.check_nothing_to_compare,
    checks.check_function,
    checks.check_refused,
]


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__.removeprefix("check_"))
def test_embedding_loss(check: Callable[[str], None], text: str) -> None:
    check(text)


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half(text: str, dtype: torch.dtype) -> None:
    checks.check_half(text, dtype)


@pytest.mark.parametrize("text", [spec.examples[0] for spec in EMBEDDINGS.values()])
def test_compiled(text: str) -> None:
    checks.check_compiled(text)
