"""Whole distributions in place of samples: expected losses under known class probabilities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kit.cases import build, call_of
from kit.catalogued import CLASSIFICATION
from kit.traits import CLASSES
from references import Call
from taylored import ClassBalancedLoss
from taylored.modules.classification import ClassificationLoss

STEPS = 300
FAR = 15.0
"""A logit beyond this has no minimum in sight."""


def posterior_examples() -> list[str]:
    """Every example of the catalogue whose class probabilities follow from the outputs."""
    texts = [text for spec in CLASSIFICATION.values() for text in spec.examples]
    return [text for text in texts if loss_of_text(text).has_posterior]


def loss_of_text(text: str, classes: int = CLASSES) -> ClassificationLoss:
    """The loss in its state, with its lists of numbers repeated for any number of classes."""
    loss = build(stretched(call_of(text), classes))
    assert isinstance(loss, ClassificationLoss)
    return loss


def stretched(call: Call, classes: int) -> Call:
    """The same call for another number of classes."""

    def change(value: object) -> object:
        if isinstance(value, list) and len(value) == CLASSES:
            return [value[i % CLASSES] for i in range(classes)]
        return value

    arguments = {name: change(value) for name, value in call.arguments.items()}
    if "num_classes" in arguments:
        arguments["num_classes"] = classes
    inner = None if call.inner is None else stretched(call.inner, classes)
    own = call.name != "series"  # whose list is no list of classes
    state = {name: change(value) for name, value in call.state.items()}
    return Call(call.name, inner, arguments if own else call.arguments, state)


@dataclass(frozen=True)
class Population:
    """One kind of sample whose class has the probabilities `eta`, under a loss."""

    loss: ClassificationLoss
    eta: Tensor

    @property
    def single(self) -> bool:
        """Whether exactly one class is true, so that eta sums to 1."""
        by_sample = isinstance(self.loss, ClassBalancedLoss) and self.loss._by_sample
        return self.loss.link == "softmax" or by_sample

    def risk(self, z: Tensor) -> Tensor:
        """The expected loss of the outputs z, (C,), but for a factor: by the loss itself."""
        classes = len(z)
        spec = getattr(self.loss, "spec", None)  # a loss of a test has none
        call = "plain" if spec is None else spec.call
        if not self.single:
            truth = torch.stack([torch.ones_like(z), torch.zeros_like(z)])
            chance = torch.stack([self.eta, 1.0 - self.eta])
            return self.loss(z.expand(2, classes), truth, sample_weight=chance)
        rows, truth = z.expand(classes, classes), torch.arange(classes)
        if call == "stacked":
            # Of experts with different priors one alone stands for their mean.
            rows = torch.stack([rows] * (1 if spec.name == "balanced_experts" else 2))
        if call == "distances":
            truth = truth.to(z.dtype)
        return self.loss(rows, truth, sample_weight=self.eta)

    def minimum(self) -> Tensor | None:
        """The outputs of the least expected loss, None if there are none that are finite."""
        z = torch.zeros_like(self.eta)
        return minimised(self.risk, z)


def minimised(risk: Callable[[Tensor], Tensor], z: Tensor) -> Tensor | None:
    """Newton's method, damped until each step goes down."""
    damping, value = 1e-3, risk(z)
    for _ in range(STEPS):
        leaf = z.detach().requires_grad_()
        (slope,) = torch.autograd.grad(risk(leaf), leaf, create_graph=True)
        slope = slope.detach()
        bend = torch.autograd.functional.hessian(risk, z)
        size = bend.diagonal().abs().amax().clamp_min(1e-12)
        # But for the common offset there is a valley in every direction, or it is a plateau.
        if float(torch.linalg.eigvalsh(bend)[1].abs()) < 1e-9 * float(size):
            return None
        steepness = float(slope.abs().amax()) / float(size)
        if steepness < 1e-12:
            return z
        for _ in range(25):
            step = torch.linalg.solve(_positive(bend) + damping * size * torch.eye(len(z)), slope)
            ahead = risk(z - step)
            if bool(ahead <= value + 4e-16 * value.abs()):  # rounding apart
                z, value, damping = z - step, ahead, max(damping / 5, 1e-12)
                break
            damping = damping * 4 + 1e-9
        else:
            return z if steepness < 1e-11 else None
        if float(z.abs().amax()) > FAR:
            return None
    return None


def _positive(bend: Tensor) -> Tensor:
    """The Hessian with the size of its eigenvalues, so that each step goes down."""
    values, vectors = torch.linalg.eigh(0.5 * (bend + bend.mT))
    return (vectors * values.abs()) @ vectors.mT


def drawn_eta(classes: int, single: bool, seed: int) -> Tensor:
    """Probabilities of one true class, or of each class to be true."""
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand(classes, generator=generator, dtype=torch.float64) * 0.9 + 0.05
    return drawn / drawn.sum() if single else drawn


def recoverable(loss: ClassificationLoss, classes: int, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Class probabilities and the outputs of least expected loss.

    A bounded loss has a minimum only where the classes are not too different from those that
    outputs of 0 stand for.
    """
    single = Population(loss, torch.ones(1)).single
    drawn = drawn_eta(classes, single, seed)
    even = loss.posterior(torch.zeros(1, classes, dtype=torch.float64)).squeeze(0)
    even = torch.where(even.isfinite(), even, 0.5).clamp(1e-3, 1 - 1e-3)
    even = even / even.sum() if single else even
    for share in (1.0, 0.5, 0.2, 0.05, 0.01, 0.002):
        eta = even + share * (drawn - even)
        z = Population(loss, eta).minimum()
        if z is not None:
            return eta, z
    raise AssertionError(f"no finite minimum of {loss}")
