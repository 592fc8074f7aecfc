"""Sequences of logits and of labels that are not aligned: their shapes, and whether they can be."""

from __future__ import annotations

import torch
from torch import Tensor

from taylored.core.checks import check_floats, fail, seen


def steps_needed(target: Tensor, target_lengths: Tensor) -> Tensor:
    """The shortest input that can spell each target: its labels, and a blank between two alike."""
    if target.shape[1] == 0:
        return target_lengths
    place = torch.arange(1, target.shape[1], device=target.device)
    alike = (target[:, 1:] == target[:, :-1]) & (place < target_lengths.unsqueeze(1))
    return target_lengths + alike.sum(dim=1)


def check_sequences(
    input: Tensor, target: Tensor, input_lengths: Tensor, target_lengths: Tensor, blank: int
) -> tuple[Tensor, Tensor]:
    """The lengths as whole numbers of (N,); what does not fit is refused."""
    check_floats(input=input)
    if input.dim() != 3:
        fail("input", "logits of N sequences, shape (T, N, C)", f"shape {tuple(input.shape)}",
             "use logits.transpose(0, 1) for (N, T, C)")  # fmt: skip
    steps, samples, classes = input.shape
    if not isinstance(target, Tensor) or target.is_floating_point() or target.dim() != 2:
        fail("target", "labels, whole numbers of shape (N, S), padded at the end",
             f"{getattr(target, 'dtype', type(target).__name__)}, "
             f"shape {tuple(getattr(target, 'shape', ()))}",
             "use torch.nn.utils.rnn.pad_sequence(labels, batch_first=True)")  # fmt: skip
    if not 0 <= blank < classes:
        fail("blank", f"one of the {classes} columns of `input`", blank, "name the blank's column")
    if target.shape[0] != samples:
        fail("target", f"a row for each of the {samples} sequences of `input`",
             f"shape {tuple(target.shape)}", "the batch is axis 1 of `input`")  # fmt: skip
    found = []
    for name, lengths, most in (
        ("input_lengths", input_lengths, steps),
        ("target_lengths", target_lengths, target.shape[1]),
    ):
        lengths = torch.as_tensor(lengths, device=input.device)
        if lengths.is_floating_point() or lengths.shape != (samples,):
            got = f"{lengths.dtype}, shape {tuple(lengths.shape)}"
            fail(name, f"whole numbers of shape ({samples},)", got, "one length per sequence")
        if seen(lengths) and samples and not bool(((lengths >= 0) & (lengths <= most)).all()):
            wrong = lengths[(lengths < 0) | (lengths > most)][0].item()
            fail(name, f"in 0..{most}", wrong, "lengths count steps before padding")
        found.append(lengths.long())
    inside = torch.arange(target.shape[1], device=target.device) < found[1].unsqueeze(1)
    if seen(target):
        named = inside & ((target < 0) | (target >= classes) | (target == blank))
        if bool(named.any()):
            fail("target", f"labels in 0..{classes - 1} other than the blank, {blank}",
                 target[named][0].item(), "leave blanks out: CTC puts them in itself")  # fmt: skip
    return found[0], found[1]
