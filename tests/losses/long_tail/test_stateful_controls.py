"""Planted faults in losses with state: every check must be able to fail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kit.checks import stateful as checks
from kit.executors import torch_alone
from kit.faults import Faults, Plant
from kit.stateful import PLAIN, Subject
from taylored.core.engine import one_pass
from taylored.core.links.class_sums import RunningSums
from taylored.core.plan.options import Options
from taylored.core.state import gradient_indicator
from taylored.core.state.gradient_indicator import GradientIndicator, GradientSums
from taylored.core.terms.term import Term
from taylored.losses.long_tail import equalized_focal, softmax_eql
from taylored.modules import classification as loss_module

SOFTMAX, SIGMOID, FOCAL, QUALITY = PLAIN
# Hard targets only: the rare classes stay without a gradient for some steps.
HARD = Subject("softmax_eql(num_classes=5)")
FORGETTING = Subject("softmax_eql(num_classes=5, decay=0.8)")
# Positive gradients in excess: ratios far above 1.
LIFTED = Subject("equalized_focal(num_classes=5, alpha=0.97, scale=4)")

# Beside failed comparisons: a graph break, and autograd noticing that its inputs were written to.
fault = Faults(torch._dynamo.exc.TorchDynamoException, RuntimeError, pytest.fail.Exception)


def changed_update(change: Callable[[GradientIndicator, GradientSums], GradientSums]) -> Plant:
    """A fault in the sums before they are counted."""

    def plant(patch: pytest.MonkeyPatch) -> None:
        original = GradientIndicator.update
        updated_by(patch, lambda self, sums: original(self, change(self, sums)))

    return plant


def updated_by(
    patch: pytest.MonkeyPatch, update: Callable[[GradientIndicator, GradientSums], None]
) -> None:
    """An update with a fault, which one process that counts alone takes as well."""

    def count(self: GradientIndicator, sums: Tensor, denominator: Tensor | float | None) -> None:
        self.update(GradientSums.undivided(sums, denominator))

    patch.setattr(GradientIndicator, "update", update)
    patch.setattr(GradientIndicator, "count", count)


@fault(checks.check_steps, SIGMOID, 10)
@fault(checks.check_accumulation, SIGMOID)
def counted_alone_without_the_denominator(patch: pytest.MonkeyPatch) -> None:
    original = GradientIndicator.count
    patch.setattr(GradientIndicator, "count", lambda self, sums, _: original(self, sums, None))


@fault(checks.check_steps, FOCAL, 10)
def counted_alone_the_other_way_round(patch: pytest.MonkeyPatch) -> None:
    original = GradientIndicator.count
    patch.setattr(
        GradientIndicator, "count", lambda self, sums, amount: original(self, sums.flip(0), amount)
    )


@fault(checks.check_steps, SOFTMAX, 10)
@fault(checks.check_double_forward, SOFTMAX)
@fault(checks.check_accumulation, SOFTMAX)
def the_mean_s_division_is_missing(patch: pytest.MonkeyPatch) -> None:
    changed_update(lambda self, sums: GradientSums(sums.positive, sums.negative, None))(patch)


@fault(checks.check_steps, SIGMOID, 10)
def a_division_too_many(patch: pytest.MonkeyPatch) -> None:
    def divide(self: GradientIndicator, sums: GradientSums) -> GradientSums:
        amount = sums.denominator
        return GradientSums(sums.positive / amount, sums.negative / amount, amount)

    changed_update(divide)(patch)


@fault(checks.check_steps, FOCAL, 10)
@fault(checks.check_steps, QUALITY, 10)
@fault(checks.check_steps, SOFTMAX, 10, "composed")
def positive_and_negative_swapped(patch: pytest.MonkeyPatch) -> None:
    changed_update(lambda self, s: GradientSums(s.negative, s.positive, s.denominator))(patch)


@fault(checks.check_steps, LIFTED, 20)
def the_ratio_is_not_clamped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        equalized_focal.EqualizedFocalLoss,
        "exponents",
        lambda self: self.gamma + self.scale * (1.0 - self.indicator.ratio()),
    )


@fault(checks.check_steps, HARD, 10)
def the_floor_is_lower(patch: pytest.MonkeyPatch) -> None:
    original = torch.log
    patch.setattr(
        softmax_eql.SoftmaxEQLLoss,
        "logit_bias",
        property(lambda self: self.tau * original(self.indicator.positive.clamp_min(1e-6))),
    )


@fault(checks.check_steps, FORGETTING, 10)
def nothing_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    original = GradientIndicator.__init__

    def init(self: GradientIndicator, *arguments: Any, decay: float = 1.0, **options: Any) -> None:
        original(self, *arguments, decay=1.0, **options)

    patch.setattr(GradientIndicator, "__init__", init)


@fault(checks.check_steps, SOFTMAX, 10, "blocked")
@fault(checks.check_target_forms, FOCAL)
def truths_weigh_more(patch: pytest.MonkeyPatch) -> None:
    def add_truths(self: RunningSums, index: Tensor, pulls: Tensor) -> None:
        hot = torch.zeros_like(self.positive)
        hot.index_add_(0, index.reshape(-1), pulls.reshape(-1).to(hot))
        self.positive.copy_(torch.maximum(self.positive, hot) * 1.5)

    patch.setattr(RunningSums, "_add_truths", add_truths)


@fault(checks.check_weights_are_from_before, SOFTMAX)
@fault(checks.check_weights_are_from_before, SIGMOID)
@fault(checks.check_steps, FOCAL, 10)
@fault(checks.check_double_forward, QUALITY)
def the_state_is_read_after_the_update(patch: pytest.MonkeyPatch) -> None:
    for subject in PLAIN:
        module = type(subject.build())
        patch.setattr(module, "forward", _counted_first(module.forward))


def _counted_first(forward: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def wrong(self: nn.Module, *arguments: Any, **options: Any) -> Tensor:
        value = forward(self, *arguments, **options)
        if not self.indicator.collecting():
            return value
        self.indicator.freeze()
        try:
            return forward(self, *arguments, **options)
        finally:
            self.indicator.unfreeze()

    return wrong


@fault(checks.check_untouched, SIGMOID)
@fault(checks.check_weights_are_from_before, FOCAL)
def validation_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        GradientIndicator,
        "collecting",
        lambda self: not self.frozen and torch.is_grad_enabled(),
    )


@fault(checks.check_untouched, SOFTMAX)
def no_grad_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GradientIndicator, "collecting", lambda self: self.training and not self.frozen)


@fault(checks.check_untouched, FOCAL)
def frozen_counts(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        GradientIndicator, "collecting", lambda self: self.training and torch.is_grad_enabled()
    )


@fault(checks.check_reset, FOCAL)
def reset_keeps_the_steps(patch: pytest.MonkeyPatch) -> None:
    def reset(self: GradientIndicator) -> None:
        self.positive.zero_()
        self.negative.zero_()

    patch.setattr(GradientIndicator, "reset", reset)


@fault(checks.check_round_trip, SOFTMAX, torch.float32)
@fault(checks.check_round_trip, QUALITY, torch.float64)
def saved_with_fewer_digits(patch: pytest.MonkeyPatch) -> None:
    original = GradientIndicator._save_to_state_dict

    def save(self: GradientIndicator, destination: dict, prefix: str, keep_vars: bool) -> None:
        original(self, destination, prefix, keep_vars)
        for name in ("positive", "negative"):
            destination[prefix + name] = destination[prefix + name].bfloat16()

    patch.setattr(GradientIndicator, "_save_to_state_dict", save)


@fault(checks.check_copies, SIGMOID, torch.float32)
def copies_share_the_state(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GradientIndicator, "__deepcopy__", lambda self, memo: self, raising=False)


@fault(checks.check_wide_buffers, SOFTMAX)
def sums_in_half_precision(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(GradientIndicator, "_apply", nn.Module._apply)


@fault(checks.check_loss_scale, SIGMOID)
def sums_in_the_dtype_of_autocast(patch: pytest.MonkeyPatch) -> None:
    def rounded(self: GradientIndicator, sums: GradientSums) -> GradientSums:
        if not torch.is_autocast_enabled("cpu"):
            return sums
        return GradientSums(sums.positive.bfloat16(), sums.negative, sums.denominator)

    changed_update(rounded)(patch)


@fault(checks.check_loss_scale, SOFTMAX)
def collected_in_backward(patch: pytest.MonkeyPatch) -> None:
    """As the official hooks do: the loss scale of mixed precision is in the gradient."""
    original = one_pass.p_t_loss

    def hooked(input: Tensor, target: Tensor, term: Term, options: Options) -> Tensor:
        indicator = options.indicator
        loss = original(input, target, term, options._replace(indicator=None))
        if indicator is None or not indicator.collecting():
            return loss

        def collect(gradient: Tensor) -> None:
            sums = gradient.abs().movedim(1, -1).flatten(0, -2).sum(0)
            indicator.update(GradientSums(sums, sums, None))

        input.register_hook(collect)
        return loss

    patch.setattr(loss_module, "p_t_loss", hooked)


@fault(checks.check_logits_untouched, SOFTMAX)
def the_bias_is_added_in_place(patch: pytest.MonkeyPatch) -> None:
    original = loss_module.p_t_loss

    def counted(input: Tensor, *rest: Any) -> Tensor:
        with torch.no_grad():
            input.add_(0.1)
        return original(input, *rest)

    patch.setattr(loss_module, "p_t_loss", counted)


@fault(checks.check_double_forward, SIGMOID)
def the_same_batch_is_counted_once(patch: pytest.MonkeyPatch) -> None:
    original, last = GradientIndicator.update, []

    def update(self: GradientIndicator, sums: GradientSums) -> None:
        if self.steps == 0:
            original(self, sums)
        last.append(sums)

    updated_by(patch, update)


@fault(checks.check_accumulation, FOCAL)
@fault(checks.check_compile, SOFTMAX, "eager")
def only_the_last_batch_is_kept(patch: pytest.MonkeyPatch) -> None:
    original = GradientIndicator.update

    def update(self: GradientIndicator, sums: GradientSums) -> None:
        if not torch.compiler.is_compiling():
            self.positive.zero_()
        original(self, sums)

    updated_by(patch, update)


@fault(checks.check_compile, SIGMOID, "eager")
def a_host_sync(patch: pytest.MonkeyPatch) -> None:
    original = GradientIndicator.update

    def update(self: GradientIndicator, sums: GradientSums) -> None:
        if sums.positive.sum().item() >= 0:
            original(self, sums)

    updated_by(patch, update)


@fault(checks.check_compile, QUALITY, "aot_eager")
def backward_recomputes_from_the_new_state(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(gradient_indicator, "held", lambda values: values)


@fault(checks.check_batch_sizes, SIGMOID)
@fault(checks.check_compile, FOCAL, "eager")
def a_step_counter_that_recompiles(patch: pytest.MonkeyPatch) -> None:
    original = GradientIndicator.update

    def update(self: GradientIndicator, sums: GradientSums) -> None:
        self.seen = getattr(self, "seen", 0) + 1
        original(self, sums)

    updated_by(patch, update)


@fault(checks.check_functorch, SOFTMAX)
def transforms_are_not_refused(patch: pytest.MonkeyPatch) -> None:
    original = GradientIndicator.update

    def update(self: GradientIndicator, sums: GradientSums) -> None:
        if not torch._C._are_functorch_transforms_active():
            original(self, sums)

    patch.setattr(GradientIndicator, "refuse_side_effects", lambda self: None)
    updated_by(patch, update)


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch_alone(monkeypatch)
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
