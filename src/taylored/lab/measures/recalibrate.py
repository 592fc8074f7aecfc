"""Temperature and prior offset, fitted on rows of other folds."""

import math
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import torch
from torch import Tensor

from taylored.lab.measures.adjust import finite
from taylored.lab.measures.tested import Floats, Integers, Tested, logit

_WIDTH: Final = 0.5  # of the penalty, which is that of a normal prior of variance 1/4
_ELEMENTS: Final = 2**19  # of the evidence, at most; two numbers need no more
_STEPS: Final = 50
_ENOUGH: Final = 1e-9  # decrease of the penalised loss that a further step promises
_LONGEST: Final = 1.0
_SHORTEST: Final = 1e-10
_LARGEST: Final = 1e6  # log-probabilities and log-odds beyond carry no more meaning


@dataclass(frozen=True, eq=False)
class Recalibrated:
    """Probabilities after recalibration, and what it was in each fold.

    Shape:
        log_p (R, N, C), float64; temperature and offset (R, K).
    """

    log_p: Tensor
    temperature: Floats
    offset: Floats


def recalibrated(tested: Tested, log_prior: Tensor) -> Recalibrated:
    """log p becomes log_softmax(log p / T + b log prior); T and b come from the other folds' rows.

    They minimise the negative log-likelihood of those rows plus (log T)^2 / 0.5 + b^2 / 0.5, which
    keeps few rows from running away; of many rows an evenly spaced part is used. For any number of
    labels, the log-odds of each label and of its prior stand for the logarithms.

    Args:
        tested: the outputs of one loss, of at least two folds.
        log_prior: logarithm of the share of each class in the training rows of each fold.

    Shape:
        log_prior (R, K, C).

    Raises:
        ValueError: if there is one fold, and so no other rows to fit on.
    """
    if tested.fold_count < 2:
        raise ValueError(
            "tested must have at least 2 folds, got 1; there are no other rows to fit on"
        )
    link = _link(tested)
    labels = torch.from_numpy(tested.labels.astype(np.int64))
    temperature, offset = np.empty((2, tested.repeats, tested.fold_count))
    log_p = torch.empty(tested.scores.shape, dtype=torch.float64)
    for repeat in range(tested.repeats):
        evidence, priors = link.evidence(tested, repeat), link.priors(log_prior[repeat].double())
        model_of = torch.from_numpy(tested.folds[repeat])
        for fold in range(tested.fold_count):
            inside = tested.folds[repeat] == fold
            others = _evenly(np.flatnonzero(~inside), tested.classes)
            found = _fit(link, evidence[others], priors[model_of[others]], labels[others])
            rows = torch.from_numpy(inside)
            log_p[repeat, rows] = _apply(link, evidence[rows], priors[fold], found)
            temperature[repeat, fold], offset[repeat, fold] = found
    return Recalibrated(log_p, temperature, offset)


@dataclass(frozen=True)
class _Derivatives:
    """Loss summed over rows at logits a z + b pi, with its derivatives by a and b."""

    loss: float
    a: float
    b: float
    aa: float
    ab: float
    bb: float


class _Link(Protocol):
    """How log-probabilities follow from evidence z and priors pi, (N, C)."""

    def evidence(self, tested: Tested, repeat: int) -> Tensor: ...
    def priors(self, log_prior: Tensor) -> Tensor: ...
    def log_p(self, logits: Tensor) -> Tensor: ...
    def derivatives(
        self, z: Tensor, pi: Tensor, labels: Tensor, a: float, b: float
    ) -> _Derivatives: ...


