"""Extreme logits, in every dtype: finite in value, gradient and curvature, and right."""

from __future__ import annotations

import math

import hypothesis.strategies as st
import mpmath as mp
import pytest
import torch
from hypothesis import example, given
from torch import Tensor

from kit.cases import COUNTS, GENERATED, build, call_of, examples, quickly, target_kinds
from kit.checks.every_loss import check_finite, value_and_gradient
from kit.drawn_calls import calls_of
from kit.executors import PATHS
from kit.parameters import fields_of
from kit.turns import WHOLE_GRID, by_family
from references import Call
from taylored import TermLoss, catalog, terms

DTYPES = (torch.float32, torch.bfloat16, torch.float16)
EDGES = (-1e4, -1000.0, -104.0, -88.8, -17.0, -1e-3, 0.0, 1e-7, 1.0, 11.1, 37.0, 90.0, 745.0, 1e4)
C = 5

logit = st.one_of(st.sampled_from(EDGES), st.floats(-1e4, 1e4, width=32))
rows = st.lists(st.lists(logit, min_size=C, max_size=C), min_size=1, max_size=4)

FIXED = (
    [[1e4, -1e4, 0.0, 1e4, -1e4], [1e4] * 5, [-1e4] * 5, [0.0] * 5],
    [[-1e4, 1e4, 1e4, 1e4, 1e4], [1e4, 1e4 - 1, 9e3, -1e4, 0.0]],
    [[89.0, 0.0, 0.0, 0.0, 0.0], [-89.0, 0.0, 0.0, 0.0, 0.0], [17.0, -17.0, 40.0, -40.0, 0.0]],
)

# The rows of all of them, where the targets that count through the classes are those that each
# has in its own batch.
TOGETHER = [*FIXED[0], FIXED[0][0], *FIXED[1], *FIXED[0][:3], *FIXED[2]]


def all_targets(call: Call, logits: Tensor) -> list[Tensor]:
    n, softmax = logits.shape[0], call.link() == "softmax"
    index = torch.arange(n) % C
    ignore = call.option("ignore_index", -100)
    found = [index, (index + 2) % C]
    if ignore is not None:
        found.append(torch.where(index == 0, ignore, index))
    kinds = target_kinds(call)
    if "index" not in kinds:
        found = []
    if not {"probabilities", "soft", "multi-hot"} & set(kinds):
        return found
    hot = torch.nn.functional.one_hot(index, C).float()
    spread = torch.full((n, C), 1.0 / C)
    if softmax or "soft" in kinds:
        found += [hot, 0.9 * hot + 0.1 * spread, spread]
    return found if softmax else [*found, 1 - hot, torch.zeros(n, C), hot.bool()]


def check_everywhere(call: Call, values: list[list[float]], paths: tuple[str, ...] = PATHS) -> None:
    loss = build(call)
    for dtype in DTYPES:
        logits = torch.tensor(values).to(dtype)
        for target in all_targets(call, logits):
            for path in paths:
                check_finite(loss, logits, target, path)


@pytest.mark.parametrize("text", examples())
def test_fixed_extremes(text: str) -> None:
    if WHOLE_GRID:
        for values in FIXED:
            for reduction in ("mean", "none"):
                check_everywhere(call_of(text).having(reduction=reduction), values, PATHS[::2])
    else:
        check_everywhere(call_of(text).having(reduction="none"), TOGETHER, PATHS[::2])
        check_everywhere(call_of(text).having(reduction="mean"), FIXED[0], PATHS[::2])
    check_everywhere(call_of(text), FIXED[0], ("blocked",))


def test_rows_have_the_same_targets_together() -> None:
    starts = (0, 5, 10)
    for start, values in zip(starts, FIXED, strict=True):
        assert TOGETHER[start : start + len(values)] == values
        assert start % C == 0


@pytest.mark.parametrize(
    ("name", "keyword"),
    [
        (name, key)
        for name in GENERATED
        for key, field in fields_of(name).items()
        if field.number is float and math.isinf(field.interval.high) and "gamma" in key
    ],
)
def test_large_exponents(name: str, keyword: str) -> None:
    for gamma in (50.0, 100.0):
        check_everywhere(call_of(f"{name}({keyword}={gamma})"), FIXED[1])


