"""NaN, masks and offsets where logits are no plain tensor, under transforms, and in states."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from kit.cases import COUNTS, GENERATED
from kit.tolerances import close
from kit.traits import CLASSES, STATEFUL
from taylored import LinearLogits, catalog, donate

SOFTMAX = ("cross_entropy()", "focal(gamma=1.5)", "jensen_shannon(pi=0.3)", "balanced_softmax()",
           "generalized_cross_entropy(q=0.7)", "poly(epsilon=-1)", "seesaw()",
           "asymmetric_single_label(label_smoothing=0.0)")  # fmt: skip
SIGMOID = ("binary_cross_entropy()", 'focal(gamma=2, link="sigmoid")', "asymmetric()",
           "quality_focal()", "ghm()", "distribution_balanced()")  # fmt: skip

OF_P_T = (*SOFTMAX[:2], "balanced_softmax()", *SIGMOID[1:3])

LOGITS = torch.linspace(-2, 3, 6 * CLASSES, dtype=torch.float64).sin().reshape(6, CLASSES)
TARGET = torch.tensor([0, 1, -100, 3, 4, -100])
GONE = (TARGET == -100).unsqueeze(1).expand(6, CLASSES)


def loss_of(text: str) -> torch.nn.Module:
    return catalog.get(text, counts=COUNTS).eval()


def masked(logits: Tensor, by: float) -> Tensor:
    """One class of every position, which is not its truth."""
    rival = (TARGET.clamp_min(0) + 1) % CLASSES
    return logits.scatter(1, rival.unsqueeze(1), by)


WAYS = {
    "NaN where ignored": lambda z: z.masked_fill(GONE, math.nan),
    "infinity where ignored": lambda z: z.masked_fill(GONE, math.inf),
    "a masked class": lambda z: masked(z, -math.inf),
}


def expected_of(text: str, way: str) -> tuple[Tensor, Tensor]:
    near = masked(LOGITS, -1e4) if way == "a masked class" else LOGITS
    z = near.clone().requires_grad_()
    value = loss_of(text)(z, TARGET)
    return value.detach(), torch.autograd.grad(value, z)[0]


each = pytest.mark.parametrize("text", SOFTMAX + SIGMOID)
each_way = pytest.mark.parametrize("way", WAYS)


@each
@each_way
def test_transforms_and_second_derivatives(text: str, way: str) -> None:
    value, gradient = expected_of(text, way)
    loss, strange = loss_of(text), WAYS[way](LOGITS)
    close(loss(strange, TARGET), value)
    close(torch.func.grad(lambda z: loss(z, TARGET))(strange), gradient)
    z = strange.clone().requires_grad_()
    (first,) = torch.autograd.grad(loss(z, TARGET), z, create_graph=True)
    close(first, gradient)
    (second,) = torch.autograd.grad(first[:, 0].sum(), z, allow_unused=True)
    assert second is None or second.isfinite().all()
    _, tangent = torch.func.jvp(lambda z: loss(z, TARGET), (strange,), (torch.ones_like(z),))
    close(tangent, gradient.sum(), atol=1e-9)


@pytest.mark.parametrize(
    "text", ["cross_entropy()", "focal(gamma=1.5)", "balanced_softmax()", "quality_focal()",
             'focal(gamma=2, link="sigmoid")', "asymmetric_single_label(label_smoothing=0.0)"]
)  # fmt: skip
def test_compiled(text: str) -> None:
    torch._dynamo.reset()
    compiled = torch.compile(loss_of(text), fullgraph=True, backend="aot_eager")
    for way, change in WAYS.items():
        value, gradient = expected_of(text, way)
        z = change(LOGITS).requires_grad_()
        found = compiled(z, TARGET)
        close(found, value)
        close(torch.autograd.grad(found, z)[0], gradient)
    if loss_of(text).link == "softmax":
        far = (1e8 + 8 * LOGITS.mul(4).round()).float().requires_grad_()
        exact = far.detach().double() - 1e8
        close(compiled(far, TARGET), loss_of(text)(exact, TARGET), 3e-5, 1e-6)


@pytest.mark.parametrize("text", OF_P_T)
@each_way
def test_donated(text: str, way: str) -> None:
    value, gradient = expected_of(text, way)
    leaf = WAYS[way](LOGITS).requires_grad_()
    found = loss_of(text)(donate(leaf + 0.0), TARGET)
    close(found, value)
    close(torch.autograd.grad(found, leaf)[0], gradient)


@pytest.mark.parametrize("text", OF_P_T)
def test_linear_logits(text: str) -> None:
    """Features of ignored positions, and a class that a bias masks."""
    weight = torch.linspace(-1, 2, CLASSES * 3, dtype=torch.float64).cos().reshape(CLASSES, 3)
    features = torch.linspace(-2, 1, 18, dtype=torch.float64).sin().reshape(6, 3)
    target = torch.where(TARGET == 1, 0, TARGET)
    found = []
    for hidden, ignored in ((-1e4, 0.0), (-math.inf, math.nan)):
        bias = torch.zeros(CLASSES, dtype=torch.float64)
        bias[1] = hidden
        x = features.masked_fill((target == -100).unsqueeze(1), ignored)
        leaves = [each.clone().requires_grad_() for each in (x, weight, bias)]
        value = loss_of(text)(LinearLogits(*leaves), target)
        found.append([value.detach(), *torch.autograd.grad(value, leaves)])
    for left, right in zip(*found, strict=True):
        close(left, right)


def states_of(loss: torch.nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in loss.state_dict().items()}


@pytest.mark.parametrize("text", [*(f"{name}()" for name in sorted(STATEFUL)), "seesaw()",
                                  "ghm(momentum=0.5)"])  # fmt: skip
@pytest.mark.parametrize("how", ["ignored", "sample weight"])
def test_states_do_not_see_what_counts_for_nothing(text: str, how: str) -> None:
    found = []
    for wild in (0.5, math.nan, math.inf):
        call = text if not text.startswith("seesaw") else f"seesaw(num_classes={CLASSES})"
        loss = catalog.get(call, counts=COUNTS).train()
        z = LOGITS.masked_fill(GONE, wild).requires_grad_()
        if how == "ignored":
            value = loss(z, TARGET)
        else:
            weight = (TARGET != -100).double()
            value = loss(z, TARGET.clamp_min(0), sample_weight=weight)
        value.backward()
        assert (z.grad[GONE] == 0).all()
        found.append(states_of(loss))
    assert found[0]
    for other in found[1:]:
        for name, state in found[0].items():
            close(other[name], state)
    if how == "sample weight" and "seen" in found[0] and text.startswith("seesaw"):
        assert found[0]["seen"].tolist() == [1, 1, 0, 1, 1]


def test_an_empty_batch_costs_nothing() -> None:
    for text in SOFTMAX + SIGMOID:
        z = torch.zeros(0, CLASSES, requires_grad=True)
        value = loss_of(text)(z, torch.zeros(0, dtype=torch.long))
        assert value.item() == 0.0
        value.backward()


def test_small_mass_on_a_rare_class() -> None:
    """1 - (1 - y) of a small y would be 0 in float32, and its logarithm the lowest number."""
    loss = catalog.get("equalization(link='softmax', gamma=1.0, threshold=0.1)", counts=[90, 5, 5])
    target = torch.tensor([[1.0 - 1e-8, 1e-8, 0.0]])
    found = loss(torch.zeros(1, 3), target)
    exact = loss(torch.zeros(1, 3).double(), target.double())
    assert found.item() == pytest.approx(exact.item(), rel=1e-5, abs=1e-6)
    assert found.item() < 1e-6


OF_YES_AND_NO = [f"{name}()" for name, spec in GENERATED.items() if spec.links == ("sigmoid",)]


@pytest.mark.parametrize("text", [*OF_YES_AND_NO, SIGMOID[1]])
@pytest.mark.parametrize("wrong", [100.0, -1.0])
def test_truths_outside_of_the_unit_interval_are_no_plausible_number(
    text: str, wrong: float
) -> None:
    """They are refused where looking is free, and NaN under a compiler."""
    loss, z = loss_of(text), LOGITS.float()
    y = torch.zeros(z.shape)
    y[0, 0] = 1.0
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(z, y), loss(z, y))
    y[1, 1] = wrong
    with pytest.raises(ValueError, match=r"`target` must be probabilities in \[0, 1\]"):
        loss(z, y)
    assert compiled(z, y).isnan()
