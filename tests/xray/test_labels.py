"""X-rays of the sigmoid link against steps that were taken, and against planted faults."""

from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from kit.steps import difference, step_and_validate
from taylored import catalog
from taylored.xray import xray
from taylored.xray.curve import ANSWER_EDGES

LABELS = 4
COUNTS = [40, 12, 5, 2]
GROUPS = ("head", "head", "medium", "tail")
RATE = 0.3
taken = partial(step_and_validate, rate=RATE, judge=F.binary_cross_entropy_with_logits)


class Pixels(nn.Module):
    """Logits (N, C, S), or (N, S, C) with the labels last."""

    def __init__(self, *, last=False):
        super().__init__()
        self.mix = nn.Conv1d(2, LABELS, 1)
        self.last = last

    def forward(self, x):
        found = self.mix(x.reshape(len(x), 2, 3))
        return found.movedim(1, -1) if self.last else found


MODELS = {
    "rows": lambda: nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, LABELS)),
    "pixels": Pixels,
    "labels last": lambda: Pixels(last=True),
    "one logit": lambda: nn.Linear(6, 1),
    "no axis": lambda: nn.Sequential(nn.Linear(6, 1), nn.Flatten(0)),
}
LOSSES = {
    "binary_cross_entropy": {},
    'poly(epsilon=[0.7, -0.2], link="sigmoid", reduction="sum")': {"divisor": "sum"},
    'focal(gamma=1.5, link="sigmoid", alpha=0.3)': {"yes": [0.3], "no": [0.7]},
    "binary_cross_entropy(weight=[1, 2, 0.5, 3], pos_weight=[3, 1, 0.2, 2])": {
        "yes": [3, 2, 0.1, 6],
        "no": [1, 2, 0.5, 3],
    },
    'taylor(num_terms=3, link="sigmoid", ignore_index=-1)': {"ignored": -1},
    'binary_cross_entropy(ignore_index=-1, reduction="batch_mean")': {
        "ignored": -1,
        "divisor": "rows",
    },
    "ecm(counts=[40, 12, 5, 2], num_samples=50)": {
        "bias": [(n / (50 - n)) ** 0.125 for n in COUNTS],
        "factor": 2.0,
        "yes": [(50 - n) / n * torch.tensor(n / (50 - n)).double().log1p().item() for n in COUNTS],
    },
    "asymmetric": {},
    "distribution_balanced(counts=[40, 12, 5, 2], num_samples=50)": {},
    "zlpr": {},
}


def drawn(model, ignored=None, seed=0):
    torch.manual_seed(seed)
    built = MODELS[model]().double()
    parts = []
    for _ in range(2):
        inputs = torch.randn(12, 6).double()
        target = (torch.rand(built(inputs).shape) < 0.3).double()
        parts.append((inputs, target))
    if ignored is not None:
        target = parts[0][1]
        target[torch.rand(target.shape) < 0.2] = ignored
        target[3] = ignored  # a whole row
    return built, *parts


def plus_power(base, step, j, *, only=None, answer=None, **read):
    """phi_0 + step q^j of the labels in `only` with this answer, written with plain operations."""
    loss = catalog.get(base)

    def value(logits, target):
        ignored, divisor = read.get("ignored", -100), read.get("divisor", "elements")
        axis = 1 if logits.dim() > 1 else 0
        shape = [-1, *[1] * (logits.dim() - 2)] if logits.dim() > 1 else [-1]

        def along(name, default):
            return torch.tensor(read.get(name, [default])).double().reshape(shape)

        yes, counted = target == 1, target != ignored
        moved = read.get("factor", 1.0) * (logits + along("bias", 1.0).log())
        q = torch.where(yes, torch.sigmoid(-moved), torch.sigmoid(moved))
        positive = along("yes", 1.0)
        weights = torch.where(yes, positive, along("no", 1.0) if "no" in read else positive)
        mine = counted if answer is None else counted & (yes == answer)
        if only is not None:
            labels = torch.arange(logits.shape[1]).reshape(shape)
            mine = mine & torch.isin(labels, torch.tensor(only))
        amount = {
            "sum": 1.0,
            "elements": counted.sum(),
            "rows": counted.any(axis).sum(),
        }[divisor]
        return loss(logits, target) + step * (weights * mine * q**j).sum() / amount

    return value


