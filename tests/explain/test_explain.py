"""What `explain` says, against closed forms."""

import json
import math

import pytest
import torch

from taylored import FocalLoss, SigmoidEQLLoss, analysis, catalog, get
from taylored.explain import explain

P = (0.05, 0.3, 0.5, 0.8)


@pytest.mark.parametrize("p", P)
def test_curves_of_focal(p):
    (view,) = explain("focal(gamma=2)").losses[0].views
    q = 1 - p
    value, gradient, gain = view.at(p)
    assert value == pytest.approx(-(q**2) * math.log(p), rel=0.01)
    assert gain == pytest.approx(q**2 - 2 * p * q * math.log(p), rel=0.01)
    assert gradient == pytest.approx(gain * q, rel=0.01)


def test_one_batch_gives_the_numbers_of_one_by_one():
    unreduced = FocalLoss(gamma=2, reduction="none")
    together = analysis.gradient_curves({"focal": unreduced}, link="softmax", points=31)
    alone = analysis.gradient_curves({"focal": FocalLoss(gamma=2)}, link="softmax", points=31)
    for name in ("values", "gradients"):
        a, b = getattr(together, name)["focal"], getattr(alone, name)["focal"]
        assert torch.allclose(a, b, rtol=1e-12, atol=1e-15)


def test_a_loss_whose_samples_depend_on_each_other_is_seen_one_by_one():
    def coupled(logits, target):
        values = torch.nn.functional.softplus(-logits)
        return values / values.detach().mean()

    curves = analysis.gradient_curves([coupled], points=11)
    assert torch.allclose(curves.values["coupled"], torch.ones(11, dtype=torch.float64))


def test_sides_are_apart_where_they_differ():
    sides = {
        "focal": ["all samples"],
        "asymmetric": ["positives", "negatives"],
        # Equal as it is given, and not for other values of its parameters.
        "asymmetric(gamma_positive=1, gamma_negative=1, margin=0)": ["positives", "negatives"],
        "logit_adjusted": ["rare class (n = 1)", "frequent class (n = 100)"],
    }
    for loss in explain(list(sides)).losses:
        assert [view.side for view in loss.views] == sides[loss.name]


def test_the_weights_of_classes_are_seen():
    rare, frequent = explain("class_balanced(cross_entropy, beta=0.9)").losses[0].views
    expected = (1 - 0.9**100) / (1 - 0.9)
    assert rare.at(0.5)[2] / frequent.at(0.5)[2] == pytest.approx(expected)


def test_a_sum_is_the_sum_of_its_parts():
    *parts, whole = explain(["dice", "focal", "dice + 0.5 * focal"]).losses
    for p in P:
        dice, focal = (part.views[0].at(p) for part in parts)
        summed = [a + 0.5 * b for a, b in zip(dice, focal, strict=True)]
        # The sum has fewer points, between which lines are straight.
        assert whole.views[0].at(p) == pytest.approx(summed, rel=0.02, abs=0.01)


def test_dice_is_seen_as_it_is_called():
    (view,) = explain("dice").losses[0].views
    loss = get("dice")
    at = int((view.p_t - 0.3).abs().argmin())
    logits = torch.tensor([[0.0, float(view.margins[at])]], dtype=torch.float64)
    assert float(view.value[at]) == pytest.approx(loss(logits, torch.tensor([1])).item())


def test_regions_of_focal_and_of_a_squared_error():
    def squared(logits, target):
        return 0.5 * (logits.sigmoid() - target) ** 2

    focal, plain, error = (
        loss.regions[0] for loss in explain(["focal(gamma=2)", "cross_entropy", squared]).losses
    )
    (amplified,) = focal.amplified
    # q^2 - 2 p q log p = 1 at p = 0.2953.
    assert amplified[1] == pytest.approx(0.295, abs=0.003)
    assert plain.amplified == plain.muted == plain.reversed == ()
    assert plain.easy == pytest.approx(0.25, abs=0.01)
    assert error.peak[0] == pytest.approx(1 / 3, abs=0.02)
    assert error.hard < 0.1