@by_family
@pytest.mark.parametrize("name", GENERATED)
def test_extremes_for_any_parameters(name: str) -> None:
    @quickly
    @given(calls_of(name), rows, st.sampled_from(DTYPES), st.sampled_from(PATHS), st.integers(0, 7))
    def run(
        call: Call, values: list[list[float]], dtype: torch.dtype, path: str, turn: int
    ) -> None:
        loss = build(call)
        logits = torch.tensor(values).to(dtype)
        targets = all_targets(call, logits)
        start = turn % max(1, len(targets))
        for target in targets if WHOLE_GRID else targets[start:][:2]:
            check_finite(loss, logits, target, path)

    run()


@quickly
@given(rows, st.floats(0, 1), st.floats(0.01, 100))
@example(FIXED[0], 0.5, 0.01)
def test_extremes_of_adjusted_logits(
    values: list[list[float]], gamma: float, temperature: float
) -> None:
    term = terms.power(gamma) * terms.nll + terms.truncated(100)
    loss = TermLoss(term, logit_bias=[-5.0, 0, 1, 2, 3], temperature=temperature)
    logits = torch.tensor(values)
    for target in (torch.arange(len(values)) % C, torch.full((len(values), C), 0.2)):
        for path in PATHS:
            check_finite(loss, logits, target, path)


@quickly
@given(calls_of("focal"))
def test_drawn_parameters_survive_the_written_form(call: Call) -> None:
    loss = catalog.get(call.text())
    assert repr(catalog.get(repr(loss))) == repr(loss)


@by_family
@pytest.mark.parametrize("name", GENERATED)
def test_any_parameters_survive_the_written_form(name: str) -> None:
    @quickly
    @given(calls_of(name))
    def run(call: Call) -> None:
        loss = catalog.get(call.text())
        again = catalog.get(repr(loss))
        assert repr(again) == repr(loss)
        assert again.state_dict().keys() == loss.state_dict().keys()
        for key, value in loss.state_dict().items():
            assert torch.equal(again.state_dict()[key], value)

    run()


# --- exact values ------------------------------------------------------------------------------


def exact_phi(call: Call, log_p: mp.mpf, q: mp.mpf) -> mp.mpf:
    """The loss of one outcome, in as many digits as mpmath is set to."""
    given_ = call.arguments
    gamma = given_.get("gamma", 2.0 if call.name == "focal" else 0.0)
    if call.name in ("cross_entropy", "binary_cross_entropy", "balanced_cross_entropy"):
        return -log_p
    if call.name == "focal":
        return -(q ** mp.mpf(gamma)) * log_p
    if call.name == "poly":
        steps = given_.get("epsilon", 1.0)
        steps = steps if isinstance(steps, (list, tuple)) else [steps]
        moved = mp.fsum(mp.mpf(e) * q ** (mp.mpf(gamma) + j) for j, e in enumerate(steps, 1))
        return -(q ** mp.mpf(gamma)) * log_p + moved
    if call.name == "generalized_cross_entropy":
        return -mp.expm1(mp.mpf(given_["q"]) * log_p) / mp.mpf(given_["q"])
    if call.name == "symmetric_cross_entropy":
        a, b = given_.get("direct", 0.1), given_.get("reverse", 1.0)
        return -mp.mpf(a) * log_p + mp.mpf(4.0 * b) * q
    if call.name == "jensen_shannon":
        c = 1 - mp.mpf(given_["pi"])
        mixture = 1 - c * q
        parts = c * mp.exp(log_p) * log_p - mixture * mp.log(mixture)
        return q + parts / (-c * mp.log(c))
    assert call.name in ("taylor", "series")
    if call.name == "taylor":
        coefficients = [mp.mpf(1) / j for j in range(1, given_["num_terms"] + 1)]
    else:
        coefficients = [mp.mpf(a) for a in given_["coefficients"]]
    return q * mp.polyval(coefficients[::-1], q)


