"""The X-ray against central differences of a step that was taken, and against planted faults."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kit.steps import difference, step_and_validate
from taylored import catalog
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.plan.options import Options
from taylored.core.terms.elementary import nll, power
from taylored.xray import xray

CLASSES = 4
COUNTS = (40, 12, 5, 2)
GROUPS = ("head", "head", "medium", "tail")
RATE = 0.3


def linear():
    return nn.Linear(6, CLASSES)


def mlp():
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, CLASSES))


class Normalised(nn.Module):
    """Batch statistics, tied parameters, one that is not trained, and one without an effect."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.again = self.first
        self.tied = nn.Linear(6, 6)
        self.tied.weight = self.first.weight
        self.norm = nn.BatchNorm1d(6)
        self.last = nn.Linear(6, CLASSES)
        self.last.bias.requires_grad_(False)
        self.unused = nn.Parameter(torch.ones(3))

    def forward(self, x):
        return self.last(torch.tanh(self.tied(self.again(self.norm(self.first(x))))))


class Pixels(nn.Module):
    """Logits (N, C, S)."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Conv1d(2, CLASSES, 1)

    def forward(self, x):
        return self.mix(x.reshape(len(x), 2, 3))


MODELS = {"linear": linear, "mlp": mlp, "normalised": Normalised, "pixels": Pixels}
LOSSES = (
    "cross_entropy",
    "poly(epsilon=[0.7, -0.2])",
    "focal(gamma=1.5, weight=[1, 2, 0.5, 3])",
    'cross_entropy(weight=[1, 2, 0.5, 3], reduction="batch_mean", ignore_index=1)',
    'taylor(num_terms=3, reduction="sum", ignore_index=2)',
    "balanced_softmax(counts=[40, 12, 5, 2])",
    "logit_adjusted(tau=1.4, counts=[40, 12, 5, 2], weight=[1, 2, 0.5, 3])",
    "class_balanced(focal(gamma=2), beta=0.9, counts=[40, 12, 5, 2])",
    "vector_scaling(gamma=0.2, counts=[40, 12, 5, 2])",
    "brier",
)


def drawn(model, seed=0):
    torch.manual_seed(seed)
    built = MODELS[model]().double()
    shape = (12, 3) if model == "pixels" else (12,)
    parts = [(torch.randn(12, 6).double(), torch.randint(CLASSES, shape)) for _ in range(2)]
    return built.eval(), *parts


taken = partial(step_and_validate, rate=RATE)


def plus_power(base, step, j, only=None):
    """phi_0 + step q^j of the classes in `only`, written with plain operations."""
    loss = catalog.get(base)
    options = loss.options()
    bias = torch.zeros(CLASSES) if options.logit_bias is None else options.logit_bias
    scale = torch.ones(CLASSES) if options.logit_scale is None else options.logit_scale
    weight = torch.ones(CLASSES) if options.weight is None else torch.as_tensor(options.weight)

    def value(logits, target):
        counted = target != options.ignore_index
        truth = torch.where(counted, target, 0)
        factor, added = (
            each.double().reshape(-1, *[1] * (logits.dim() - 2)) for each in (scale, bias)
        )
        q = 1 - torch.softmax(factor * logits + added, 1).gather(1, truth.unsqueeze(1)).squeeze(1)
        weights = weight.double()[truth] * counted
        divisor = {"mean": weights.sum(), "batch_mean": counted.sum(), "sum": 1.0}
        mine = counted if only is None else torch.isin(target, torch.tensor(only))
        added = (weights * mine * q**j).sum() / divisor[options.reduction]
        return loss(logits, target) + step * added

    return value


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("base", LOSSES)
def test_a_coefficient_against_a_step_that_was_taken(model, base):
    built, train, validation = drawn(model)
    seen = xray(built, base, train, validation, learning_rate=RATE, groups=GROUPS)

    def expected(j, only=None):
        return difference(lambda e: taken(built, plus_power(base, e, j, only), train, validation))

    for j in (1, 2, 3, 4):
        assert seen.effect(j).item() == pytest.approx(expected(j), rel=1e-4, abs=1e-11)
    if model not in ("mlp", "pixels"):  # the sums over a class are alike for every model
        return
    j = 1 + LOSSES.index(base) % 4
    for label, found in enumerate(seen.effect_by_class(j).tolist()):
        assert found == pytest.approx(expected(j, [label]), rel=1e-4, abs=1e-11)
    for group, found in seen.effect_by_group(j).items():
        own = [label for label, name in enumerate(GROUPS) if name == group]
        assert found == pytest.approx(expected(j, own), rel=1e-4, abs=1e-11)


PLANTED = {
    "another sign": lambda seen: replace(seen, rate=-seen.rate),
    "no denominator": lambda seen: replace(seen, coefficient=seen.coefficient * 12),
    "no class weights": lambda seen: replace(seen, coefficient=torch.full((12,), 1 / 12).double()),
    "no bias": lambda seen: replace(seen, margin=seen.margin + 0.1),
    "dq in place of dp, of another power": lambda seen: replace(seen, rate=seen.rate * seen.p),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_seen(fault):
    base = LOSSES[6]
    built, train, validation = drawn("mlp")
    seen = xray(built, base, train, validation, learning_rate=RATE)
    expected = difference(lambda e: taken(built, plus_power(base, e, 2), train, validation))
    assert seen.effect(2).item() == pytest.approx(expected, rel=1e-4)
    assert PLANTED[fault](seen).effect(2).item() != pytest.approx(expected, rel=1e-2)


def test_v_is_taken_after_the_step():
    built, train, validation = drawn("mlp")
    seen = xray(built, "cross_entropy", train, validation, learning_rate=RATE)
    before = xray(built, "cross_entropy", train, validation, learning_rate=1e-9)
    assert (before.effect(1) / 1e-9 * RATE).item() != pytest.approx(seen.effect(1).item(), rel=1e-2)


@pytest.mark.parametrize("model", MODELS)
def test_biases_tied_to_counts_and_a_temperature(model):
    built, train, validation = drawn(model)
    logs = torch.tensor(COUNTS).double().log()

    def loss_with(tau, temperature, e):
        def value(logits, target):
            bias = (tau * logs).reshape(-1, *[1] * (logits.dim() - 2))
            return p_t_loss(logits / temperature + bias, target, nll + e * power(2), Options())

        return value

    at = (0.6, 1.3, 0.4)
    numbers = [torch.tensor(each, dtype=torch.float64, requires_grad=True) for each in at[:2]]
    seen = xray(built, loss_with(*at), train, validation, learning_rate=RATE)
    found = seen.effect_of(lambda z: loss_with(*numbers, at[2])(z, train[1]), numbers)
    for index, each in enumerate(found):

        def moved(step, index=index):
            given = [value + step * (place == index) for place, value in enumerate(at)]
            return taken(built, loss_with(*given), train, validation)

        assert each.item() == pytest.approx(difference(moved), rel=1e-4)


def test_of_an_optimizer_that_scales_the_gradient():
    built, train, validation = drawn("mlp")
    scale = {name: torch.rand_like(each) + 0.5 for name, each in built.named_parameters()}
    seen = xray(built, "cross_entropy", train, validation, learning_rate=RATE, scale=scale)
    expected = difference(
        lambda e: taken(built, plus_power("cross_entropy", e, 3), train, validation, scale=scale)
    )
    assert seen.effect(3).item() == pytest.approx(expected, rel=1e-4)


def test_a_model_that_is_a_function():
    built, train, validation = drawn("linear")
    seen = xray(built, "cross_entropy", train, validation, learning_rate=RATE)
    given = {name: each.detach() for name, each in built.named_parameters()}
    same = xray(
        lambda found, x: x @ found["weight"].T + found["bias"],
        F.cross_entropy,
        train,
        validation,
        learning_rate=RATE,
        validation_loss=F.cross_entropy,
        parameters=given,
    )
    torch.testing.assert_close(same.dp, seen.dp)
    assert same.effect(1).item() == pytest.approx(seen.effect(1).item(), rel=1e-9)


def test_nothing_of_the_user_is_changed():
    built, train, validation = drawn("normalised")
    built.train()
    loss = catalog.get("softmax_eql", num_classes=CLASSES)
    before = {name: each.clone() for name, each in built.state_dict().items()}
    random = torch.random.get_rng_state()
    xray(built, loss, train, validation, learning_rate=RATE)
    assert torch.equal(torch.random.get_rng_state(), random)
    assert built.training
    assert built.norm.training
    assert loss.training
    assert float(loss.indicator.positive.sum()) == 0
    assert all(torch.equal(before[name], each) for name, each in built.state_dict().items())
    assert all(each.grad is None for each in built.parameters())
    assert isinstance(built.first.weight, nn.Parameter)
    assert built.tied.weight is built.first.weight


def test_ends_of_p_and_ignored_positions():
    logits = torch.tensor([[800.0, 0.0], [0.0, 800.0], [0.0, torch.nan], [0.0, 0.0]]).double()
    target = torch.tensor([0, 0, -100, 0])
    seen = xray(
        lambda found, x: x + found["shift"] * torch.tensor([1.0, -1.0]),
        "cross_entropy",
        (logits, target),
        (torch.zeros(2, 2).double(), torch.tensor([0, 1])),
        learning_rate=1.0,
        parameters={"shift": torch.ones(()).double()},
    )
    assert seen.p.tolist()[:2] == [1.0, 0.0]
    for j in (0.5, 1, 2):
        assert seen.effects(j).isfinite().all()
        assert seen.effects(j)[2] == 0


def test_the_curve():
    built, train, validation = drawn("mlp")
    base = "cross_entropy(ignore_index=2)"
    seen = xray(built, base, train, validation, learning_rate=RATE, groups=GROUPS)
    curve = seen.curve((0, 0.2, 0.4, 1))
    for group, bins in curve.groups.items():
        own = [label for label, name in enumerate(GROUPS) if name == group and label != 2]
        mine = torch.isin(seen.target, torch.tensor(own)) & (train[1] != 2)
        for low, high, each in zip((0, 0.2, 0.4), (0.2, 0.4, 1), bins, strict=True):
            inside = mine & (seen.p > low) & (seen.p <= high)
            assert (0 if each is None else each.count) == int(inside.sum())
            if each is not None:
                assert each.dp == pytest.approx(float(seen.dp[inside].mean()))
                assert each.total == pytest.approx(float(seen.dp[inside].sum()))


@pytest.mark.parametrize(
    ("changed", "hint"),
    [
        ({"loss": "cross_entropy(label_smoothing=0.1)"}, "label_smoothing"),
        ({"loss": 'cross_entropy(reduction="none")'}, "reduction"),
        ({"loss": "arcface"}, "without a margin"),
        ({"loss": "adaface"}, "and classes alone"),
        ({"loss": "generalized_jensen_shannon"}, "and classes alone"),
        ({"train": (torch.zeros(2, 6).double(), torch.ones(2, 4) / 4)}, "target"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"groups": ["head"]}, "groups"),
        ({"scale": {}}, "scale"),
        ({"model": lambda found, x: x}, "parameters"),
        ({"validation_loss": 'cross_entropy(reduction="none")'}, "reduction"),
    ],
)
def test_mistakes_name_the_argument(changed, hint):
    built, train, validation = drawn("linear")
    given = {"model": built, "loss": "cross_entropy", "learning_rate": RATE, "train": train}
    with pytest.raises(ValueError, match=hint):
        xray(validation=validation, **given | changed)