def test_series_of_cross_entropy():
    found = explain("cross_entropy").losses[0].polynomials
    assert found.exponents[:3] == (1, 2, 3)
    assert found.coefficients[:3] == pytest.approx((1, 1 / 2, 1 / 3))
    assert found.remainders[2][2] == pytest.approx(math.log(2) - 0.5 - 0.125)
    assert found.first == pytest.approx(found.p)  # its first polynomial has the gain p
    terms = {(error, low): count for error, low, count in found.needed}
    rest = [math.log(2) - sum(0.5**j / j for j in range(1, n + 1)) for n in range(1, 9)]
    assert terms[0.01, 0.5] == next(n for n, left in enumerate(rest, 1) if left <= 0.01)


@pytest.mark.parametrize(
    "loss",
    ["cross_entropy", "focal(gamma=2)", "poly(epsilon=2)", "asymmetric", "logit_adjusted",
     "balanced_cross_entropy(alpha=0.25)", "ldam(scale=4)"],
)  # fmt: skip
def test_the_posterior_reads_the_optimum_back(loss):
    for found in explain(loss).losses[0].optimum.values():
        inside = [row for row in zip(found.truth, found.posterior, strict=True) if row[1]]
        assert len(inside) >= 5
        for truth, read in inside:
            assert read == pytest.approx(truth, abs=0.003)


def test_a_bounded_loss_has_its_optimum_at_the_end():
    found = explain("taylor(num_terms=1)").losses[0].optimum["all samples"]
    assert found.model[2] > 0.9999
    assert not found.finite[2]
    assert found.posterior[2] is None


def test_a_parameter_is_followed_over_its_range():
    effects = {e.knob.label: e for e in explain("class_balanced(focal)").losses[0].effects}
    gamma = effects["gamma"]
    assert gamma.knob.path == "loss"
    assert 2 in gamma.values
    (search,) = (p.search for p in catalog.spec("focal").parameters if p.name == "gamma")
    assert (gamma.values[0], gamma.values[-1]) == (search.low, search.high)
    easy = [view.at(0.9)[2] for view in gamma.family["rare class (n = 1)"]]
    assert easy == sorted(easy, reverse=True)


def test_the_loss_that_is_passed_stays_as_it_is():
    loss = SigmoidEQLLoss(num_classes=1)
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    explain(loss)
    assert loss.training
    assert loss.reduction == "mean"
    assert all(torch.equal(value, before[name]) for name, value in loss.state_dict().items())


def test_data_is_plain_json():
    found = explain(["jaccard", "poly(epsilon=-1)"])
    read = json.loads(found.to_json())
    assert [loss["name"] for loss in read["losses"]] == ["jaccard", "poly(epsilon=-1)"]
    assert read["losses"][1]["certificate"]
    assert {"views", "regions", "parameters", "series", "optimum"} <= read["losses"][0].keys()


def test_terms_are_explained_as_well():
    term, loss = explain(["power(2) * nll", "focal(gamma=2)"]).losses
    assert term.views[0].at(0.3) == pytest.approx(loss.views[0].at(0.3))


def test_pictures():
    found = explain(["focal", "asymmetric"])
    _, axes = found.draw()
    assert axes.shape == (3, 2)
    assert len(axes[0, 0].get_lines()) == 3
    _, one = found.draw_parameter("gamma")
    assert len(one.get_lines()) == len(found.losses[0].effects[0].values)
    with pytest.raises(ValueError, match="gamma_negative"):
        found.draw_parameter("gama")


@pytest.mark.parametrize(
    ("losses", "hint"),
    [
        ("foc", "Did you mean 'focal'"),
        ("giou", "takes boxes"),
        ("influence_balanced", "features"),
        ("hausdorff", "single sample"),
        ([], "1 to 8"),
        (["focal", "focal"], "different names"),
        ([3], "catalogue texts"),
        ("seesaw(counts=[9, 3, 1])", "2 classes"),
    ],
)
def test_mistakes_are_named(losses, hint):
    with pytest.raises(ValueError, match=hint):
        explain(losses)


def test_smoothing_asks_for_what_half_as_much_noise_asks_for():
    smoothed, plain = explain(["focal(gamma=2, label_smoothing=0.2)", "focal(gamma=2)"]).losses
    view = smoothed.views[0]
    at = int((view.gradient > 0).int().argmin())  # from there on it pushes back
    noisy = dict(
        zip(plain.optimum["all samples"].noise, plain.optimum["all samples"].model, strict=True)
    )
    assert float(view.p_t[at - 1]) <= noisy[0.1] <= float(view.p_t[at])
