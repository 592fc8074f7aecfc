"""Checks of the losses that use class counts. The suite calls them; planted faults must fail them.

Each takes what it judges from the package when it is called, so that faults can be planted there.
"""

from __future__ import annotations

import copy
import io
import math
import warnings

import torch
from torch import Tensor, nn

from kit.catalogued import CLASSIFICATION
from kit.parameters import fields_of, module
from kit.tolerances import close
from taylored import (
    BalancedSoftmaxLoss,
    CosineClassifier,
    CrossEntropyLoss,
    DeferredReweightingLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    SeesawLoss,
    VectorScalingLoss,
    adjust_logits,
    catalog,
    cross_entropy_loss,
    logit_adjusted_loss,
)

C = 4
COUNTS = [800, 90, 12, 2]
USING_COUNTS = tuple(
    name
    for name in CLASSIFICATION
    if any(field.about.needs == "counts" for field in fields_of(name).values())
)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return 2 * torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def outputs(name: str, samples: int) -> Tensor:
    """What a loss of a name is called on: logits of its samples, or several of them stacked."""
    stacked = (3,) if CLASSIFICATION[name].call == "stacked" else ()
    return draw(*stacked, samples, C)


def classes(*shape: int, seed: int = 1) -> Tensor:
    return torch.randint(C, shape, generator=torch.Generator().manual_seed(seed))


def with_counts(name: str, counts: list[float]) -> nn.Module:
    """The loss, knowing these counts, at the end of its schedule."""
    told = {"counts": counts, "num_classes": len(counts), "num_samples": 1000}
    options = {key: value for key, value in told.items() if key in fields_of(name)}
    loss = module(name, **options)
    loss.set_progress(1.0)
    return loss


