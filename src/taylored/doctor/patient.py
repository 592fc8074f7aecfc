"""The loss on the table: what it is called on, samples for it, and programs that show findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taylored.doctor.recipe import LossFunction, Options, Recipe, UnavailableError
from taylored.own import FAILURES, described

Link = Literal["softmax", "sigmoid"]
TargetKind = Literal["index", "multi-hot"]


@dataclass(frozen=True)
class Form:
    """What a loss is called on.

    Attributes:
        target: class indices, or a number in [0, 1] for every logit.
        link: by which it reads its logits: whether a constant may be added to all of a sample's.
        classes: how many there are.
        space: sizes of the axes after that of the classes.
    """

    target: TargetKind
    link: Link
    classes: int = 5
    space: tuple[int, ...] = ()

    @property
    def exclusive(self) -> bool:
        """Whether one class of each position is true."""
        return self.target == "index" or self.link == "softmax"

    def described(self) -> str:
        """In words, for people."""
        sizes = "".join(f", {size}" for size in self.space)
        shape = f"(N{sizes})" if self.target == "index" else f"(N, {self.classes}{sizes})"
        return f"logits (N, {self.classes}{sizes}), {self.target} targets {shape}, {self.link} link"


@dataclass(frozen=True)
class Sample:
    """Logits and targets, and Python that makes them."""

    logits: Tensor
    target: Tensor
    code: str

    def to(self, dtype: torch.dtype) -> Sample:
        """With logits, and targets that are real numbers, of another dtype."""
        target = self.target.to(dtype) if self.target.is_floating_point() else self.target
        code = f"{self.code}\nlogits = logits.to({dtype})"
        if self.target.is_floating_point():
            code += f"\ntarget = target.to({dtype})"
        return Sample(self.logits.to(dtype), target, code)


@dataclass(frozen=True)
class Patient:
    """A loss under examination."""

    recipe: Recipe
    form: Form
    exact_dtype: torch.dtype = torch.float64
    """In which the questions are asked: float64, but for losses that fail in it."""

    def loss(self, **options: object) -> LossFunction:
        """The loss, fresh, as it is in training.

        Raises:
            UnavailableError: where it has no such option.
        """
        return self.recipe.build(options)

    def still(self, **options: object) -> LossFunction:
        """The loss, fresh, in evaluation mode: nothing it does depends on what it did before."""
        loss = self.recipe.build(options)
        return loss.eval() if isinstance(loss, nn.Module) else loss

    def sample(self, rows: int = 6, *, seed: int = 0, scale: float = 2.0) -> Sample:
        """Random logits in float64, and targets among which every class is true."""
        form, generator = self.form, torch.Generator().manual_seed(seed)
        shape = (rows, form.classes, *form.space)
        logits = scale * torch.randn(shape, generator=generator, dtype=torch.float64)
        code = [
            f"generator = torch.Generator().manual_seed({seed})",
            f"logits = {scale} * torch.randn({shape}, generator=generator, dtype=torch.float64)",
        ]
        if form.exclusive:
            index = torch.arange(rows * logits[0, 0].numel()).view(rows, *form.space)
            target = index % form.classes
            size = (rows, *form.space)
            code.append(f"target = torch.arange({index.numel()}).view{size} % {form.classes}")
            if form.target == "multi-hot":
                target = F.one_hot(target, form.classes).movedim(-1, 1).double()
                hot = f"torch.nn.functional.one_hot(target, {form.classes})"
                code.append(f"target = {hot}.movedim(-1, 1).double()")
        else:
            target = (torch.rand(shape, generator=generator) < 0.4).double()
            code.append(f"target = (torch.rand({shape}, generator=generator) < 0.4).double()")
        return self._exactly(Sample(logits, target, "\n".join(code)))

    def _exactly(self, sample: Sample) -> Sample:
        return sample if self.exact_dtype == torch.float64 else sample.to(self.exact_dtype)

    def margin(self, margins: Sequence[float], *, truth: bool = True) -> Sample:
        """One row for each margin: the logit of one class, which is true; the others are 0.

        For the sigmoid link the class may be false, at minus the margin; the others are false
        and far from the border.
        """
        form = self.form
        moved = torch.tensor(list(margins), dtype=torch.float64)
        rest = 0.0 if form.exclusive else -5.0
        logits = torch.full((len(moved), form.classes, *form.space), rest, dtype=torch.float64)
        at = 1 if form.classes > 1 else 0
        logits[:, at] = (moved if truth else -moved).view(-1, *(1 for _ in form.space))
        if form.target == "index":
            target = torch.full((len(moved), *form.space), at)
        else:
            target = torch.zeros_like(logits)
            target[:, at] = float(truth)
        return self._exactly(self.exact(logits, target))

    def exact(self, logits: Tensor, target: Tensor) -> Sample:
        """A sample that is written out number by number."""
        dtype = "" if logits.dtype == torch.float32 else f", dtype={logits.dtype}"
        code = [f"logits = torch.tensor({logits.tolist()}{dtype})".replace("nan", "torch.nan")]
        kind = "" if target.dtype in (torch.float32, torch.int64) else f", dtype={target.dtype}"
        code.append(f"target = torch.tensor({target.tolist()}{kind})")
        return Sample(logits, target, "\n".join(code))

    def snippet(self, sample: Sample | None, *lines: str, options: Options | None = None) -> str:
        """A program: the loss, the sample, and the lines that show something."""
        made = self.recipe.code(options or {})
        imports = "" if "import torch\n" in f"{made}\n" else "import torch\n"
        drawn = [] if sample is None else [sample.code]
        return "\n".join([imports + made, *drawn, *lines])


def summing(patient: Patient) -> LossFunction:
    """The loss with a sum, where it has one: a mean over weights divides them out again."""
    for reduction in ("sum", "none"):
        try:
            loss = patient.still(reduction=reduction)
            sample = patient.sample()
            loss(sample.logits, sample.target)
        except (UnavailableError, *FAILURES):
            continue
        return loss
    return patient.still()


def total(loss: LossFunction, sample: Sample) -> Tensor:
    """The sum of what the loss returns."""
    return loss(sample.logits, sample.target).sum()


def gradient(loss: LossFunction, sample: Sample) -> Tensor:
    """The gradient on the logits."""
    logits = sample.logits.detach().clone().requires_grad_()
    value = loss(logits, sample.target).sum()
    (found,) = torch.autograd.grad(value, logits, allow_unused=True)
    return torch.zeros_like(logits) if found is None else found


def alone(loss: LossFunction, sample: Sample) -> Tensor:
    """The loss of every row, as a batch of its own."""
    with torch.no_grad():
        rows = range(len(sample.logits))
        parts = (loss(sample.logits[i : i + 1], sample.target[i : i + 1]).sum() for i in rows)
        return torch.stack([part.double() for part in parts])


def alone_gradient(loss: LossFunction, sample: Sample) -> Tensor:
    """The gradient of every row, as a batch of its own."""
    rows = range(len(sample.logits))
    parts = [Sample(sample.logits[i : i + 1], sample.target[i : i + 1], "") for i in rows]
    return torch.cat([gradient(loss, part) for part in parts])


def outcome(call: Callable[[], Tensor]) -> Tensor | str:
    """What a call returns, or what it raises in words."""
    try:
        return call()
    except FAILURES as error:
        return said(error)


def said(error: BaseException) -> str:
    """Kind and first line of a failure."""
    return described(error).strip().split("\n")[0][:200]
