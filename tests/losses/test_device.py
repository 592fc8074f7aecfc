"""Every loss on the device of `--device`, a processor or a card: `--device cuda` where one is.

    TAYLORED_GRID=1 python -m pytest tests/losses/test_device.py --device cuda

What is compared with is computed on the processor. Without the option it runs there too, on a few
losses, so that what a card is to show does not rot where there is none.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kit.cases import CLASSES, SHAPES, Case, build, call_of, cases, identified
from kit.checks.every_loss import reference_value_and_gradient
from kit.tolerances import ATOL, GRADIENT_ATOL, GRADIENT_RTOL, RTOL, close
from kit.turns import by_family
from taylored import GradientIndicator, SigmoidEQLLoss, SoftmaxEQLLoss, donate

DTYPE = torch.float32
"""Some devices have nothing wider."""


@pytest.fixture
def device(request: pytest.FixtureRequest) -> torch.device:
    return torch.device(request.config.getoption("--device"))


def found_on(device: torch.device, loss: nn.Module, case: Case) -> tuple[Tensor, Tensor]:
    """Value and gradient, which have to be there."""
    logits = case.logits(DTYPE).to(device).requires_grad_()
    value = loss.to(device)(logits, case.targets().to(device))
    (gradient,) = torch.autograd.grad(value.sum(), logits)
    assert value.device.type == gradient.device.type == device.type
    return value.detach().cpu(), gradient.cpu()


@by_family
@pytest.mark.parametrize(**identified(cases(SHAPES)))
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_value_and_gradient(case: Case, reduction: str, device: torch.device) -> None:
    call = case.call.having(reduction=reduction)
    value, gradient = found_on(device, build(call), case)
    expected, slope = reference_value_and_gradient(call, case.logits(DTYPE), case.targets())
    close(value, expected, RTOL[DTYPE], ATOL[DTYPE])
    close(gradient.double(), slope, GRADIENT_RTOL[DTYPE], GRADIENT_ATOL[DTYPE])


COMPILED = [
    Case("poly(epsilon=2.0)", "index", SHAPES[2]),
    Case('focal(gamma=2, link="sigmoid")', "soft", SHAPES[0]),
]


@pytest.mark.parametrize(**identified(COMPILED))
def test_compiled(case: Case, device: torch.device) -> None:
    torch._dynamo.reset()
    backend = "aot_eager" if device.type == "cpu" else "inductor"
    compiled = torch.compile(build(case.call).to(device), fullgraph=True, backend=backend)
    for got, expected in zip(
        found_on(device, compiled, case), found_on(device, build(case.call), case), strict=True
    ):
        close(got, expected, GRADIENT_RTOL[DTYPE], GRADIENT_ATOL[DTYPE])


@pytest.mark.parametrize("kind", [SoftmaxEQLLoss, SigmoidEQLLoss])
def test_states_are_kept_there(kind: type[nn.Module], device: torch.device) -> None:
    case = Case("cross_entropy()", "index", SHAPES[1])
    places = (device, torch.device("cpu"))
    losses = [kind(num_classes=CLASSES) for _ in places]
    for _ in range(3):
        there, here = map(found_on, places, losses, (case, case))
        for got, expected in zip(there, here, strict=True):
            close(got, expected, GRADIENT_RTOL[DTYPE], GRADIENT_ATOL[DTYPE])
    there, here = (loss.indicator for loss in losses)
    assert isinstance(there, GradientIndicator)
    for name, buffer in there.named_buffers():
        assert buffer.device.type == device.type
        close(buffer.cpu().double(), dict(here.named_buffers())[name].double(), 1e-5, 1e-7)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype: torch.dtype, device: torch.device) -> None:
    case = Case("focal(gamma=2)", "index", SHAPES[2])
    gradients = []
    for place in (device, torch.device("cpu")):
        logits = case.logits(dtype).to(place).requires_grad_()
        value = build(case.call).to(place)(logits, case.targets().to(place))
        gradients.append(torch.autograd.grad(value, logits)[0].cpu().float())
    close(*gradients, 1e-2, 1e-4)


def test_donated_logits(device: torch.device) -> None:
    case = Case("focal(gamma=2)", "index", SHAPES[2])
    loss, target = build(case.call).to(device), case.targets().to(device)
    logits = case.logits(DTYPE).to(device).requires_grad_()
    (expected,) = torch.autograd.grad(loss(logits, target), logits)
    (gradient,) = torch.autograd.grad(loss(donate(logits * 1), target), logits)
    close(gradient.cpu(), expected.cpu(), GRADIENT_RTOL[DTYPE], GRADIENT_ATOL[DTYPE])


def test_a_wrong_gradient_is_noticed(device: torch.device, monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("focal(gamma=2)", "index", SHAPES[0])
    loss = build(call_of(case.text))

    class Spoilt(nn.Module):
        def forward(self, logits: Tensor, target: Tensor) -> Tensor:
            logits.register_hook(lambda gradient: 1.001 * gradient)
            return loss(logits, target)

    spoilt = Spoilt()
    monkeypatch.setitem(test_value_and_gradient.__globals__, "build", lambda call: spoilt)
    with pytest.raises(AssertionError):
        test_value_and_gradient(case, "mean", device)
