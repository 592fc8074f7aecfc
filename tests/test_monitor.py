"""GradientRatio: it sees what a loss does to every class, and does nothing to the loss."""

import pytest
import torch
from torch import Tensor, nn

from taylored import GradientRatio, SoftmaxEQLLoss, get

C = 4


def draw(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()


def by_hand(loss, logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the absolute gradient of every class, by loops over autograd's gradient."""
    z = logits.detach().clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(z).sum(), z)
    positive, negative = torch.zeros(C).double(), torch.zeros(C).double()
    for c in range(C):
        size = gradient[:, c].abs()
        positive[c] = (size * truth[:, c]).sum()
        negative[c] = (size * (1 - truth[:, c])).sum()
    return positive, negative


INDEX = torch.tensor([0, 0, 1, 3, -100, 0])
HOT = torch.tensor([[1, 0, 1, 0], [0, 0, 0, 0], [1, 1, 1, 1]])
PIXELS = torch.tensor([[[0, 1], [2, -100]], [[3, 3], [0, 0]]])


def own(z: Tensor, y: Tensor) -> Tensor:
    return (torch.log_softmax(z, 1) ** 2).gather(1, y.clamp(min=0)[:, None]).mean()


CASES = [
    (nn.CrossEntropyLoss(), draw(6, C), INDEX),
    (own, draw(5, C), torch.tensor([0, 1, 2, 3, 3])),
    (get("class_balanced(focal(gamma=0.5), counts=[9, 5, 2, 1])"), draw(6, C), INDEX),
    (get('focal(link="sigmoid", alpha=0.25)'), draw(3, C), HOT),
    (get('poly(link="sigmoid", reduction="none")'), draw(3, C), HOT.double() * 0.8),
    (get("cross_entropy(label_smoothing=0.1)"), draw(2, C, 2, 2), PIXELS),
]


def truth_of(target: Tensor, logits: Tensor) -> Tensor:
    if target.shape == logits.shape:
        return target.double()
    return torch.stack([(target == c).double() for c in range(C)], dim=1)


@pytest.mark.parametrize(("loss", "logits", "target"), CASES)
def test_counts_the_gradient_and_leaves_the_loss_alone(loss, logits, target) -> None:
    monitor = GradientRatio(loss, num_classes=C).double()
    plain = loss(logits, target)
    (expected,) = torch.autograd.grad(plain.sum(), logits)
    value = monitor(logits, target)
    assert torch.equal(value, plain)
    assert torch.equal(torch.autograd.grad(value.sum(), logits)[0], expected)
    positive, negative = by_hand(lambda z: loss(z, target), logits, truth_of(target, logits))
    torch.testing.assert_close(monitor.indicator.positive, positive)
    torch.testing.assert_close(monitor.indicator.negative, negative)
    torch.testing.assert_close(monitor.ratio(), positive / (negative + 1e-10))


def test_training_forwards_only() -> None:
    monitor = GradientRatio(get("cross_entropy"), num_classes=C)
    with torch.no_grad():
        monitor(draw(6, C), INDEX)
    monitor.eval()(draw(6, C), INDEX)
    monitor.train()(draw(6, C).detach(), INDEX)
    assert monitor.indicator.steps == 0
    monitor(draw(6, C), INDEX)
    assert monitor.indicator.steps == 1
    monitor.reset()
    assert torch.equal(monitor.ratio(), torch.ones(C))


def test_logs_scalars_that_a_summary_writer_takes() -> None:
    """The writer's own signature: add_scalar(tag, scalar_value, global_step)."""
    written: list[tuple[str, float, int]] = []

    def add_scalar(tag: str, scalar_value: float, global_step: int) -> None:
        written.append((tag, scalar_value, global_step))

    monitor = GradientRatio(
        nn.CrossEntropyLoss(),
        num_classes=C,
        groups=["head", "head", "tail", "tail"],
        log=lambda scalars, step: [add_scalar(*item, step) for item in scalars.items()],
        every=3,
    )
    for seed in range(7):
        monitor(draw(6, C, seed=seed), INDEX)
    assert [step for _, _, step in written] == [3] * 5 + [6] * 5
    assert {tag for tag, _, _ in written} == {
        f"gradient_ratio/{name}" for name in ("min", "median", "max", "head", "tail")
    }
    assert all(isinstance(value, float) for _, value, _ in written)
    ratio = monitor.ratio()
    assert monitor.scalars()["gradient_ratio/tail"] == ratio[2:].median().item()


def test_a_loss_with_state_counts_once() -> None:
    inner, plain = SoftmaxEQLLoss(num_classes=C), SoftmaxEQLLoss(num_classes=C)
    monitor = GradientRatio(inner, num_classes=C)
    for seed in range(3):
        monitor(draw(6, C, seed=seed), INDEX)
        plain(draw(6, C, seed=seed), INDEX)
    assert torch.equal(inner.indicator.positive, plain.indicator.positive)
    assert inner.indicator.steps == 3


def test_sees_the_long_tail() -> None:
    """Ten samples of a class for one of the other: the rare one is mostly pushed down."""
    monitor = GradientRatio(nn.CrossEntropyLoss(), num_classes=2)
    monitor(torch.zeros(11, 2, requires_grad=True), torch.tensor([0] * 10 + [1]))
    expected = torch.tensor([10.0, 0.1], dtype=torch.float64)
    torch.testing.assert_close(monitor.ratio(), expected, rtol=1e-6, atol=0)


def test_options_reach_the_loss_where_given() -> None:
    monitor = GradientRatio(get("cross_entropy"), num_classes=C)
    logits, weight = draw(6, C), torch.linspace(0, 1, 6).double()
    expected = get("cross_entropy")(logits, INDEX, sample_weight=weight, normalizer=2.0)
    assert torch.equal(monitor(logits, INDEX, sample_weight=weight, normalizer=2.0), expected)


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"num_classes": 0}, "num_classes"),
        ({"num_classes": 3, "groups": ["head"]}, "groups"),
        ({"num_classes": 3, "every": 0}, "every"),
        ({"num_classes": 3, "decay": 0.0}, "decay"),
    ],
)
def test_bad_arguments_are_named(arguments, name) -> None:
    with pytest.raises(ValueError, match=rf"`{name}` must be .*Fix: "):
        GradientRatio(nn.CrossEntropyLoss(), **arguments)


def test_another_number_of_classes_is_named() -> None:
    monitor = GradientRatio(nn.CrossEntropyLoss(), num_classes=3)
    with pytest.raises(ValueError, match="3 classes on axis 1"):
        monitor(draw(6, C), INDEX)
