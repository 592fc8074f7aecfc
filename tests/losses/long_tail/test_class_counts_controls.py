"""Planted faults in the losses that use class counts: the checks must notice each of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from kit.cases import Case
from kit.checks import class_counts as checks
from kit.checks import every_loss as loss_checks
from kit.faults import Faults, Plant
from references import Call
from taylored import layers
from taylored.core.terms.elementary import nll
from taylored.core.terms.point import Point
from taylored.core.terms.shifted import Shifted, shifted
from taylored.losses.long_tail import deferred, seesaw
from taylored.losses.margins import balanced_softmax, ldam, logit_adjusted, vector_scaling

INDEX = (7, 5)
ADJUSTED = Case("logit_adjusted(tau=1.7, label_smoothing=0.1)", "index", INDEX)
LDAM = Case("ldam(scale=4)", "index", INDEX)
SCALED = Case("vector_scaling()", "index", INDEX)
SEESAW = Case("seesaw(counts=[900, 250, 40, 7, 1])", "index", INDEX)
DEFERRED = Case("deferred(ldam(scale=2), start=0)", "index", INDEX)

fault = Faults()


@fault(checks.check_logit_adjusted_by_hand)
@fault(checks.check_nothing_to_learn, "logit_adjusted")
@fault(loss_checks.check_value, ADJUSTED, "whole")
def prior_with_the_wrong_sign(patch: pytest.MonkeyPatch) -> None:
    original = logit_adjusted.adjustment
    patch.setattr(logit_adjusted, "adjustment", lambda *a, **k: -original(*a, **k))


@fault(checks.check_post_hoc_undoes_training)
def prior_added_after_training(patch: pytest.MonkeyPatch) -> None:
    """The post-hoc rule alone is turned around."""
    original = logit_adjusted.along
    patch.setattr(logit_adjusted, "along", lambda values, z: -original(values, z))


@fault(checks.check_logit_adjusted_by_hand)
@fault(loss_checks.check_gradient, ADJUSTED, "composed")
def tau_left_out(patch: pytest.MonkeyPatch) -> None:
    original = logit_adjusted.adjustment
    patch.setattr(logit_adjusted, "adjustment", lambda counts, tau, **k: original(counts, 1.0, **k))


@fault(checks.check_zero_counts, "balanced_softmax")
@fault(checks.check_zero_counts, "seesaw")
def logarithm_of_nothing(patch: pytest.MonkeyPatch) -> None:
    def plain(counts: list[float], *, dtype: torch.dtype | None = None) -> Tensor:
        amounts = torch.as_tensor(counts, dtype=torch.float64)
        return torch.log(amounts / amounts.sum()).to(dtype or torch.get_default_dtype())

    for module in (balanced_softmax, seesaw):
        patch.setattr(module, "log_prior", plain)


@fault(checks.check_balanced_softmax_by_hand)
@fault(
    loss_checks.check_identity,
    Call.of("balanced_softmax(counts=[900, 250, 40, 7, 1])"),
    Call.of("logit_adjusted(tau=1, counts=[900, 250, 40, 7, 1])"),
)
def half_the_prior(patch: pytest.MonkeyPatch) -> None:
    original = balanced_softmax.log_prior
    patch.setattr(balanced_softmax, "log_prior", lambda *a, **k: 0.5 * original(*a, **k))


@fault(checks.check_vector_scaling_by_hand)
@fault(loss_checks.check_value, SCALED, "whole")
@fault(loss_checks.check_permutations, Case("vector_scaling()", "index", INDEX), "whole")
def scale_that_belongs_to_another_class(patch: pytest.MonkeyPatch) -> None:
    original = vector_scaling.class_scale
    patch.setattr(vector_scaling, "class_scale", lambda *a, **k: original(*a, **k).flip(0))


@fault(checks.check_vector_scaling_by_hand)
def scale_the_wrong_way_up(patch: pytest.MonkeyPatch) -> None:
    original = vector_scaling.class_scale
    patch.setattr(vector_scaling, "class_scale", lambda *a, **k: 1 / original(*a, **k))


@fault(checks.check_ldam_by_hand)
@fault(loss_checks.check_value, LDAM, "whole")
def margin_of_another_class(patch: pytest.MonkeyPatch) -> None:
    original = ldam.ldam_margins
    patch.setattr(ldam, "ldam_margins", lambda *a, **k: original(*a, **k).flip(0))


@fault(loss_checks.check_value, DEFERRED, "composed")
def shift_in_favour_of_the_truth(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Shifted, "_moved", lambda self, at: Point(at.margin + self.margin))


@fault(checks.check_ldam_by_hand)
def margin_in_favour_of_the_truth(patch: pytest.MonkeyPatch) -> None:
    term = property(lambda self: shifted(nll, -self.scale * self.margins))
    patch.setattr(ldam.LDAMLoss, "term", term)


@fault(checks.check_ldam_by_hand)
def margin_that_is_not_scaled(patch: pytest.MonkeyPatch) -> None:
    term = property(lambda self: shifted(nll, self.margins))
    patch.setattr(ldam.LDAMLoss, "term", term)


@fault(loss_checks.check_gradient, LDAM, "whole")
def margin_without_its_slope(patch: pytest.MonkeyPatch) -> None:
    def slope(self, at: Point) -> tuple[Tensor, Tensor]:
        return self.evaluate(at), at.q

    patch.setattr(Shifted, "evaluate_with_slope", slope)


def wrong_bias(change: Callable[..., Tensor]) -> Plant:
    def plant(patch: pytest.MonkeyPatch) -> None:
        original = seesaw.seesaw_bias
        patch.setattr(seesaw, "seesaw_bias", lambda *a: change(original, *a))

    return plant


@fault(checks.check_seesaw_by_hand)
@fault(loss_checks.check_value, SEESAW, "whole")
def mitigation_of_the_frequent(patch: pytest.MonkeyPatch) -> None:
    wrong_bias(lambda f, z, y, n, p, q: f(z, y, -n, p, q))(patch)


@fault(checks.check_seesaw_by_hand)
def factors_on_the_truth(patch: pytest.MonkeyPatch) -> None:
    def change(f, z, y, n, p, q):
        bias = f(z, y, n, p, q)
        return bias.scatter(1, y, bias.sum(1, keepdim=True))

    wrong_bias(change)(patch)


@fault(checks.check_seesaw_floor)
def compensation_without_a_floor(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(seesaw, "_LOWEST_TRUTH", -1e9)


@fault(loss_checks.check_gradient, SEESAW, "whole")
def compensation_that_is_not_constant(patch: pytest.MonkeyPatch) -> None:
    def change(f, z, y, n, p, q):
        log_p = torch.log_softmax(z, dim=1)
        reached = log_p.gather(1, y).clamp_min(seesaw._LOWEST_TRUTH)
        return f(z, y, n, p, 0.0) + q * (log_p - reached).clamp_min(0.0)

    wrong_bias(change)(patch)


@fault(checks.check_counts_before_use)
def counting_after_use(patch: pytest.MonkeyPatch) -> None:
    count = seesaw.SeesawLoss._count
    forward = seesaw.SeesawLoss.forward

    def late(self, input, target, **options):
        batch = []
        patch.setattr(seesaw.SeesawLoss, "_count", lambda self, *what: batch.append(what))
        value = forward(self, input, target, **options)
        for what in batch:
            count(self, *what)
        return value

    patch.setattr(seesaw.SeesawLoss, "forward", late)


@fault(checks.check_seesaw_untouched)
def counting_in_evaluation(patch: pytest.MonkeyPatch) -> None:
    logs = seesaw.SeesawLoss._log_counts

    def counting(self, input):
        if not self.training:
            self.seen += 1
        return logs(self, input)

    patch.setattr(seesaw.SeesawLoss, "_log_counts", counting)


@fault(checks.check_seesaw_resumes)
def counts_that_are_not_saved(patch: pytest.MonkeyPatch) -> None:
    register = seesaw.SeesawLoss.register_buffer
    patch.setattr(
        seesaw.SeesawLoss,
        "register_buffer",
        lambda self, name, value, persistent=True: register(self, name, value, persistent=False),
    )


@fault(checks.check_schedule)
def weights_from_the_start(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        deferred.DeferredReweightingLoss,
        "_choose",
        lambda self: self.current.copy_(self.weights),
    )


@fault(checks.check_deferred_resumes)
def progress_that_is_not_saved(patch: pytest.MonkeyPatch) -> None:
    original = deferred.DeferredReweightingLoss.setup

    def forgetful(self) -> None:
        original(self)
        self._non_persistent_buffers_set.add("fraction")

    patch.setattr(deferred.DeferredReweightingLoss, "setup", forgetful)


@fault(checks.check_deferred_resumes)
def progress_that_is_loaded_and_not_acted_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deferred, "_in_the_loaded_state", lambda loss, keys: None)


@fault(checks.check_deferred_follows_the_module)
def weights_kept_outside_of_the_module(patch: pytest.MonkeyPatch) -> None:
    """Progress writes into the tensor that the loss had when it was made."""
    first: dict[str, Tensor] = {}
    original = deferred.DeferredReweightingLoss.derive

    def remembering(self) -> None:
        original(self)
        first["weights"] = self.current

    patch.setattr(deferred.DeferredReweightingLoss, "derive", remembering)
    patch.setattr(
        deferred.DeferredReweightingLoss,
        "_choose",
        lambda self: first.get("weights", self.current).copy_(self.weights),
    )


@fault(checks.check_no_recompilation)
def weights_that_change_places(patch: pytest.MonkeyPatch) -> None:
    original = deferred.DeferredReweightingLoss._choose

    def moving(self) -> None:
        self._buffers["current"] = self.current.clone()
        original(self)

    patch.setattr(deferred.DeferredReweightingLoss, "_choose", moving)


@fault(checks.check_cosine_zeros)
@fault(checks.check_cosine_lengths)
def directions_without_a_guard(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        layers, "_directions", lambda v: v / torch.linalg.vector_norm(v, dim=-1, keepdim=True)
    )


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch._dynamo.reset()
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
