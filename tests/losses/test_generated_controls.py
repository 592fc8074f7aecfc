"""Planted faults: every check of the suites must be able to fail."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kit.cases import Case
from kit.checks import every_loss as checks
from kit.executors import torch_alone
from kit.faults import Faults, Plant
from references import Call
from taylored import CrossEntropyLoss, Loss
from taylored.core.links import margins, sigmoid, softmax
from taylored.core.plan import prepare
from taylored.core.terms import elementary, sums_of_powers, truncated_sum
from taylored.core.terms.point import Point
from taylored.core.terms.term import Product

INDEX = (7, 5)
FOCAL = Case("focal(gamma=1.5)", "index", INDEX)
BINARY = Case('focal(gamma=2, link="sigmoid", alpha=0.25)', "multi-hot", INDEX)
SMOOTH = Case("poly(epsilon=2, label_smoothing=0.1)", "index", INDEX)
TAYLOR = Case("taylor(num_terms=700)", "index", INDEX)
BALANCED = Case("class_balanced(cross_entropy(), beta=0.999)", "index", INDEX)
SOFT = Case("focal(gamma=1.5)", "probabilities", INDEX)

fault = Faults()


@fault(checks.check_gradient, FOCAL, "whole")
@fault(checks.check_upstream, FOCAL, "whole")
@fault(checks.check_derivatives, Case("focal(gamma=1.5)", "index", (3, 5)))
def slope_of_the_power_without_p(patch: pytest.MonkeyPatch) -> None:
    def multiply(self, at: Point, value: Tensor, slope: Tensor) -> tuple[Tensor, Tensor]:
        factor = at.q_power(self.exponent)
        return factor * value, factor * (slope + self.exponent * value)

    patch.setattr(elementary.Power, "multiply", multiply)


@fault(checks.check_gradient, FOCAL, "blocked")
@fault(checks.check_vmap, TAYLOR)
def swapped_sign(patch: pytest.MonkeyPatch) -> None:
    original = sums_of_powers.Truncated._slope
    patch.setattr(sums_of_powers.Truncated, "_slope", lambda self, at: -original(self, at))
    nll = elementary.NegativeLogLikelihood.evaluate_with_slope

    def flipped(self, at: Point) -> tuple[Tensor, Tensor]:
        value, slope = nll(self, at)
        return value, -slope

    patch.setattr(elementary.NegativeLogLikelihood, "evaluate_with_slope", flipped)


@fault(checks.check_gradient, FOCAL, "whole")
def product_without_its_second_half(patch: pytest.MonkeyPatch) -> None:
    def slope(self, at: Point) -> tuple[Tensor, Tensor]:
        left, left_slope = self.left.evaluate_with_slope(at)
        right, _ = self.right.evaluate_with_slope(at)
        return left * right, right * left_slope

    patch.setattr(Product, "evaluate_with_slope", slope)


@fault(checks.check_value, FOCAL, "whole")
@fault(checks.check_identity, Call.of("focal(gamma=0)"), Call.of("cross_entropy()"))
def exponent_off_by_one(patch: pytest.MonkeyPatch) -> None:
    original = Point.q_power
    patch.setattr(Point, "q_power", lambda self, exponent: original(self, exponent + 1.0))


@fault(checks.check_weight, FOCAL, "composed")
@fault(checks.check_reductions, BALANCED, "composed")
def weight_inside_p_t(patch: pytest.MonkeyPatch) -> None:
    original = Point.log_p.fget

    def weighted_value(block, plan) -> Tensor:
        z = softmax.adjusted(block, plan)
        margin = margins.margin_of(z, block.target.unsqueeze(1))
        log_p = block.rows * torch.nn.functional.logsigmoid(margin)
        margin = log_p - torch.log(-torch.expm1(log_p.clamp_max(-1e-9)))
        return plan.term.evaluate(Point(margin)).squeeze(1)

    assert original is not None
    patch.setattr(softmax, "value", weighted_value)


@fault(checks.check_value, BINARY, "whole")
@fault(checks.check_gradient, BINARY, "whole")
@fault(checks.check_reductions, BINARY, "blocked")
def alpha_swapped(patch: pytest.MonkeyPatch) -> None:
    original = prepare.outcome_weights
    patch.setattr(prepare, "outcome_weights", lambda options: original(options)[::-1])


def denominators(change: Callable[..., dict[str, object]]) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        original = prepare.denominator_of

        def wrong(reduction, normalizer, *, mean, batch_mean):
            return original(reduction, normalizer, **change(mean=mean, batch_mean=batch_mean))

        patch.setattr(prepare, "denominator_of", wrong)

    return plant


@fault(checks.check_value, BALANCED, "whole")
@fault(checks.check_reductions, BALANCED, "whole")
def mean_over_positions_instead_of_weights(patch: pytest.MonkeyPatch) -> None:
    denominators(lambda mean, batch_mean: {"mean": batch_mean, "batch_mean": batch_mean})(patch)


@fault(checks.check_value, FOCAL, "whole")
@fault(checks.check_ignored, FOCAL, "whole")
def ignored_positions_in_the_denominator(patch: pytest.MonkeyPatch) -> None:
    original = prepare.divided

    def wrong(rows, denominator, normalizer=None):
        return original(rows, None if denominator is None else rows.numel())

    patch.setattr(prepare, "divided", wrong)


@fault(checks.check_nothing_left, FOCAL, "whole")
@fault(checks.check_finite, CrossEntropyLoss(), torch.zeros(2, 3), torch.tensor([-100, -100]))
def empty_batches_divide_by_zero(patch: pytest.MonkeyPatch) -> None:
    def plain(rows, denominator, normalizer=None):
        return rows if denominator is None else rows / torch.as_tensor(denominator).to(rows)

    patch.setattr(prepare, "divided", plain)


@fault(checks.check_ignored, BINARY, "whole")
@fault(checks.check_value, BINARY, "composed")
@fault(checks.check_nothing_left, BINARY, "whole")
def ignored_elements_kept(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sigmoid, "_kept_rows", lambda block, plan: block.rows)


@fault(checks.check_value, SMOOTH, "composed")
@fault(checks.check_identity, Call.of("poly(epsilon=0, gamma=2)"), Call.of("focal(gamma=2)"))
def label_smoothing_on_one_part_only(patch: pytest.MonkeyPatch) -> None:
    original = softmax.value

    def partly(block, plan) -> Tensor:
        if plan.smoothing == 0.0:
            return original(block, plan)
        hard = dataclasses.replace(plan, smoothing=0.0, term=plan.term.right)
        return original(block, dataclasses.replace(plan, term=plan.term.left)) + original(
            block, hard
        )

    patch.setattr(softmax, "value", partly)


@fault(checks.check_value, SMOOTH, "whole")
def label_smoothing_without_the_true_class_s_share(patch: pytest.MonkeyPatch) -> None:
    def mass(block, plan, z: Tensor) -> Tensor:
        even = plan.smoothing / z.shape[1]
        return torch.full_like(z, even).scatter(1, block.target.unsqueeze(1), 1.0 - plan.smoothing)

    patch.setattr(softmax, "_mass", mass)


@fault(checks.check_value, Case("taylor(num_terms=3)", "index", INDEX), "whole")
@fault(
    checks.check_identity,
    Call.of("taylor(num_terms=3)"),
    Call.of("series(coefficients=[1, 0.5, 0.3333333333333333])"),
)
def one_term_too_many(patch: pytest.MonkeyPatch) -> None:
    original = truncated_sum.truncated_sum
    patch.setattr(sums_of_powers, "truncated_sum", lambda q, log_q, n: original(q, log_q, n + 1))


@fault(checks.check_value, TAYLOR, "whole")
def long_sums_without_corrections(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(truncated_sum, "_CORRECTIONS", ())


@fault(checks.check_one_hot, FOCAL, "whole")
@fault(checks.check_gradient, SOFT, "whole")
def soft_gradient_without_the_top_class(patch: pytest.MonkeyPatch) -> None:
    original = softmax._distribution

    def wrong(block, plan, z: Tensor, sums):
        values, gradient = original(block, plan, z, sums)
        return values, gradient.scatter(1, z.argmax(1, keepdim=True), 0.0)

    patch.setattr(softmax, "_distribution", wrong)


@fault(checks.check_permutations, FOCAL, "whole")
def one_class_is_special(patch: pytest.MonkeyPatch) -> None:
    original = softmax.adjusted
    patch.setattr(
        softmax,
        "adjusted",
        lambda block, plan: original(block, plan) + 0.1 * torch.eye(5)[0].double(),
    )


@fault(checks.check_strides, Case("focal(gamma=1.5)", "index", (2, 5, 2, 3)), "blocked")
def blocks_that_forget_the_last_position(patch: pytest.MonkeyPatch) -> None:
    from taylored.core.engine import blocked

    original = blocked.places

    def places(logits: Tensor):
        found = list(original(logits))
        return found[:-1] if not logits.is_contiguous() else found

    patch.setattr(blocked, "places", places)


@fault(checks.check_one_class, FOCAL, "whole")
@fault(checks.check_one_class, Case('focal(link="sigmoid")', "index", INDEX), "whole")
def one_column_is_a_class(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(prepare, "softmax_kind", lambda logits, target: "index")
    patch.setattr(prepare, "sigmoid_kind", lambda logits, target, background: "index")


@fault(checks.check_written_form, "focal(gamma=0.123456789)", [5, 3, 2])
def repr_that_rounds(patch: pytest.MonkeyPatch) -> None:
    original = Loss.__repr__
    patch.setattr(Loss, "__repr__", lambda self: original(self).replace("0.123456789", "0.12"))


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch_alone(monkeypatch)
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