@pytest.mark.parametrize("base", LOSSES)
def test_a_coefficient_against_a_step_that_was_taken(base):
    read = LOSSES[base]
    for model in ("rows", "pixels"):
        built, train, validation = drawn(model, read.get("ignored"))
        seen = xray(built, base, train, validation, learning_rate=RATE, groups=GROUPS)
        expected = partial(expected_effect, built, train, validation, base, read)
        for j in (0.5, 1, 2, 3):
            assert seen.effect(j).item() == pytest.approx(expected(j), rel=1e-4, abs=1e-11)
    for answer, (name, part) in zip((True, False), seen.outcomes().items(), strict=True):
        assert name == ("positives" if answer else "negatives")
        for label, found in enumerate(part.effect_by_class(2).tolist()):
            wanted = expected(2, only=[label], answer=answer)
            assert found == pytest.approx(wanted, rel=1e-4, abs=1e-11)
        for group, found in part.effect_by_group(1).items():
            own = [label for label, each in enumerate(GROUPS) if each == group]
            wanted = expected(1, only=own, answer=answer)
            assert found == pytest.approx(wanted, rel=1e-4, abs=1e-11)


def expected_effect(built, train, validation, base, read, j, **which):
    def at(step):
        return taken(built, plus_power(base, step, j, **which, **read), train, validation)

    return difference(at)


@pytest.mark.parametrize("model", ["one logit", "no axis"])
@pytest.mark.parametrize("base", ["binary_cross_entropy(pos_weight=3)", "asymmetric"])
def test_one_logit_for_yes_or_no(model, base):
    built, train, validation = drawn(model)
    read = {"yes": [3.0], "no": [1.0]} if "pos_weight" in base else {}
    seen = xray(built, base, train, validation, learning_rate=RATE)
    for answer, part in zip((True, False), seen.outcomes().values(), strict=True):
        wanted = expected_effect(built, train, validation, base, read, 2, answer=answer)
        assert part.effect(2).item() == pytest.approx(wanted, rel=1e-4)
        assert list(part.effect_by_group(2)) == ["all"]


def test_labels_on_the_last_axis():
    built, train, validation = drawn("labels last")
    seen = xray(built, "binary_cross_entropy(class_dim=-1, weight=[1, 2, 0.5, 3])", train,
                validation, learning_rate=RATE)  # fmt: skip
    first = Pixels().double()
    first.load_state_dict(built.state_dict())
    (inputs, target), (others, answers) = train, validation
    same = xray(
        first,
        "binary_cross_entropy(weight=[1, 2, 0.5, 3])",
        (inputs, target.movedim(-1, 1)),
        (others, answers.movedim(-1, 1)),
        learning_rate=RATE,
    )
    torch.testing.assert_close(seen.effect_by_class(2), same.effect_by_class(2))


def test_targets_of_every_kind_are_one():
    built, train, validation = drawn("rows")
    hot = torch.arange(12) % (LABELS + 1)
    rows = F.one_hot(hot, LABELS + 1)[:, :LABELS]
    base = "binary_cross_entropy(background_index=4)"
    wanted = xray(
        built, "binary_cross_entropy", (train[0], rows.double()), validation, learning_rate=RATE
    )
    given = {
        "whole numbers": ("binary_cross_entropy", rows),
        "bool": ("binary_cross_entropy", rows.bool()),
        "classes and background": (base, hot),
        "torch's own": (nn.BCEWithLogitsLoss(), rows.double()),
    }
    for name, (loss, target) in given.items():
        found = xray(built, loss, (train[0], target), validation, learning_rate=RATE)
        torch.testing.assert_close(found.effect_by_class(2), wanted.effect_by_class(2), msg=name)
        assert torch.equal(found.positive, wanted.positive), name


def test_the_weights_of_torchs_own_loss_are_read():
    built, train, validation = drawn("rows")
    base = "binary_cross_entropy(pos_weight=[3, 1, 0.2, 2])"
    wanted = xray(built, base, train, validation, learning_rate=RATE)
    given = nn.BCEWithLogitsLoss(pos_weight=torch.tensor([3, 1, 0.2, 2]).double())
    found = xray(built, given, train, validation, learning_rate=RATE)
    torch.testing.assert_close(found.coefficient, wanted.coefficient)
    torch.testing.assert_close(found.effect_by_class(2), wanted.effect_by_class(2))


def test_a_function_has_the_link_that_it_says_or_that_the_target_shows():
    built, train, validation = drawn("rows")
    wanted = xray(built, "binary_cross_entropy", train, validation, learning_rate=RATE)

    def own(logits, target):
        return F.binary_cross_entropy_with_logits(logits, target)

    found = xray(built, own, train, validation, learning_rate=RATE)
    assert found.effect(2).item() == pytest.approx(wanted.effect(2).item())
    single = (train[0], F.one_hot(torch.arange(12) % LABELS).double())
    with pytest.raises(ValueError, match='loss.link = "sigmoid"'):
        xray(built, own, single, validation, learning_rate=RATE)
    own.link = "sigmoid"
    wanted = xray(built, "binary_cross_entropy", single, validation, learning_rate=RATE)
    found = xray(built, own, single, validation, learning_rate=RATE)
    assert found.effect(2).item() == pytest.approx(wanted.effect(2).item())