def value_and_gradient(loss: nn.Module, logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    z = logits.detach().clone().requires_grad_()
    value = loss(z, target)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient


def single(loss: nn.Module, logits: list[float], truth: int) -> float:
    """The loss of one sample."""
    return loss(torch.tensor([logits], dtype=torch.float64), torch.tensor([truth])).item()


def near(found: float, expected: float) -> None:
    assert math.isclose(found, expected, rel_tol=1e-6), (found, expected)


# --- values worked out by hand ------------------------------------------------------------------


def check_logit_adjusted_by_hand() -> None:
    """Priors 0.9 and 0.1, squared: factors 0.81 and 0.01."""
    loss, e = LogitAdjustedLoss(counts=[90, 10], tau=2.0), math.e
    near(single(loss, [0.0, 1.0], 0), math.log(1 + 0.01 * e / 0.81))
    near(single(loss, [0.0, 1.0], 1), math.log(1 + 0.81 / (0.01 * e)))


def check_balanced_softmax_by_hand() -> None:
    loss, e = BalancedSoftmaxLoss(counts=[30, 5]), math.e
    near(single(loss, [0.0, 1.0], 0), math.log((30 + 5 * e) / 30))
    near(single(loss, [0.0, 1.0], 1), math.log((30 + 5 * e) / (5 * e)))


def check_vector_scaling_by_hand() -> None:
    """(1/16)^(1/4) = 1/2 on the rare logit, nothing on the frequent one."""
    loss = VectorScalingLoss(counts=[16, 1], gamma=0.25, tau=0.0)
    near(single(loss, [1.0, 3.0], 0), math.log(1 + math.exp(1.5 - 1.0)))
    near(single(loss, [1.0, 3.0], 1), math.log(1 + math.exp(1.0 - 1.5)))
    loss = VectorScalingLoss(counts=[16, 1], gamma=0.25, tau=1.0)
    near(single(loss, [1.0, 3.0], 1), math.log(1 + 16 * math.exp(1.0 - 1.5)))


def check_ldam_by_hand() -> None:
    """Margins 16^(-1/4) : 1 = 0.25 : 0.5, off the true logit only, before the scale."""
    loss = LDAMLoss(counts=[16, 1], max_m=0.5, scale=2.0)
    near(single(loss, [0.3, 0.1], 0), math.log(1 + math.exp(2 * (0.1 - 0.05))))
    near(single(loss, [0.3, 0.1], 1), math.log(1 + math.exp(2 * (0.3 + 0.4))))


def check_seesaw_by_hand() -> None:
    """Mitigation 0.1 and compensation e^2 where a rare rival leads; none of them the other way."""
    loss = SeesawLoss(num_classes=2, counts=[100, 10], p=1.0, q=2.0)
    near(single(loss, [0.0, 1.0], 0), math.log(1 + 0.1 * math.exp(2) * math.exp(1)))
    near(single(loss, [1.0, 0.0], 0), math.log(1 + 0.1 * math.exp(-1)))
    near(single(loss, [0.0, 1.0], 1), math.log(1 + math.exp(-1)))
    near(single(loss, [1.0, 0.0], 1), math.log(1 + math.exp(2) * math.exp(1)))


def check_seesaw_floor() -> None:
    """Compensation stops growing where the truth is below 0.01."""
    loss = SeesawLoss(num_classes=2, counts=[1, 1], p=0.0, q=2.0)
    for gap in (50.0, 100.0):
        near(single(loss, [0.0, gap], 0), gap + 2 * math.log(100))


# --- what counts do -----------------------------------------------------------------------------


def check_nothing_to_learn(text: str) -> None:
    """With features that say nothing, and classes as frequent as counted, zero is the optimum."""
    target = torch.arange(3).repeat_interleave(torch.tensor([6, 3, 1]))
    loss = catalog.get(text, counts=[6, 3, 1])
    _, gradient = value_and_gradient(loss, torch.zeros(10, 3).double(), target)
    close(gradient.sum(dim=0), torch.zeros(3), atol=1e-7)


def check_post_hoc_undoes_training() -> None:
    """Adjusting the logits and training with the prior are inverse to each other."""
    logits, target = draw(6, C, 3), classes(6, 3)
    moved = adjust_logits(logits, counts=COUNTS, tau=1.7)
    assert (moved[:, 3] > logits[:, 3]).all()
    found = logit_adjusted_loss(moved, target, counts=COUNTS, tau=1.7)
    close(found, cross_entropy_loss(logits, target))


def check_zero_counts(name: str) -> None:
    """A class without samples counts as one, with a warning where that is said; nothing is inf."""
    logits, target = outputs(name, 8), classes(8)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        loss = with_counts(name, [800, 90, 0, 0])
    warned = any("2 of 4 classes have no samples" in str(w.message) for w in caught)
    assert warned == ("with a warning" in fields_of(name)["counts"].about.effect), name
    found = []
    for each in (loss, with_counts(name, [800, 90, 1, 1])):
        torch.manual_seed(0)  # some losses leave out elements at random
        found.append(value_and_gradient(each, logits, target))
    for left, right in zip(*found, strict=True):
        assert left.isfinite().all()
        close(left, right)


# --- seesaw, counting by itself -----------------------------------------------------------------


def check_counts_before_use() -> None:
    """A training forward adds its targets first and is then the loss of these counts."""
    online, total = SeesawLoss(num_classes=C), torch.zeros(C, dtype=torch.long)
    for step in range(5):
        logits, target = draw(9, C, seed=step), classes(9, seed=step + 10)
        target[0] = -100
        total += torch.bincount(target[1:], minlength=C)
        given = SeesawLoss(num_classes=C, counts=total.clamp(min=1))
        expected = value_and_gradient(given, logits, target)
        for found, wanted in zip(value_and_gradient(online, logits, target), expected, strict=True):
            close(found, wanted, rtol=1e-6)  # given counts are kept as float32 logarithms
        assert torch.equal(online.seen, total)


def check_seesaw_untouched() -> None:
    """Evaluation, `no_grad` and `predict` use the counts and leave them alone."""
    loss = SeesawLoss(num_classes=C)
    loss(draw(9, C), classes(9))
    before = loss.seen.clone()
    expected = SeesawLoss(num_classes=C, counts=before.clamp(min=1))(draw(9, C), classes(9))
    with torch.no_grad():
        close(loss(draw(9, C), classes(9)), expected, rtol=1e-6)
    loss.eval()
    close(loss(draw(9, C), classes(9)), expected, rtol=1e-6)
    loss.predict(draw(9, C))
    assert torch.equal(loss.seen, before)


def check_seesaw_resumes() -> None:
    """The next step after loading is the step that would have come."""
    loss = SeesawLoss(num_classes=C)
    for step in range(3):
        loss(draw(9, C, seed=step), classes(9, seed=step))
    kept = io.BytesIO()
    torch.save(loss.state_dict(), kept)
    kept.seek(0)
    again = SeesawLoss(num_classes=C)
    again.load_state_dict(torch.load(kept, weights_only=True))
    found = [value_and_gradient(each, draw(7, C), classes(7)) for each in (loss, again)]
    for left, right in zip(*found, strict=True):
        assert torch.equal(left, right)
    assert torch.equal(loss.seen, again.seen)


# --- deferred -----------------------------------------------------------------------------------


def official_weights(beta: float) -> Tensor:
    """kaidic/LDAM-DRW: of beta 0 before, of `beta` after."""
    effective = 1.0 - torch.tensor(beta).double() ** torch.tensor(COUNTS).double()
    weights = (1.0 - beta) / effective
    return weights / weights.sum() * C


def check_schedule() -> None:
    """Weight one before `start`, the effective numbers' from there on; back again if told so."""
    logits, target = draw(9, C), classes(9)
    loss = DeferredReweightingLoss(CrossEntropyLoss(), counts=COUNTS, beta=0.999, start=0.6)
    plain = cross_entropy_loss(logits, target)
    weighted = cross_entropy_loss(logits, target, weight=official_weights(0.999))
    assert abs(plain - weighted) > 0.1
    close(loss(logits, target), plain)
    for fraction, expected in ((0.0, plain), (0.59, plain), (0.6, weighted), (1.0, weighted),
                               (0.2, plain), (0.9, weighted)):  # fmt: skip
        loss.set_progress(fraction)
        close(loss.fraction, torch.tensor(fraction), rtol=1e-6)
        close(loss(logits, target), expected, rtol=1e-6)


def check_deferred_follows_the_module() -> None:
    """Progress still matters after a copy, and after moving to another dtype."""
    loss = DeferredReweightingLoss(FocalLoss(), counts=COUNTS, start=0.5)
    for moved in (copy.deepcopy(loss), copy.deepcopy(loss).double(), loss.half().float()):
        first = moved(draw(9, C), classes(9))
        moved.set_progress(0.5)
        assert abs(moved(draw(9, C), classes(9)) - first) > 0.01


def check_deferred_resumes() -> None:
    first = DeferredReweightingLoss(CrossEntropyLoss(), counts=COUNTS)
    first.set_progress(0.85)
    again = DeferredReweightingLoss(CrossEntropyLoss(), counts=COUNTS)
    again.load_state_dict(first.state_dict())
    assert again.fraction == first.fraction
    expected = first(draw(9, C), classes(9))
    assert torch.equal(again(draw(9, C), classes(9)), expected)
    assert abs(expected - cross_entropy_loss(draw(9, C), classes(9))) > 0.1


def check_no_recompilation() -> None:
    """Progress changes numbers and not the program; the weight stays where it is in memory."""
    loss = DeferredReweightingLoss(LDAMLoss(counts=COUNTS), counts=COUNTS)
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    cosines, place = torch.tanh(draw(9, C)), loss.current.data_ptr()
    found = []
    for fraction in (0.0, 0.5, 0.85, 0.1, 0.9):
        loss.set_progress(fraction)
        with torch._dynamo.config.patch(error_on_recompile=True):
            value, gradient = value_and_gradient(compiled, cosines, classes(9))
        expected, expected_gradient = value_and_gradient(loss, cosines, classes(9))
        close(value, expected)
        close(gradient, expected_gradient)
        found.append(value.item())
        assert loss.current.data_ptr() == place
    assert found[0] == found[1] == found[3] != found[2] == found[4]


# --- the cosine classifier ----------------------------------------------------------------------


def check_cosine_zeros() -> None:
    """Vectors of zeros: cosine 0, gradient 0, and nothing that is not a number."""
    layer = CosineClassifier(3, 2)
    with torch.no_grad():
        layer.weight[1] = 0.0
    features = torch.tensor([[0.0, 0.0, 0.0], [1.0, 2.0, 2.0]], requires_grad=True)
    cosines = layer(features)
    assert (cosines[0] == 0).all()
    assert (cosines[:, 1] == 0).all()
    cosines.square().sum().add(cosines.sum()).backward()
    for gradient in (features.grad, layer.weight.grad):
        assert gradient.isfinite().all()
    assert (features.grad[0] == 0).all()
    assert (layer.weight.grad[1] == 0).all()
    assert (features.grad[1] != 0).any()


def check_cosine_lengths() -> None:
    """Lengths do not matter, from very short to those whose squares overflow."""
    layer = CosineClassifier(3, 2)
    features = draw(5, 3, dtype=torch.float32)
    expected = torch.nn.functional.cosine_similarity(
        features.unsqueeze(1), layer.weight.unsqueeze(0), dim=2
    ).detach()
    for length in (1e-9, 1e-3, 1.0, 1e3, 1e30):
        with torch.no_grad():
            close(layer(length * features), expected, rtol=1e-5, atol=1e-6)
