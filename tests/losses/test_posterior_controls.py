"""Planted faults in the reading of outputs: the checks of `posterior` must notice them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from kit.checks import posterior as checks
from kit.faults import Faults
from kit.population import loss_of_text
from taylored import SeriesLoss, TermLoss, terms
from taylored.core.numerics import SignedLog
from taylored.core.posterior import calibrated, prior, probabilistic
from taylored.core.terms.elementary import NegativeLogLikelihood, Power
from taylored.core.terms.point import Point
from taylored.core.terms.shifted import Shifted
from taylored.modules.vocabulary import SmoothedLoss

FOCAL = "focal(gamma=2)"
SIGMOID = 'focal(gamma=2, link="sigmoid", alpha=0.25)'
SMOOTHED = "cross_entropy(label_smoothing=0.1)"

fault = Faults(RuntimeError)


def _inversion(text: str) -> None:
    checks.check_inversion(loss_of_text(text), 5)


def _stationary(text: str) -> None:
    checks.check_stationary(loss_of_text(text))


def _derivatives(text: str) -> None:
    checks.check_derivatives(loss_of_text(text))


def _layouts(text: str) -> None:
    checks.check_layouts(loss_of_text(text))


def _priors(text: str) -> None:
    checks.check_priors(loss_of_text(text))


def _decisions(text: str) -> None:
    checks.check_decisions(loss_of_text(text))


def _refusal(text: str) -> None:
    checks.check_refusal(loss_of_text(text))


@fault(_inversion, FOCAL)
@fault(_stationary, SIGMOID)
@fault(_inversion, "generalized_jensen_shannon(pi=0.3)")
def gain_without_its_factor_a(patch: pytest.MonkeyPatch) -> None:
    """-p phi' of a power, wrong by a factor: focal loss and whatever else it is in."""
    original = Power.logarithms
    box = calibrated._log_slope

    def wrong(term: Power, at: Point) -> tuple[SignedLog, SignedLog]:
        value, slope = original(term, at)
        return value, SignedLog(slope.log + 0.3, slope.sign)

    patch.setattr(Power, "logarithms", wrong)
    patch.setattr(calibrated, "_log_slope", lambda t, at, x: box(t, at, x) + 1e-3 * at.p)


@fault(_inversion, "cross_entropy()")
def gain_of_cross_entropy_that_is_not_1(patch: pytest.MonkeyPatch) -> None:
    def wrong(term: NegativeLogLikelihood, at: Point) -> tuple[SignedLog, SignedLog]:
        return SignedLog.positive(at.nll.log()), SignedLog.positive(at.log_q + 0.01 * at.p)

    patch.setattr(NegativeLogLikelihood, "logarithms", wrong)


@fault(checks.check_stable, FOCAL)
def logarithms_of_numbers_that_underflow(patch: pytest.MonkeyPatch) -> None:
    def plain(term: Power, at: Point) -> tuple[SignedLog, SignedLog]:
        value, slope = term.evaluate_with_slope(at)
        return SignedLog.of(value), SignedLog.of(slope)

    patch.setattr(Power, "logarithms", plain)


@fault(_stationary, "ldam(scale=4)")
def margins_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Shifted, "logarithms", lambda term, at: term.term.logarithms(at))


@fault(_stationary, "class_balanced(cross_entropy(), beta=0.999)")
@fault(_inversion, "binary_cross_entropy(pos_weight=3)")
def weights_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(calibrated, "_log_weight", lambda weight, x: torch.zeros_like(x))


@fault(_inversion, SMOOTHED)
def smoothing_taken_off_twice(patch: pytest.MonkeyPatch) -> None:
    original = calibrated.log_excess
    patch.setattr(calibrated, "log_excess", lambda shares, even: original(shares, 2 * even))


@fault(checks.check_stable, "balanced_softmax()")
def offset_left_on(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(calibrated, "without_offset", lambda z, axis: z)


@fault(_derivatives, FOCAL)
def gradient_cut(patch: pytest.MonkeyPatch) -> None:
    original = calibrated.margins_of
    patch.setattr(calibrated, "margins_of", lambda z: original(z.detach() + 0.5 * (z - z.detach())))


@fault(_layouts, FOCAL)
def half_precision_in_half_precision(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(calibrated, "computing_dtype", lambda values: values.dtype)


@fault(_priors, FOCAL)
def prior_of_training_left_in(patch: pytest.MonkeyPatch) -> None:
    def none(counts: object, dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(5, dtype=dtype)

    patch.setattr(prior, "log_prior", none)


@fault(_decisions, "balanced_softmax()")
def decision_always_of_the_outputs(patch: pytest.MonkeyPatch) -> None:
    def raw(loss: object, outputs: Tensor, **named: object) -> Tensor:
        return outputs.argmax(dim=1)

    patch.setattr(probabilistic.Probabilistic, "predict", raw)


@fault(_refusal, "ghm(bins=10)")
def refusal_that_says_nothing(patch: pytest.MonkeyPatch) -> None:
    def quiet(loss: str, why: str) -> None:
        raise probabilistic.NoPosteriorError("no")

    patch.setattr(probabilistic, "no_posterior", quiet)


@fault.each
def test_planted_faults_are_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_a_loss_of_ones_own_has_it_without_code() -> None:
    """A term is enough. Whoever computes anything else has to say how it is read."""

    class Half(SmoothedLoss):
        """Half of focal loss."""

        link = "softmax"

        @property
        def term(self) -> terms.Term:
            return 0.5 * terms.power(1.5) * terms.nll

    class Doubled(Half):
        """Twice that, by a way of its own."""

        def evaluate(self, input, target, options):  # type: ignore[no-untyped-def]
            return 2 * super().evaluate(input, target, options)

    checks.check_inversion(Half(label_smoothing=0.1), 4)
    z = torch.randn(3, 4)
    expected = TermLoss(terms.power(1.5) * terms.nll).posterior(z)
    torch.testing.assert_close(Half().posterior(z), expected)
    assert Half().has_posterior
    assert not Doubled().has_posterior
    with pytest.raises(ValueError, match="says no `calibrated`"):
        Doubled().posterior(z)


@pytest.mark.parametrize(
    "term",
    [terms.power(1), terms.power(0.5), terms.series([2.0]), terms.box_cox(1.5), terms.constant(1)],
    ids=str,
)
def test_losses_that_tell_no_probabilities_apart(term: terms.Term) -> None:
    loss = TermLoss(term)
    assert not loss.has_posterior
    with pytest.raises(ValueError, match="not strictly convex in p_t"):
        loss.posterior(torch.zeros(1, 3))


def test_no_number_where_the_loss_rises() -> None:
    loss = SeriesLoss(coefficients=[-0.4, 1.0])  # rises with p beyond p = 0.8
    z = torch.tensor([[0.0, 0.5], [0.0, 4.0]])
    found = loss.posterior(z)
    assert found[0].isfinite().all()
    assert found[1].isnan().all()
    with pytest.raises(ValueError, match="`outputs` must be those of a model trained with"):
        loss.predict(z, prior="train")
    assert loss.predict(z).tolist() == [1, 1]
