"""Absolute gradients per class, whatever the signs: against autograd's gradient."""

import pytest
import torch
from torch import Tensor

from kit.executors import running
from taylored import terms
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.plan.nonnegative import never_negative
from taylored.core.plan.options import Options
from taylored.core.state.gradient_indicator import GradientIndicator

C = 5
SIGNED = 3.0 * terms.power(1) - 2.5 * terms.power(2)  # rises again towards p = 0
TERMS = [
    (terms.nll, True),
    (terms.power(0.5) * terms.nll, True),
    (terms.nll + 2.0 * terms.power(1), True),
    (terms.truncated(40), True),
    (terms.series([1.0, 0.5]), True),
    (terms.series([1.0, -0.5]), False),
    (terms.nll - 1.0 * terms.power(1), False),
    (SIGNED, False),
]


@pytest.mark.parametrize(("term", "known"), TERMS)
def test_what_is_known_of_the_sign(term, known) -> None:
    assert never_negative(term) == known
    p = torch.linspace(0.001, 0.999, 500)
    if known:
        assert (term.value(p) >= 0).all()
        assert (term.gain(p) >= 0).all()


@pytest.mark.parametrize("path", ["whole", "blocked"])
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@pytest.mark.parametrize("target", ["index", "dense", "soft"])
@pytest.mark.parametrize("weights", ["none", "of both signs"])
@pytest.mark.parametrize(("term", "known"), [TERMS[0], TERMS[5], TERMS[7]])
def test_sums_are_of_absolute_gradients(term, known, weights, target, link, path) -> None:
    generator = torch.Generator().manual_seed(1)
    logits = 2 * torch.randn(12, C, 3, generator=generator, dtype=torch.float64)
    index = torch.randint(C, (12, 3), generator=generator)
    hot = torch.nn.functional.one_hot(index, C).movedim(-1, 1)
    truth = hot.double()
    if target == "soft":
        truth = 0.8 * truth + 0.2 / C
    given: Tensor = index if target == "index" else truth
    if link == "sigmoid" and target == "dense":
        given = hot.bool()
    signs = torch.linspace(-1, 2, 12).double()
    indicator = GradientIndicator(C).double()
    options = Options(
        link=link,
        reduction="sum",
        sample_weight=None if weights == "none" else signs,
        indicator=indicator,
    )
    z = logits.requires_grad_()
    with running(path):
        loss = p_t_loss(z, given, term, options)
        (gradient,) = torch.autograd.grad(loss, z)
    for found, mass in ((indicator.positive, truth), (indicator.negative, 1 - truth)):
        torch.testing.assert_close(found, (gradient.abs() * mass).sum((0, 2)))
