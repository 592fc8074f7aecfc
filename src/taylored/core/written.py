"""Values as text that Python, and the catalogue's parser, read back to the same values."""

from __future__ import annotations

import torch
from torch import Tensor


def literal(value: object) -> str:
    """The text of a number, string, None or list of numbers, with no more digits than it takes."""
    if isinstance(value, Tensor):
        if value.is_meta:  # shape and dtype are all that is known
            return repr(value)
        texts = _shortest(value.detach().reshape(-1).cpu())
        return texts[0] if value.dim() == 0 else f"[{', '.join(texts)}]"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(literal(item) for item in value)}]"
    if isinstance(value, float):
        return _trimmed(repr(value + 0.0))  # -0 is read back as 0
    return f'"{value}"' if isinstance(value, str) else repr(value)


def _shortest(values: Tensor) -> list[str]:
    """Each number with the fewest digits that give it back in its dtype."""
    numbers = (values + 0).tolist()  # -0 is read back as 0
    texts = [_trimmed(repr(number)) for number in numbers]
    if not values.is_floating_point():
        return texts
    longer = list(range(len(numbers)))
    for digits in range(1, 17):  # all at once: there may be a million classes
        shorter = [f"{numbers[i]:.{digits}g}" for i in longer]
        read = torch.tensor(
            [float(text) for text in shorter], dtype=values.dtype, device=values.device
        )
        found = (read == values[longer]).tolist()
        for i, text, fits in zip(longer, shorter, found, strict=True):
            if fits:
                texts[i] = _trimmed(text)
        longer = [i for i, fits in zip(longer, found, strict=True) if not fits]
    return texts


def _trimmed(text: str) -> str:
    return text[:-2] if text.endswith(".0") else text
