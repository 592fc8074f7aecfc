"""Checks of what the outputs of a model mean under a loss: `posterior`, `logits`, `predict`."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from kit.population import Population, loss_of_text, recoverable
from kit.traits import CLASSES
from taylored.core.posterior.invertible import NoPosteriorError
from taylored.modules.classification import ClassificationLoss

FAR = (0.0, 1.0, 30.0, 89.0, 110.0, 1e4)
SEE_OFFSETS = ("vector_scaling", "kps", "softcap")  # factors per class, logits bent around zero
"""Sizes of logits, among them those where float32 loses exponentials and their odds."""


def _logits(loss: ClassificationLoss, *shape: int, scale: float = 1.5) -> Tensor:
    generator = torch.Generator().manual_seed(len(shape))
    size = shape or (6, CLASSES)
    return scale * torch.randn(size, generator=generator, dtype=torch.float64)


def _readable(loss: ClassificationLoss, count: int) -> Tensor:
    """Outputs that some class probabilities, of which none is 0, have brought about."""
    size = torch.linspace(0.1, 1.5, 400, dtype=torch.float64).unsqueeze(1)
    z = size * _logits(loss, 400, CLASSES)
    bias = getattr(loss, "logit_bias", None)
    z = z if bias is None else z - bias  # which smoothing cannot undo where it is large
    z = z[loss.logits(z).isfinite().all(dim=1)]
    assert len(z) >= count
    return z[:: len(z) // count][:count].detach()


# --- the mathematics ----------------------------------------------------------------------------


def check_inversion(loss: ClassificationLoss, classes: int) -> None:
    """Class probabilities, found again from the outputs of the least expected loss."""
    eta, z = recoverable(loss, classes)
    found = loss.posterior(z.unsqueeze(0)).squeeze(0)
    torch.testing.assert_close(found, eta, rtol=0, atol=1e-6)


def check_stationary(loss: ClassificationLoss) -> None:
    """No minimisation: where eta is the posterior of z, the expected loss has no slope at z."""
    single = Population(loss, torch.ones(1)).single
    if single and loss.link == "sigmoid":
        return  # most rows of log odds are those of no single-label data
    for z in _readable(loss, 8):
        eta = loss.posterior(z.unsqueeze(0)).squeeze(0)
        leaf = z.clone().requires_grad_()
        (slope,) = torch.autograd.grad(Population(loss, eta).risk(leaf), leaf)
        torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0, atol=1e-10)


# --- numbers ------------------------------------------------------------------------------------


def check_stable(text: str) -> None:
    """float32 at any logit, and with any offset: the probabilities of float64."""
    exact = loss_of_text(text)
    for size in FAR:
        z = size * torch.linspace(-1, 1, CLASSES, dtype=torch.float64).repeat(3, 1)
        z[1] = z[1].flip(0)
        z[2] = size
        z = z.float().double()
        expected, found = exact.posterior(z), exact.posterior(z.float())
        assert expected.isnan().equal(found.isnan().to(expected.isnan())), (size, expected, found)
        torch.testing.assert_close(found.double(), expected, rtol=0, atol=2e-4, equal_nan=True)
        if exact.link == "softmax" and not any(name in text for name in SEE_OFFSETS):
            moved = exact.posterior((z + 1e8).float())
            torch.testing.assert_close(
                moved.double(), exact.posterior((z + 1e8).float().double() - 1e8),
                rtol=0, atol=2e-4, equal_nan=True,
            )  # fmt: skip


def check_derivatives(loss: ClassificationLoss) -> None:
    """Posterior and logits can be differentiated."""
    z = _readable(loss, 3).requires_grad_()
    assert torch.autograd.gradcheck(loss.posterior, (z,))
    assert torch.autograd.gradcheck(loss.logits, (z,))


def check_layouts(loss: ClassificationLoss) -> None:
    """Any (N, C, d1, ...), one sample alone, half precision."""
    rows = _logits(loss, 6, CLASSES)
    expected = loss.posterior(rows)
    images = rows.reshape(2, 3, CLASSES).movedim(-1, 1)
    wide = loss.posterior(images)
    torch.testing.assert_close(
        wide.movedim(1, -1).reshape(6, CLASSES), expected, equal_nan=True, rtol=1e-12, atol=1e-14
    )
    deep = loss.posterior(images.unsqueeze(-1)).squeeze(-1)
    torch.testing.assert_close(deep, wide, equal_nan=True)
    if "class_dim" in loss._fields:
        last = copy.deepcopy(loss)
        last.class_dim = -1
        found = last.posterior(images.movedim(1, -1))
        torch.testing.assert_close(found, wide.movedim(1, -1), equal_nan=True)
        if loss.spec.call != "distances":
            decided = last.predict(images.movedim(1, -1))
            at_home = loss.predict(images)
            assert decided.equal(at_home if loss.link == "softmax" else at_home.movedim(1, -1))
    if loss.link == "softmax" and loss.spec.call == "plain":
        alone = loss.posterior(rows[0])
        torch.testing.assert_close(alone, expected[0], equal_nan=True)
    for dtype in (torch.float16, torch.bfloat16):
        found = loss.posterior(rows.to(dtype))
        assert found.dtype == torch.float32
        assert loss.logits(rows.to(dtype)).dtype == torch.float32
        exact = loss.posterior(rows.to(dtype).double())
        torch.testing.assert_close(found.double(), exact, rtol=0, atol=1e-5, equal_nan=True)


# --- priors and decisions -----------------------------------------------------------------------


def check_priors(loss: ClassificationLoss) -> None:
    """A posterior under another prior is that of samples drawn with it, by Bayes's rule."""
    z = _logits(loss)
    train = loss.posterior(z)
    counts = torch.tensor([900.0, 250.0, 40.0, 7.0, 1.0])
    other = torch.tensor([1.0, 1.0, 2.0, 3.0, 3.0])
    single = Population(loss, torch.ones(1)).single
    if single:
        rates = counts / counts.sum()
        ratio = (other / other.sum()) / rates
        expected = train * ratio
        expected = expected / expected.sum(dim=1, keepdim=True)
        found = loss.posterior(z, prior=other, counts=counts)
        even = loss.posterior(z, prior="balanced", counts=counts)
        flat = train / rates
        flat = flat / flat.sum(dim=1, keepdim=True)
        torch.testing.assert_close(even, flat, rtol=1e-5, atol=1e-9, equal_nan=True)
        same = loss.posterior(z, prior=counts, counts=counts)
    else:
        samples, rates, other = 2000.0, counts / 2000.0, other / 8.0  # positives of 2000
        yes = train * other / rates
        no = (1 - train) * (1 - other) / (1 - rates)
        expected = yes / (yes + no)
        found = loss.posterior(z, prior=other, counts=counts, num_samples=samples)
        same = loss.posterior(z, prior=rates, counts=counts, num_samples=samples)
        with pytest.raises(ValueError, match=r"`prior` must be rates of positives"):
            loss.posterior(z, prior=[3.0] * CLASSES, counts=counts, num_samples=samples)
    torch.testing.assert_close(found, expected.to(found), rtol=1e-5, atol=1e-9, equal_nan=True)
    torch.testing.assert_close(same, train, rtol=1e-5, atol=1e-9, equal_nan=True)
    if loss.training_counts()[0] is None:
        with pytest.raises(ValueError, match=r"`counts` must be training samples.*counts=taylored"):
            loss.posterior(z, prior="balanced")
    with pytest.raises(ValueError, match=r"`counts` must be left out"):
        loss.posterior(z, counts=counts)
    with pytest.raises(ValueError, match=r"`prior` must be .*'uniform'"):
        loss.posterior(z, prior="uniform")  # type: ignore[arg-type]
    samples = None if single else 2000.0
    with pytest.raises(ValueError, match=r"`counts` must be one number per class: 5|4 classes"):
        loss.posterior(z, prior=[0.1] * 4, counts=counts[:4], num_samples=samples)


def check_decisions(loss: ClassificationLoss) -> None:
    """One decision per position, from the published reading or from a posterior."""
    z = _logits(loss)
    if loss.spec.call == "distances":
        assert loss.predict(z).shape == (6,)
        return
    read = loss.logits(z, prior=None)
    if loss.link == "softmax":
        assert loss.predict(z).equal(read.argmax(dim=1))
    else:
        assert loss.predict(z).equal(read > 0)
    train = loss.posterior(z)
    if bool(train.isnan().any()):
        with pytest.raises(ValueError, match="`outputs` must be"):
            loss.predict(z, prior="train")
        return
    expected = train.argmax(dim=1) if loss.link == "softmax" else train > 0.5
    assert loss.predict(z, prior="train").equal(expected)


def check_refusal(loss: ClassificationLoss) -> None:
    """Refused by name, with the reason and what to do; the published reading remains."""
    z = torch.zeros(2, CLASSES)
    for ask in (loss.posterior, loss.logits):
        with pytest.raises(NoPosteriorError, match=r"closed form, got .*: .*tune_temperature"):
            ask(z)
    assert not loss.has_posterior
    assert loss.predict(z).shape in ((2,), (2, CLASSES))
    assert loss.posterior(z, prior=None).isfinite().all()
