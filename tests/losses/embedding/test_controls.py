"""Planted faults: the checks of losses of embeddings must be able to fail."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.cases import Case
from kit.checks import embedding as checks
from kit.checks import every_loss, other_calls
from kit.faults import Faults
from kit.other_calls import Subject
from taylored.catalog import parser
from taylored.core.embeddings import pairs
from taylored.core.plan import prepare
from taylored.core.plan.truth_margin import AngularMargin
from taylored.losses.embedding import contrastive, supervised_contrastive
from taylored.modules import embeddings

TEXT, CONTRASTIVE = "supervised_contrastive()", "contrastive()"

fault = Faults(RuntimeError, TypeError, AttributeError, IndexError)


@fault(checks.check_value, TEXT)
def anchors_among_their_positives(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch, "eye", lambda n, **options: torch.zeros(n, n, dtype=torch.bool))


@fault(checks.check_value, TEXT)
@fault(checks.check_nothing_to_compare, TEXT)
def a_mean_over_all_samples(patch: pytest.MonkeyPatch) -> None:
    original = embeddings.reduced

    def other(values: Tensor, how: str, weight, normalizer, counted) -> Tensor:
        return original(values, how, weight, normalizer) + 1e-3

    patch.setattr(embeddings, "reduced", other)


@fault(checks.check_derivatives, CONTRASTIVE)
def a_gradient_that_is_not_that_of_the_value(patch: pytest.MonkeyPatch) -> None:
    original = contrastive.contrastive_anchors

    def leaking(found: pairs.Pairs, margin: float) -> embeddings.OfAnchors:
        values, counted = original(found, margin)
        return embeddings.OfAnchors(
            values + found.cosine.sum() - found.cosine.detach().sum(), counted
        )

    patch.setattr(contrastive, "contrastive_anchors", leaking)


@fault(checks.check_ignored, TEXT)
def ignored_samples_are_compared(patch: pytest.MonkeyPatch) -> None:
    original = pairs.Pairs.of.__func__
    patch.setattr(
        pairs.Pairs,
        "of",
        classmethod(lambda cls, x, labels, ignore: original(cls, x, labels, None)),
    )


@fault(checks.check_length, TEXT)
@fault(checks.check_nothing_to_compare, TEXT)
def lengths_that_overflow(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pairs, "directions", lambda x: x / x.square().sum(-1, keepdim=True).sqrt())


@fault(checks.check_half, TEXT, torch.float16)
def computed_in_half_precision(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(embeddings, "computing_dtype", lambda each: each.dtype)


@fault(checks.check_order, TEXT)
def a_class_that_is_not_like_the_others(patch: pytest.MonkeyPatch) -> None:
    original = supervised_contrastive.supervised_contrastive_anchors

    def favouring(found: pairs.Pairs, temperature: float) -> embeddings.OfAnchors:
        values, counted = original(found, temperature)
        return embeddings.OfAnchors(values * torch.arange(len(values)), counted)

    patch.setattr(supervised_contrastive, "supervised_contrastive_anchors", favouring)


@fault(checks.check_function, TEXT)
def a_function_that_is_another(patch: pytest.MonkeyPatch) -> None:
    import dataclasses

    spec = supervised_contrastive.SPEC
    called = dataclasses.replace(spec, function=lambda x, y, **options: 2 * spec.function(x, y))
    patch.setitem(parser.KNOWN, "supervised_contrastive", called)


@fault(checks.check_refused, TEXT)
def shapes_are_not_looked_at(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(embeddings, "fail", lambda *given: None)


@fault(checks.check_compiled, TEXT)
def numbers_that_differ_when_compiled(patch: pytest.MonkeyPatch) -> None:
    original = embeddings.reduced

    def other(*given: object) -> Tensor:
        return original(*given) * (2.0 if torch.compiler.is_compiling() else 1.0)

    patch.setattr(embeddings, "reduced", other)


# --- margins that depend on the true logit, which the suites of all losses check -----------------

ARC = Case("arcface(margin=0.5, scale=4)", "index", (7, 5))
LARGE = Case("arcface(margin=0.5, scale=4)", "index", (3, 5, 4))
FEATURED = Subject("adaface(margin=0.2, h=1, scale=2)")


@fault(every_loss.check_value, ARC, "whole")
@fault(every_loss.check_value, ARC, "composed")
@fault(every_loss.check_value, LARGE, "blocked")
@fault(other_calls.check_values, FEATURED, (7,), torch.float64)
def no_margin(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AngularMargin, "added", lambda self, logit: torch.zeros_like(logit))


@fault(every_loss.check_gradient, ARC, "whole")
@fault(every_loss.check_gradient, LARGE, "blocked")
@fault(other_calls.check_values, FEATURED, (7,), torch.float64)
def a_margin_without_its_derivative(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(AngularMargin, "growth", lambda self, logit: torch.zeros_like(logit))


@fault(other_calls.check_ignored, FEATURED, (7,))
def norms_of_ignored_samples_are_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(prepare, "harmless", lambda values, nothing: values)


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
