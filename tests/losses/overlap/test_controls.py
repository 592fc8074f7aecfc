"""Planted faults in the overlap losses: the suite must notice them."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from kit.checks import overlap as checks
from kit.faults import Faults
from kit.overlap import Case
from taylored.core.overlap import batch, blocked, lovasz, reduced, skeleton, sums
from taylored.losses.overlap import dice, focal_tversky, tversky
from taylored.modules.overlap import base, call

DICE = Case("dice()")
BY_SAMPLE = Case('dice(average="sample")')
SOFT = Case('dice(link="sigmoid", exponent=2)', "soft")
TVERSKY = Case("tversky()")
LOVASZ = Case("lovasz_softmax()")
LINES = Case('cldice(link="sigmoid")', "multi-hot", (2, 3, 2, 2))

fault = Faults(RuntimeError, pytest.fail.Exception)


@fault(checks.check_value, DICE, "blocked")
@fault(checks.check_half, DICE, torch.bfloat16, "blocked")
@fault(checks.check_derivatives, Case("dice()", shape=(2, 3, 2, 2)))
@fault(checks.check_layouts, DICE, "blocked")
def gradient_without_the_other_classes(patch: pytest.MonkeyPatch) -> None:
    original = blocked._gradient

    def alone(piece: blocked._Piece, factors: Tensor, link: str, *rest: object) -> None:
        original(piece, factors, "sigmoid", *rest)

    patch.setattr(blocked, "_gradient", alone)


@fault(checks.check_soft_targets_learn, SOFT)
@fault(checks.check_compiled, SOFT)
@fault(checks.check_transforms, SOFT)
def composed_with_another_square(patch: pytest.MonkeyPatch) -> None:
    original = sums.composed

    def wrong(given: batch.Batch, squares: bool) -> Tensor:
        found = original(given, squares)
        return torch.cat([found[:1].detach(), found[1:]])

    patch.setattr(sums, "composed", wrong)


@fault(checks.check_value, DICE, "blocked")
@fault(checks.check_class_weights, DICE, "blocked")
def mean_over_all_classes(patch: pytest.MonkeyPatch) -> None:
    original = call.reduced
    ratios = reduced.Ratios

    def all_of_them(given: batch.Batch, found: ratios, options: object) -> Tensor:
        return original(given, found, options) * 0.9

    patch.setattr(call, "reduced", all_of_them)


@fault(checks.check_class_weights, DICE, "blocked")
@fault(checks.check_refused, DICE)
def class_weights_left_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reduced, "class_weights", lambda weight, like: None)
    patch.setattr(reduced, "per_class", lambda *given: None)


@fault(checks.check_weights, DICE, "blocked")
@fault(checks.check_weights, BY_SAMPLE, "blocked")
def sample_weights_left_out(patch: pytest.MonkeyPatch) -> None:
    original = call.read_batch
    patch.setattr(
        call,
        "read_batch",
        lambda logits, target, given: original(logits, target, given._replace(sample_weight=None)),
    )


@fault(checks.check_ignored, DICE, "blocked")
@fault(checks.check_nothing, DICE, "blocked")
def ignored_positions_that_count(patch: pytest.MonkeyPatch) -> None:
    original = blocked._piece

    def counting(given: batch.Batch, *rest: object) -> blocked._Piece:
        found = original(given, *rest)
        return replace(found, w=torch.ones_like(found.w))

    patch.setattr(blocked, "_piece", counting)
    patch.setattr(batch.Batch, "counted", lambda self: torch.ones(self.groups, self.classes))


@fault(checks.check_samples_that_count_for_nothing, BY_SAMPLE, "blocked")
def samples_of_weight_nothing_are_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(batch.Batch, "of_counted_samples", lambda self: self)


@fault(checks.check_normalizer, DICE)
def no_normalizer(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(reduced, "check_reduction", lambda reduction, normalizer: None)


@fault(checks.check_extremes, DICE, "blocked")
def exponentials_of_the_logits_themselves(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch.Tensor, "amax", lambda self, **given: self.sum(**given) * 0)


@fault(checks.check_inputs_stay, DICE, "blocked")
def logits_that_are_written_to(patch: pytest.MonkeyPatch) -> None:
    original = blocked._piece

    def writing(given: batch.Batch, *rest: object) -> blocked._Piece:
        with torch.no_grad():
            given.logits.mul_(1.5)
        return original(given, *rest)

    patch.setattr(blocked, "_piece", writing)


@fault(checks.check_value, TVERSKY, "blocked")
@fault(checks.check_function, Case("tversky(alpha=0.1)"))
def prices_that_are_swapped(patch: pytest.MonkeyPatch) -> None:
    original = tversky.tversky_cost
    calls: list[int] = []

    def swapped(found: sums.Sums, alpha: float, beta: float) -> Tensor:
        calls.append(1)
        return original(found, beta, alpha) if len(calls) % 2 else original(found, alpha, beta)

    patch.setattr(tversky, "tversky_cost", swapped)


@fault(checks.check_value, LOVASZ, "blocked")
def errors_in_the_wrong_order(patch: pytest.MonkeyPatch) -> None:
    original = lovasz._steps
    patch.setattr(lovasz, "_steps", lambda errors, y, w: original(-errors, y, w))


@fault(checks.check_value, LINES, "blocked")
def skeleton_of_one_erosion_less(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(skeleton, "_opened", lambda volume: skeleton._eroded(volume))


@fault(checks.check_ones_in_half_precision, DICE, "blocked")
def sums_in_half_precision(patch: pytest.MonkeyPatch) -> None:
    original = blocked.Blocked.sums
    patch.setattr(
        blocked.Blocked, "sums", lambda self, *given: original(self, *given).half().double()
    )


@fault(checks.check_derivatives, Case("focal_tversky()", shape=(2, 3, 2, 2)))
def power_without_its_derivative(patch: pytest.MonkeyPatch) -> None:
    original = focal_tversky.safe_power
    patch.setattr(
        focal_tversky, "safe_power", lambda cost, exponent: cost * original(cost, 0.1).detach()
    )


@fault.each
def test_faults_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("taylored.kernels.overlap.NativeOverlap.accepts", lambda self, batch: False)
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_been_seen_to_fail() -> None:
    assert fault.not_noticing(checks) - {"check_same"} == set()


def test_the_module_reads_its_own_cost() -> None:
    assert dice.DiceLoss.cost is not base.RegionLoss.cost
