"""One loss as it is looked at: a copy that gives the unreduced value of one sample."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from taylored.analysis.curves import Link
from taylored.analysis.named import LossFunction
from taylored.catalog.lookup import get, needs
from taylored.catalog.parser import LossNameError
from taylored.catalog.term_text import term_of
from taylored.core.checks import fail
from taylored.losses.classification.term import TermLoss
from taylored.modules.base import Loss, parameters_of
from taylored.modules.classification import ClassificationLoss
from taylored.modules.loss_sum import LossSum
from taylored.modules.overlap.base import OverlapLoss
from taylored.own import is_reference, own_loss

COUNTS = (100.0, 1.0)
"""Samples of the two classes that a loss is shown for which asks for counts and is given none."""


@dataclass(frozen=True, eq=False)
class Subject:
    """A loss that is explained.

    Args:
        name: what it is shown by.
        loss: called for one sample, or for many of which each has its own value.
        link: by which it reads its outputs; that of somebody's function is found by trying.
        at_once: whether it gives several samples a value each, which does not depend on others.
        by_sample: whether it gives each sample the costs of its ratios, of which the mean is meant.
        assumed: the counts that stand in for those of the data; None where it needs none.

    """

    name: str
    loss: LossFunction
    link: Link
    at_once: bool
    by_sample: bool = False
    assumed: tuple[float, ...] | None = None

    @property
    def each(self) -> LossFunction:
        """The loss with one value for each sample, where it can give one."""
        return self._mean_of_ratios if self.by_sample else self.loss

    def _mean_of_ratios(self, outputs: Tensor, labels: Tensor) -> Tensor:
        return self.loss(outputs, labels).reshape(len(outputs), -1).mean(dim=1)

    def outputs(self, logits: Tensor) -> Tensor:
        """Outputs of which the last is the logit of class 1, and the other is 0."""
        outputs = logits.unsqueeze(1)
        return outputs if self.link == "sigmoid" else F.pad(outputs, (1, 0))

    def labels(self, outputs: Tensor, label: int) -> Tensor:
        """Targets of samples that all have one label."""
        if self.link == "sigmoid":
            return torch.full_like(outputs, label)
        return torch.full((len(outputs),), label)

    def values(self, logits: Tensor, label: int) -> Tensor:
        """The loss of a label at each logit of class 1."""
        outputs = self.outputs(logits)
        return self.each(outputs, self.labels(outputs, label)).detach()

    def sides(self) -> tuple[str, str]:
        """What its samples with target 1, and with target 0, are called."""
        if self.link == "sigmoid":
            return "positives", "negatives"
        if self.assumed is None:
            return "class 1", "class 0"
        frequent, rare = self.assumed
        return f"rare class (n = {rare:g})", f"frequent class (n = {frequent:g})"

    def notes(self) -> list[str]:
        """What a reader has to know about the way it is looked at."""
        found = []
        if self.assumed is not None:
            counts = " and ".join(f"{count:g}" for count in self.assumed)
            noun = "samples" if len(self.assumed) > 1 else "sample"
            found.append(f"it asks for counts per class; shown for {counts} {noun}")
        if isinstance(self.loss, Loss):
            if any(part.spec.call == "batch" for part in _catalogued(self.loss)):
                found.append("it compares the samples of a batch; shown for a batch of one")
            if any(True for _ in self.loss.buffers()) and self.loss.state_dict():
                found.append("it learns from its batches; shown as it is at the start")
        return found


def subject_of(loss: str | LossFunction, name: str) -> Subject:
    """A copy of a loss, ready to be looked at.

    Raises:
        ValueError: for a loss that is not called on logits and classes.
    """
    assumed = None
    if isinstance(loss, str):
        loss, assumed = _read(loss)
    if not isinstance(loss, Loss):
        return _tried(Subject(name, loss, _link_of(loss), False, assumed=assumed))
    if loss.takes != "logits" or any(
        part.spec.call in ("features", "stacked") for part in _catalogued(loss)
    ):
        fail("loss", "one of logits and classes", f"{name}, which takes {_taken(loss)}",
             "see its page with `taylored show`")  # fmt: skip
    seen = copy.deepcopy(loss).eval()
    if not any(part.spec.call == "batch" for part in _catalogued(seen)):
        _without_mean(seen)
    link: Link = "softmax" if getattr(seen, "link", None) == "softmax" else "sigmoid"
    found = Subject(name, seen, link, False, assumed=assumed)
    apart = _ratios_of_samples(seen)
    if apart is not None:
        tried = _tried(replace(found, loss=apart, by_sample=True), meant=found)
        if tried.at_once:
            return tried
    return _tried(found)


def _ratios_of_samples(loss: Loss) -> Loss | None:
    """An overlap loss with ratios for each sample, of which a mean over the batch is one of one."""
    fields = parameters_of(type(loss))
    if not isinstance(loss, OverlapLoss) or "average" not in fields:
        return None
    average = {"class": "sample", "micro": "sample_micro"}.get(loss.average, loss.average)
    plain = loss.reduction == "mean" and loss.empty != "skip" and loss.weight is None
    if not plain or average not in fields["average"].choices:
        return None
    apart = copy.deepcopy(loss)
    for name, value in (("average", average), ("reduction", "none")):
        setattr(apart, name, value)
    return apart


def _without_mean(loss: Loss) -> None:
    """Let class weights be seen, which a mean over a single sample divides out.

    The ratios of an overlap loss stay what they are: its mean is one over classes.
    """
    parts = [part for part in parts_of(loss).values() if not isinstance(part, LossSum)]
    rows = [part for part in parts if isinstance(part, ClassificationLoss)]
    for part in rows:
        field = parameters_of(type(part)).get("reduction")
        if field is not None and "none" in field.choices:
            part.reduction = "none" if len(rows) == len(parts) else "sum"


def _link_of(loss: LossFunction) -> Link:
    """What the loss says of itself, or else the sigmoid where it can be called that way.

    Cross-entropy of a single class can be called, and is always 0.
    """
    said = getattr(loss, "link", None)
    if said in ("softmax", "sigmoid"):
        return "softmax" if said == "softmax" else "sigmoid"
    return "softmax" if _moves(loss, "softmax") and not _moves(loss, "sigmoid") else "sigmoid"


def _moves(loss: LossFunction, link: Link) -> bool:
    try:
        with quiet():
            values = Subject("", loss, link, False).values(torch.tensor([1.0]).double(), 1)
    except (ValueError, RuntimeError, TypeError, IndexError):
        return False
    return bool(values.any())


def _tried(found: Subject, meant: Subject | None = None) -> Subject:
    """The subject, after a look at samples of both labels: together, and each alone.

    Args:
        found: the subject.
        meant: the loss that the samples alone are seen by; None for the same.

    """
    alone = found if meant is None else meant
    logits = torch.tensor([-3.0, 0.5, 2.0], dtype=torch.float64)
    try:
        with quiet():
            outputs = found.outputs(logits.repeat(2))
            labels = torch.cat([found.labels(found.outputs(logits), label) for label in (1, 0)])
            together = found.each(outputs, labels).detach()
            apart = [alone.values(x, label).sum() for label in (1, 0) for x in logits.split(1)]
    except (ValueError, RuntimeError, TypeError):
        return found
    same = together.numel() == 6 and torch.allclose(together.flatten(), torch.stack(apart))
    return replace(found, at_once=same)


def parts_of(loss: nn.Module) -> dict[str, Loss]:
    """The loss and the losses inside it, by their path."""
    return {path: part for path, part in loss.named_modules() if isinstance(part, Loss)}


@contextmanager
def quiet() -> Iterator[None]:
    """Without the warnings that a parameter at an end of its range may raise."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _catalogued(loss: Loss) -> list[Loss]:
    return [part for part in parts_of(loss).values() if "spec" in vars(type(part))]


def _taken(loss: Loss) -> str:
    for part in _catalogued(loss):
        if part.spec.call != "plain":
            return {"features": "features too", "stacked": "several predictions"}.get(
                part.spec.call, part.takes
            )
    return loss.takes


def _read(text: str) -> tuple[LossFunction, tuple[float, ...] | None]:
    if is_reference(text):
        own = own_loss(text)
        return own.build(COUNTS), COUNTS if own.takes_counts else None
    try:
        asked = needs(text)
    except LossNameError:
        term = term_of(text)
        if term is None:
            raise
        return TermLoss(term, link="softmax"), None
    if not asked:
        return get(text), None
    # How many classes there are follows from the link, which the built loss knows.
    loss = get(text, counts=COUNTS, num_classes=2)
    if getattr(loss, "link", None) == "softmax":
        return loss, COUNTS if "counts" in asked else None
    one = COUNTS[1:]
    return get(text, counts=one, num_classes=1), one if "counts" in asked else None
