"""Losses of scores against scikit-learn's and torch's, what they refuse, and what they tell."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

import taylored
from kit.catalogued import VALUES
from kit.tolerances import close
from references import Call
from taylored import catalog
from taylored.losses.scores.score_loss import ScoreLoss

G = torch.Generator().manual_seed(0)
X = 2 * torch.randn(40, generator=G, dtype=torch.float64)
Y = torch.randint(2, (40,), generator=G)
SIGNS = 2 * Y - 1
Z, LABELS = torch.randn(40, 4, generator=G, dtype=torch.float64), torch.arange(40) % 4
SCORES = [name for name, spec in VALUES.items() if issubclass(spec.module, ScoreLoss)]
READABLE = [name for name in SCORES if catalog.get(name).has_posterior]


def number(value: float) -> torch.Tensor:
    return torch.tensor(float(value), dtype=torch.float64)


SGD = [
    ("hinge()", "Hinge", (1.0,)),
    ("hinge(margin=0.3)", "Hinge", (0.3,)),
    ("perceptron()", "Hinge", (0.0,)),
    ("squared_hinge()", "SquaredHinge", (1.0,)),
    ("modified_huber()", "ModifiedHuber", ()),
]


@pytest.mark.parametrize(("text", "name", "given"), SGD, ids=[text for text, *_ in SGD])
def test_scikit_learn_sgd(text: str, name: str, given: tuple[float, ...]) -> None:
    """Values and slopes, at the kinks too: scikit-learn's slope there is that of the wrong side."""
    peers = pytest.importorskip("sklearn.linear_model._sgd_fast")
    peer = getattr(peers, name)(*given)
    x = torch.cat([X, torch.tensor([0.0, 1.0, -1.0, 1e4, -1e4], dtype=torch.float64)])
    y = torch.cat([SIGNS, torch.tensor([1, 1, 1, -1, -1])])
    leaf = x.clone().requires_grad_()
    loss = catalog.get(Call.of(text).having(reduction="none").text())
    values = loss(leaf, (y + 1) // 2)
    (slopes,) = torch.autograd.grad(values.sum(), leaf)
    for f, t, value, slope in zip(x.tolist(), y.tolist(), values, slopes, strict=True):
        assert value.item() == pytest.approx(peer.py_loss(f, t), rel=1e-12)
        assert slope.item() == pytest.approx(peer.py_dloss(f, t), rel=1e-12)


def test_scikit_learn_metrics() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    numpy = [each.numpy() for each in (Y, X, LABELS, Z)]
    answers, scores, labels, rows = numpy
    close(catalog.get("hinge")(X, Y), number(metrics.hinge_loss(2 * answers - 1, scores)))
    close(catalog.get("zero_one")(X, Y), number(metrics.zero_one_loss(answers, scores > 0)))
    p = torch.sigmoid(X)
    close(catalog.get("logistic")(X, Y), number(metrics.log_loss(answers, p.numpy())))
    close(catalog.get("multiclass_hinge")(Z, LABELS), number(metrics.hinge_loss(labels, rows)))
    brier = metrics.brier_score_loss(labels, Z.softmax(1).numpy(), scale_by_half=False)
    close(catalog.get("brier")(Z, LABELS), number(brier))
    both = torch.stack([torch.zeros_like(X), X], 1)
    close(catalog.get("brier")(both, Y) / 2, number(metrics.brier_score_loss(answers, p.numpy())))


def test_torch() -> None:
    close(catalog.get("logistic")(X, Y), F.soft_margin_loss(X, SIGNS.double()))
    for power in (1, 2):
        for margin in (1.0, 0.4):
            text = f'multiclass_hinge(rivals="mean", power={power}, margin={margin})'
            expected = F.multi_margin_loss(Z, LABELS, p=power, margin=margin)
            close(catalog.get(text)(Z, LABELS), expected)


def test_binary_cross_entropy_is_the_logistic_loss() -> None:
    close(catalog.get("logistic")(X, Y), catalog.get("binary_cross_entropy")(X, Y.double()))


def test_scores_far_from_the_truth() -> None:
    """Finite where the loss is; torch's SoftMarginLoss is infinite from 89 on in float32."""
    far = torch.tensor([-1e4, 1e4], requires_grad=True)
    for name in SCORES:
        values = catalog.get(f'{name}(reduction="none")')(far, torch.ones(2))
        (slopes,) = torch.autograd.grad(values.sum(), far)
        assert not values.isnan().any(), name
        assert not slopes.isnan().any(), name
        assert values[1] == 0, name
        assert values[0].isfinite() == slopes[0].isfinite() == (name != "exponential"), name
    assert F.soft_margin_loss(far, torch.ones(2)).isinf()
    exponential = taylored.ExponentialLoss()
    assert exponential(torch.tensor([-88.0]), torch.ones(1)).isfinite()
    assert exponential(torch.tensor([-89.0]), torch.ones(1)).isinf()
    half = exponential(torch.tensor([-20.0], dtype=torch.float16), torch.ones(1))
    close(half, torch.tensor(20.0).exp(), 1e-6)


@pytest.mark.parametrize("name", SCORES)
def test_answers_of_any_dtype(name: str) -> None:
    loss = catalog.get(name)
    expected = loss(X, Y)
    for target in (Y.bool(), Y.int(), Y.to(torch.uint8), Y.double(), Y.half()):
        assert torch.equal(loss(X, target), expected)


REFUSED = [
    ([-1.0, 1.0], r"`target` must be 0 or 1, got -1. Fix: use \(target \+ 1\) / 2"),
    ([0.3, 1.0], "must be 0 or 1, got 0.3. Fix: use binary_cross_entropy for probabilities"),
    ([-100.0, 1.0], "must be 0 or 1, got -100. Fix: leave positions out by sample_weight=0"),
]


@pytest.mark.parametrize(("target", "message"), REFUSED)
def test_other_answers_are_refused(target: list[float], message: str) -> None:
    given, loss = torch.tensor(target), taylored.HingeLoss()
    for answers in (given,) if given[0] == 0.3 else (given, given.long()):
        with pytest.raises(ValueError, match=message):
            loss(torch.zeros(2), answers)
        with pytest.raises(ValueError, match=message):
            taylored.zero_one_loss(torch.zeros(2), answers)
        assert loss(torch.zeros(2), answers, sample_weight=torch.tensor([0.0, 2.0])) == 1.0


def test_unknown_scores_and_answers_stay_unknown() -> None:
    nan = torch.tensor([float("nan")])
    for name in SCORES:
        assert catalog.get(name)(nan, torch.ones(1)).isnan()
        assert catalog.get(name)(torch.ones(1), nan).isnan()


@pytest.mark.parametrize("name", READABLE)
def test_the_minimum_gives_the_probability_back(name: str) -> None:
    """Where eta is the posterior of a score, the expected loss has no slope there."""
    loss = catalog.get(f'{name}(reduction="sum")')
    x = torch.linspace(-0.95, 0.95, 21, dtype=torch.float64).requires_grad_()
    eta = loss.posterior(x.detach())
    risk = loss(x, torch.ones(21), sample_weight=eta)
    risk = risk + loss(x, torch.zeros(21), sample_weight=1 - eta)
    (slope,) = torch.autograd.grad(risk, x)
    close(slope, torch.zeros_like(slope), 0, 1e-12)
    assert torch.equal(loss.predict(x), eta > 0.5)
    assert loss.posterior(x.detach().half()).dtype == torch.float32
    assert ((p := loss.posterior(1e4 * x.detach())) >= 0).all()
    assert (p <= 1).all()


def test_a_score_without_a_posterior_says_why() -> None:
    for name in {*SCORES} - {*READABLE}:
        loss = catalog.get(name)
        with pytest.raises(taylored.NoPosteriorError, match=loss.why_no_posterior()[:20]):
            loss.posterior(X)
        assert torch.equal(loss.predict(X), X > 0)


def test_scikit_learn_probabilities_of_the_modified_huber_loss() -> None:
    models = pytest.importorskip("sklearn.linear_model")
    features = torch.stack([X, Z[:, 0]], 1).numpy()
    model = models.SGDClassifier(loss="modified_huber", random_state=0).fit(features, Y.numpy())
    scores = torch.from_numpy(model.decision_function(features))
    expected = torch.from_numpy(model.predict_proba(features)[:, 1])
    close(taylored.ModifiedHuberLoss().posterior(scores), expected)