EXACT = ("cross_entropy", "binary_cross_entropy", "balanced_cross_entropy", "focal", "poly",
         "taylor", "series", "generalized_cross_entropy", "symmetric_cross_entropy",
         "jensen_shannon")  # fmt: skip
PLAIN = [
    text
    for text in examples()
    if call_of(text).name in EXACT
    and "[0, 0.5" not in text
    and "alpha=[" not in text
    and "smoothing" not in text
]


@pytest.mark.parametrize("text", PLAIN)
@pytest.mark.parametrize("path", PATHS)
def test_extreme_margins_are_exact_in_float64(text: str, path: str) -> None:
    """Against mpmath, where p_t or 1 - p_t is down to e^-700."""
    call = call_of(text).having(reduction="none")
    margins = [-700.0, -300.0, -40.0, -20.0, -3.0, -1e-9, 0.0, 1e-4, 5.0, 17.0, 36.0, 100.0, 600.0]
    x = torch.tensor(margins, dtype=torch.float64)
    softmax = call.link() == "softmax"
    # Far from zero, so that nothing relies on the logits being centred.
    logits = torch.stack([x / 2 + 8, 8 - x / 2], dim=1) if softmax else x.unsqueeze(1)
    target = torch.zeros(len(x), dtype=torch.long) if softmax else torch.ones(len(x), 1).long()
    value, gradient = value_and_gradient(build(call), logits, target, path)
    scale = 1.0
    for name in ("alpha", "pos_weight"):
        scale *= call.option(name) or 1.0
    with mp.workdps(700):
        for i in range(len(margins)):
            exact_x = mp.mpf(float(logits[i, 0])) - (mp.mpf(float(logits[i, 1])) if softmax else 0)

            def phi(u: mp.mpf) -> mp.mpf:
                return exact_phi(call, -mp.log1p(mp.exp(-u)), 1 / (1 + mp.exp(u)))

            expected = scale * phi(exact_x)
            slope = scale * mp.diff(phi, exact_x)
            # Below the smallest double; and where cross-entropy and an epsilon < 0 cancel, digits
            # are lost in proportion to q.
            lost = mp.mpf("1e-305") + ("-1" in text) * mp.mpf("1e-15") / (1 + mp.exp(exact_x))
            found = mp.mpf(value.flatten()[i].item())
            assert abs(found - expected) <= 2e-11 * abs(expected) + lost, margins[i]
            found = mp.mpf(gradient[i, 0].item())
            assert abs(found - slope) <= 2e-11 * abs(slope) + lost, margins[i]


def test_confident_softmax_focal_keeps_its_gradient_in_float32() -> None:
    """Where 1 - p rounds to zero in float32 the gradient is tiny, not zero, and right."""
    for margin in (18.0, 25.0, 40.0):
        logits = torch.tensor([[margin, 0.0]], requires_grad=True)
        catalog.get("focal(gamma=0.5)")(logits, torch.tensor([0])).backward()
        with mp.workdps(40):
            slope = mp.diff(
                lambda u: (1 / (1 + mp.exp(u))) ** 0.5 * mp.log1p(mp.exp(-u)), mp.mpf(margin)
            )
        assert abs(logits.grad[0, 0].item() / float(slope) - 1) < 1e-5


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_logits_are_only_storage(dtype: torch.dtype) -> None:
    """The loss of half logits is the float32 loss of the same numbers."""
    logits = torch.linspace(-40, 40, 60).reshape(12, C).to(dtype)
    target = torch.arange(12) % C
    for text in examples():
        loss = catalog.get(text, counts=COUNTS).eval()  # losses with state stay in it
        assert torch.equal(loss(logits, target), loss(logits.float(), target))


def test_ties_share_the_gradient() -> None:
    for text in ("cross_entropy", "cross_entropy(label_smoothing=0.3)", "focal(gamma=0.5)"):
        for level in (-1e4, 0.0, 1e4):
            logits = torch.full((1, 4), level, requires_grad=True)
            catalog.get(text)(logits, torch.tensor([1])).backward()
            others = logits.grad[0, [0, 2, 3]]
            torch.testing.assert_close(others, others[:1].expand(3))
            assert others[0] > 0