PLANTED = {
    "p of yes for every element": lambda seen: replace(
        seen, margin=torch.where(seen.positive, seen.margin, -seen.margin)
    ),
    "negatives move as positives do": lambda seen: replace(
        seen, rate=torch.where(seen.positive, seen.rate, -seen.rate)
    ),
    "a mean over rows": lambda seen: replace(seen, coefficient=seen.coefficient * LABELS),
    "no weights": lambda seen: replace(
        seen, coefficient=torch.full_like(seen.coefficient, 1 / 12 / LABELS)
    ),
}


@pytest.mark.parametrize("fault", PLANTED)
def test_a_planted_fault_is_seen(fault):
    base = "binary_cross_entropy(weight=[1, 2, 0.5, 3], pos_weight=[3, 1, 0.2, 2])"
    built, train, validation = drawn("rows")
    seen = xray(built, base, train, validation, learning_rate=RATE)
    wanted = expected_effect(built, train, validation, base, LOSSES[base], 2)
    assert seen.effect(2).item() == pytest.approx(wanted, rel=1e-4)
    assert PLANTED[fault](seen).effect(2).item() != pytest.approx(wanted, rel=1e-2)


def test_positives_and_negatives_have_curves_of_their_own():
    built, train, validation = drawn("rows", ignored=-100)
    seen = xray(built, "binary_cross_entropy", train, validation, learning_rate=RATE, groups=GROUPS)
    logits, y = built(train[0]).detach(), train[1]
    torch.testing.assert_close(
        seen.p.reshape(y.shape)[y >= 0], torch.sigmoid(torch.where(y == 1, logits, -logits))[y >= 0]
    )
    for answer, part in zip((1, 0), seen.outcomes().values(), strict=True):
        curve = part.curve()
        assert curve.edges == ANSWER_EDGES
        for group, bins in curve.groups.items():
            own = [label for label, name in enumerate(GROUPS) if name == group]
            mine = (y == answer)[:, own]
            p, dp = (each.reshape(y.shape)[:, own][mine] for each in (seen.p, seen.dp))
            assert sum(each.count for each in bins if each) == int(mine.sum())
            for low, high, each in zip(ANSWER_EDGES, ANSWER_EDGES[1:], bins, strict=False):
                inside = (p > low) & (p <= high)
                assert (each is None) == (not inside.any())
                if each is not None:
                    assert each.dp == pytest.approx(float(dp[inside].mean()))
                if each is not None and each.count > 1:
                    error = float(dp[inside].std()) / each.count**0.5
                    assert each.error == pytest.approx(error, rel=1e-6, abs=1e-12)


def test_ends_of_p_and_elements_that_count_for_nothing():
    inf, nan = torch.inf, torch.nan
    logits = torch.tensor([[800.0, -800.0], [-inf, inf], [nan, 0.0]]).double()
    target = torch.tensor([[1.0, 1.0], [0.0, 0.0], [-100.0, 1.0]]).double()
    seen = xray(
        lambda found, x: x + found["shift"],
        "binary_cross_entropy",
        (logits, target),
        (torch.zeros(2, 2).double(), torch.tensor([[0.0, 1.0], [1.0, 1.0]]).double()),
        learning_rate=1.0,
        parameters={"shift": torch.zeros(2).double()},
    )
    assert seen.p.tolist() == [1.0, 0.0, 1.0, 0.0, 0.5, 0.5]
    for j in (0.5, 1, 2):
        assert seen.effects(j).isfinite().all()
        assert seen.effects(j)[4] == 0
    counts = [
        sum(each.count for each in part.curve().groups["all"] if each)
        for part in seen.outcomes().values()
    ]
    assert counts == [3, 2]


@pytest.mark.parametrize(
    ("changed", "hint"),
    [
        ({"loss": "binary_cross_entropy(label_smoothing=0.1)"}, "label_smoothing"),
        ({"loss": 'binary_cross_entropy(reduction="none")'}, "reduction"),
        ({"train": (torch.zeros(2, 6).double(), torch.full((2, 4), 0.5))}, "0 or 1 .* got 0.5"),
        ({"groups": ["head"]}, "groups"),
        ({"loss": "cross_entropy"}, "target"),
    ],
)
def test_mistakes_name_the_argument(changed, hint):
    built, train, validation = drawn("rows")
    given = {"loss": "binary_cross_entropy", "learning_rate": RATE, "train": train}
    with pytest.raises(ValueError, match=hint):
        xray(built, validation=validation, **given | changed)
