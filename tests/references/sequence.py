"""Reference of CTC: every path of labels and blanks, one by one."""

from __future__ import annotations

import itertools
import math

import torch
from torch import Tensor

from references.formulas import Parameters, softmax
from references.registry import reference


def collapsed(path: tuple[int, ...], blank: int) -> list[int]:
    """Repeats first, blanks after."""
    kept = [label for i, label in enumerate(path) if i == 0 or path[i - 1] != label]
    return [label for label in kept if label != blank]


@reference("ctc")
def ctc(
    input: Tensor,
    target: Tensor,
    input_lengths: Tensor,
    target_lengths: Tensor,
    parameters: Parameters,
) -> Tensor:
    blank, found = parameters.get("blank", 0), []
    for n in range(input.shape[1]):
        steps, wanted = int(input_lengths[n]), target[n, : int(target_lengths[n])].tolist()
        p = softmax(input[:steps, n].double())
        total = p.new_zeros(())
        for path in itertools.product(range(input.shape[2]), repeat=steps):
            if collapsed(path, blank) == wanted:
                total = total + math.prod(
                    [p[t, k] for t, k in enumerate(path)], start=p.new_ones(())
                )
        found.append(-torch.log(total))
    return torch.stack(found)
