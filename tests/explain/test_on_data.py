"""What a loss does with the outputs of a model, against sums by hand."""

from __future__ import annotations

import pytest
import torch

from taylored import FocalLoss, get
from taylored.explain import Outputs, explain


@pytest.fixture(scope="module")
def outputs() -> Outputs:
    generator = torch.Generator().manual_seed(0)
    target = torch.tensor([0] * 40 + [1] * 15 + [2] * 5)
    logits = torch.randn(60, 3, generator=generator)
    logits[torch.arange(60), target] += 1.0
    return Outputs(logits, target, ("head", "medium", "tail"))


def pushes(outputs: Outputs, loss) -> torch.Tensor:
    z = outputs.logits.double().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(z, outputs.target).sum(), z)
    return gradient.abs().sum(1)


def test_shares_of_bins_and_groups(outputs: Outputs) -> None:
    found = explain("focal(gamma=2)", data=outputs).losses[0].data
    p = outputs.logits.double().softmax(1)[torch.arange(60), outputs.target]
    size = pushes(outputs, FocalLoss(gamma=2, reduction="none"))
    for k in range(10):
        here = (p >= k / 10) & (p < (k + 1) / 10)
        assert found.samples[k] == pytest.approx(here.double().mean().item())
        assert found.gradient[k] == pytest.approx((size[here].sum() / size.sum()).item())
    for label, group in enumerate(("head", "medium", "tail")):
        mine = outputs.target == label
        expected = (mine.double().mean().item(), (size[mine].sum() / size.sum()).item())
        assert found.groups[group] == pytest.approx(expected)


def test_the_first_polynomial_of_cross_entropy_is_p_t_of_the_pull(outputs: Outputs) -> None:
    found = explain("cross_entropy", data=outputs).losses[0].data
    p = outputs.logits.double().softmax(1)[torch.arange(60), outputs.target]
    assert found.first == pytest.approx(((p * (1 - p)).sum() / (1 - p).sum()).item())
    assert explain("balanced_softmax", data=outputs).losses[0].data.first is None


def test_a_loss_that_asks_for_counts_gets_those_of_the_data(outputs: Outputs) -> None:
    found = explain("balanced_softmax", data=outputs).losses[0].data
    loss = get("balanced_softmax", counts=[40, 15, 5])
    size = pushes(outputs, loss)
    tail = size[outputs.target == 2].sum() / size.sum()
    assert found.groups["tail"][1] == pytest.approx(tail.item())


def test_elements_of_the_sigmoid_link(outputs: Outputs) -> None:
    hot = torch.nn.functional.one_hot(outputs.target, 3)
    given = Outputs(outputs.logits, hot, outputs.groups)
    found = explain("binary_cross_entropy", data=given).losses[0].data
    p = torch.where(hot > 0, outputs.logits.sigmoid(), 1 - outputs.logits.sigmoid()).double()
    assert found.counted == 180
    assert sum(found.samples[5:]) == pytest.approx((p > 0.5).double().mean().item())
    easy = (1 - p)[p > 0.5].sum() / (1 - p).sum()  # the gradient of binary cross-entropy is 1 - p
    assert sum(found.gradient[5:]) == pytest.approx(easy.item(), rel=1e-5)


def test_functions_and_modules_are_left_as_they_are(outputs: Outputs) -> None:
    loss = FocalLoss(gamma=2)
    functions = {"module": loss, "torch": torch.nn.functional.binary_cross_entropy_with_logits}
    hot = torch.nn.functional.one_hot(outputs.target, 3)
    assert explain({"module": loss}, data=outputs).losses[0].data.counted == 60
    assert loss.training
    del functions["module"]
    assert explain(functions, data=Outputs(outputs.logits, hot)).losses[0].data.groups == {}


@pytest.mark.parametrize(
    ("logits", "target", "message"),
    [
        (torch.zeros(3), torch.zeros(3), "`logits` must be finite numbers"),
        (torch.full((2, 2), torch.nan), torch.zeros(2).long(), "`logits` must be finite numbers"),
        (torch.zeros(3, 2), torch.zeros(4).long(), "`target` must be class indices"),
        (torch.zeros(2, 2), torch.tensor([0, 2]), r"`target` must be classes in 0\.\.1"),
    ],
)
def test_what_does_not_fit_is_refused(logits, target, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Outputs(logits, target)