class _Softmax:
    def evidence(self, tested: Tested, repeat: int) -> Tensor:
        return tested.log_probabilities(repeat).clamp(min=-_LARGEST)

    def priors(self, log_prior: Tensor) -> Tensor:
        return finite(log_prior)

    def log_p(self, logits: Tensor) -> Tensor:
        return torch.log_softmax(logits, dim=1)

    def derivatives(
        self, z: Tensor, pi: Tensor, labels: Tensor, a: float, b: float
    ) -> _Derivatives:
        log_p = self.log_p(a * z + b * pi)
        p = log_p.exp()
        truth = labels[:, None]
        mean_z, mean_pi = (p * z).sum(1, keepdim=True), (p * pi).sum(1, keepdim=True)
        off_z, off_pi = z - mean_z, pi - mean_pi
        return _Derivatives(
            loss=-float(log_p.gather(1, truth).sum()),
            a=-float(off_z.gather(1, truth).sum()),
            b=-float(off_pi.gather(1, truth).sum()),
            aa=float((p * off_z.square()).sum()),
            ab=float((p * off_z * off_pi).sum()),
            bb=float((p * off_pi.square()).sum()),
        )


class _Sigmoid:
    def evidence(self, tested: Tested, repeat: int) -> Tensor:
        return tested.log_odds(repeat).clamp(-_LARGEST, _LARGEST)

    def priors(self, log_prior: Tensor) -> Tensor:
        return finite(logit(log_prior))

    def log_p(self, logits: Tensor) -> Tensor:
        return torch.nn.functional.logsigmoid(logits)

    def derivatives(
        self, z: Tensor, pi: Tensor, labels: Tensor, a: float, b: float
    ) -> _Derivatives:
        logits = a * z + b * pi
        p = logits.sigmoid()
        off, spread = p - labels, p * (1 - p)
        signed = torch.where(labels == 1, -logits, logits)
        return _Derivatives(
            loss=float(torch.nn.functional.softplus(signed).sum()),
            a=float((off * z).sum()),
            b=float((off * pi).sum()),
            aa=float((spread * z.square()).sum()),
            ab=float((spread * z * pi).sum()),
            bb=float((spread * pi.square()).sum()),
        )


def _link(tested: Tested) -> _Link:
    return _Sigmoid() if tested.multi_label else _Softmax()


def _evenly(rows: Integers, classes: int) -> Tensor:
    """The rows, or of many an evenly spaced part."""
    return torch.from_numpy(rows[:: max(1, -(-len(rows) * classes // _ELEMENTS))])


def _apply(link: _Link, z: Tensor, pi: Tensor, found: tuple[float, float]) -> Tensor:
    temperature, offset = found
    return link.log_p(z / temperature + offset * pi)


def _fit(link: _Link, z: Tensor, pi: Tensor, labels: Tensor) -> tuple[float, float]:
    """Temperature and offset of the smallest penalised loss, by Newton's method in (log T, b)."""
    u, b = 0.0, 0.0

    def at(u: float, b: float) -> tuple[float, _Derivatives]:
        found = link.derivatives(z, pi, labels, math.exp(-u), b)
        return found.loss + (u * u + b * b) / _WIDTH, found

    value, found = at(u, b)
    for _ in range(_STEPS):
        step_u, step_b, promised = _newton(found, u, b)
        if promised < _ENOUGH:
            break
        scale = min(1.0, _LONGEST / max(abs(step_u), abs(step_b)))
        while scale > _SHORTEST:
            next_value, next_found = at(u + scale * step_u, b + scale * step_b)
            if next_value < value:
                break
            scale /= 2
        else:
            break
        u, b, value, found = u + scale * step_u, b + scale * step_b, next_value, next_found
    return math.exp(u), b


def _newton(found: _Derivatives, u: float, b: float) -> tuple[float, float, float]:
    """The step in (log T, b), and the decrease that it promises."""
    a = math.exp(-u)
    slope_u, slope_b = 2 * u / _WIDTH - a * found.a, 2 * b / _WIDTH + found.b
    bb, ub = found.bb + 2 / _WIDTH, -a * found.ab
    uu = a * a * found.aa + 2 / _WIDTH
    # The loss is convex in a and not in log a: without its slope the matrix is positive anyway.
    if (uu + a * found.a) * bb > ub * ub and uu + a * found.a > 0:
        uu += a * found.a
    determinant = uu * bb - ub * ub
    step_u = (ub * slope_b - bb * slope_u) / determinant
    step_b = (ub * slope_u - uu * slope_b) / determinant
    return step_u, step_b, -(slope_u * step_u + slope_b * step_b) / 2
