"""Numbers as text."""

from __future__ import annotations

import pytest
import torch

from taylored.core.written import literal


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_numbers_are_written_with_the_fewest_digits_that_give_them_back(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(0)
    wide = torch.randn(300, generator=generator, dtype=torch.float64)
    values = (wide * 10.0 ** torch.arange(-4, 2).repeat(50)).to(dtype)
    values[:6] = torch.tensor([0.0, -0.0, 1.0, 900.0, 0.1, 1 / 3], dtype=torch.float64).to(dtype)
    texts = literal(values)[1:-1].split(", ")
    assert torch.equal(torch.tensor([float(text) for text in texts], dtype=dtype), values)
    assert texts[:4] == ["0", "0", "1", "9e+02"]
    for text, value in zip(texts, values, strict=True):
        digits = len(text.lower().split("e")[0].lstrip("-0.").replace(".", ""))
        shorter = f"{value.item():.{max(digits - 1, 1)}g}"
        assert digits <= 1 or torch.tensor(float(shorter), dtype=dtype) != value
    assert literal(torch.tensor([3, 0])) == "[3, 0]"
    assert literal(values[4]) == texts[4]
