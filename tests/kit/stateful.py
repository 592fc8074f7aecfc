"""Losses with state, and the batches they are stepped through. Shared with the worker scripts."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kit.cases import call_of, target_kinds
from kit.catalogued import CLASSIFICATION
from kit.traits import CLASSES, ELEMENTWISE, STATEFUL
from references import Call
from references.official import Official
from taylored import catalog

# A long tail: the last class turns up about once in a hundred targets.
SHARES = torch.tensor([0.6, 0.25, 0.1, 0.04, 0.01], dtype=torch.float64)
SIZES = (1, 2, 5, 8, 13)
TRAILING = ((), (), (3,), (2, 2))


@dataclass(frozen=True)
class Batch:
    logits: Tensor
    target: Tensor


@dataclass(frozen=True)
class Subject:
    """A loss with state, and what it is fed.

    Attributes:
        text: the call, as the catalogue reads it.
        kinds: kinds of targets: "index", "multi-hot", "probabilities", "soft" (one probability for
            each class), "scores" (mostly 0).
        columns: channels of the logits.
        classes: classes with a state; fewer than the columns if one of them is for background.
        background: an index target besides the classes, if there is one.
        ignore: the loss' ignore_index.
    """

    text: str
    kinds: tuple[str, ...] = ("index",)
    columns: int = CLASSES
    classes: int = CLASSES
    background: int | None = None
    ignore: int | None = -100

    @property
    def call(self) -> Call:
        return Call.of(self.text)

    def build(self, dtype: torch.dtype = torch.float64) -> nn.Module:
        """The loss, new and in training mode; its numbers are kept in `dtype`."""
        before = torch.get_default_dtype()
        torch.set_default_dtype(torch.float64)
        try:
            return catalog.get(self.text).to(dtype)
        finally:
            torch.set_default_dtype(before)

    def official(self) -> Official:
        return Official(self.call, self.classes)

    def batch(
        self,
        step: int,
        *,
        rank: int = 0,
        size: int | None = None,
        trailing: tuple[int, ...] | None = None,
        kind: str | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> Batch:
        """The batch of a step on a rank; what is not asked for is drawn."""
        seed = zlib.crc32(f"{self.text}/{step}/{rank}".encode())
        generator = torch.Generator().manual_seed(seed)

        def pick(options: tuple) -> object:
            return options[int(torch.randint(len(options), (), generator=generator))]

        drawn_size, drawn_trailing, drawn_kind = pick(SIZES), pick(TRAILING), pick(self.kinds)
        size = drawn_size if size is None else size
        trailing = drawn_trailing if trailing is None else trailing
        shape = (size, self.columns, *trailing)
        noise = 2 * torch.randn(shape, generator=generator, dtype=torch.float64)
        tilt = torch.linspace(1, -2, self.columns, dtype=torch.float64)
        logits = noise + tilt.reshape(-1, *[1] * len(trailing))
        target = self._target(kind or drawn_kind, shape, generator)
        if self.ignore is not None and step % 3 == 0 and not _is_distribution(target, self):
            gone = torch.rand(target.shape, generator=generator) < 0.2
            target = torch.where(gone, self.ignore, target)
        return Batch(logits.to(dtype), target)

    def share(self, step: int, rank: int, world: int) -> Batch:
        """A rank's part of a distributed step: uneven, and in turns nothing at all."""
        empty = step % 4 == 1 and rank == (step // 4) % world
        kind = self.kinds[step % len(self.kinds)]
        return self.batch(step, rank=rank, size=0 if empty else None, trailing=(2,), kind=kind)

    def _target(self, kind: str, shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
        if kind == "index":
            values = [*range(self.classes), *([] if self.background is None else [self.background])]
            shares = torch.cat([SHARES[: self.classes], SHARES[: len(values) - self.classes]])
            positions = shape[:1] + shape[2:]
            count = int(torch.Size(positions).numel())
            if count == 0:
                return torch.zeros(positions, dtype=torch.int64)
            drawn = torch.multinomial(shares, count, replacement=True, generator=generator)
            return torch.tensor(values)[drawn].reshape(positions)
        drawn = torch.rand(shape, generator=generator, dtype=torch.float64)
        if kind == "probabilities":
            return drawn / drawn.sum(dim=1, keepdim=True)
        if kind == "soft":
            return drawn
        shares = SHARES.repeat(2)[: self.columns].reshape(-1, *[1] * (len(shape) - 2))
        present = torch.rand(shape, generator=generator, dtype=torch.float64) < shares
        if kind == "multi-hot":
            return present.long()
        assert kind == "scores"
        return torch.where(present, 0.05 + 0.95 * drawn, 0.0)


def _is_distribution(target: Tensor, subject: Subject) -> bool:
    return subject.call.link() == "softmax" and target.is_floating_point()


def _kinds(name: str) -> tuple[str, ...]:
    kinds = target_kinds(call_of(name))
    return (*kinds, "scores") if "soft" in kinds else kinds


PLAIN = tuple(
    Subject(f"{name}(num_classes={CLASSES})", _kinds(name))
    for name in CLASSIFICATION
    if name in STATEFUL
)
"""Each loss with its defaults."""

VARIANTS = (
    Subject('softmax_eql(num_classes=5, tau=0.7, floor="share")'),
    Subject(
        "softmax_eql(focal(gamma=1.5, ignore_index=255), num_classes=5, tau=1.3, decay=0.9)",
        ignore=255,
    ),
    Subject(
        "softmax_eql(cross_entropy(weight=[1, 2, 0.5, 3, 4], label_smoothing=0.1), "
        'num_classes=5, floor="share")',
        ("index", "probabilities"),
    ),
    Subject('softmax_eql(poly(epsilon=2, reduction="sum"), num_classes=5)'),
    Subject('softmax_eql(cross_entropy(reduction="none"), num_classes=5, tau=0.5)'),
    Subject(
        'sigmoid_eql(num_classes=4, background="column", reduction="batch_mean")',
        ("index", "multi-hot", "soft"),
        classes=4,
        background=4,
    ),
    Subject(
        "sigmoid_eql(num_classes=5, alpha=2, gamma=5, mu=0.5, decay=0.8, ignore_index=-1, "
        'weight=[1, 2, 0.5, 3, 4], reduction="sum")',
        ("index", "multi-hot", "soft"),
        ignore=-1,
    ),
    Subject(
        "equalized_focal(num_classes=5, gamma=1.5, alpha=0.6, scale=4, decay=0.95, "
        'background_index=5, reduction="batch_mean")',
        background=5,
    ),
    Subject(
        "equalized_focal(num_classes=5, weight=[1, 2, 0.5, 3, 4], ignore_index=255, "
        'reduction="none")',
        ("index", "multi-hot", "soft"),
        ignore=255,
    ),
    Subject(
        "equalized_quality_focal(num_classes=5, gamma=1.5, scale=4, decay=0.9, "
        'background_index=-1, reduction="sum")',
        background=-1,
    ),
)
"""Options of single losses, and what they wrap."""

SUBJECTS = (*PLAIN, *VARIANTS)
"""Every stateful loss, its variants and options, through the official update."""

COMPILED = (
    next(subject for subject in PLAIN if subject.call.name not in ELEMENTWISE),
    next(subject for subject in PLAIN if subject.call.name in ELEMENTWISE),
)
"""One loss with a gradient from the sweep and one that is differentiated: for slow tests."""


def identified(subjects: tuple[Subject, ...]) -> dict[str, object]:
    """Arguments of `parametrize` for subjects."""
    ids = [subject.text.replace(" ", "") for subject in subjects]
    return {"argnames": "subject", "argvalues": subjects, "ids": ids}
