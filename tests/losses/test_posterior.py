"""`posterior` undoes every loss: from the least expected loss back to the class probabilities."""

from __future__ import annotations

import pytest
import torch

from kit.catalogued import CLASSIFICATION
from kit.checks import posterior as checks
from kit.population import loss_of_text, posterior_examples

TEXTS = posterior_examples()
FIRST = [text for spec in CLASSIFICATION.values() for text in spec.examples[:1] if text in TEXTS]
OPTIONS = [
    "focal(gamma=[0, 0.5, 1, 2, 5], weight=[1, 2, 3, 4, 5], label_smoothing=0.2)",
    'focal(gamma=[0, 0.5, 1, 2, 5], alpha=[0.1, 0.3, 0.5, 0.7, 0.9], link="sigmoid")',
    "poly(epsilon=[2, -0.4], gamma=1.5, weight=[5, 4, 3, 2, 1])",
    "class_balanced(ldam(counts=[9, 7, 5, 3, 1], scale=2, label_smoothing=0.1), beta=0.9)",
    "deferred(vector_scaling(counts=[9, 7, 5, 3, 1]), beta=0.9, start=0)",
    "softmax_eql(logit_adjusted(counts=[9, 7, 5, 3, 1], weight=[1, 2, 3, 4, 5]))",
    "class_balanced(asymmetric_single_label(), beta=0.9)",
    'class_balanced(poly(link="sigmoid", label_smoothing=0.1, pos_weight=2), beta=0.9)',
    'class_balanced(asymmetric(weight=None), beta=0.9, weighting="class")',
    "hill(label_smoothing=0.1)",
    "poly(epsilon=-1, gamma=2)",
    'poly(epsilon=[-1, -0.5], gamma=0.5, link="sigmoid")',
    "varifocal(alpha=0.3, gamma=1, weight=[1, 2, 3, 4, 5])",
    "generalized_cross_entropy(q=0.5, label_smoothing=0.1, weight=[1, 1, 1, 1, 2])",
]


@pytest.mark.parametrize("classes", [2, 5])
@pytest.mark.parametrize("text", TEXTS)
def test_the_minimum_gives_the_probabilities_back(text: str, classes: int) -> None:
    checks.check_inversion(loss_of_text(text, classes), classes)


@pytest.mark.parametrize("text", FIRST)
def test_of_many_classes(text: str) -> None:
    checks.check_inversion(loss_of_text(text, 50), 50)


@pytest.mark.parametrize("text", OPTIONS)
def test_with_everything_that_the_training_did(text: str) -> None:
    checks.check_inversion(loss_of_text(text), 5)


@pytest.mark.parametrize("text", TEXTS)
def test_any_outputs_are_stationary_for_their_posterior(text: str) -> None:
    checks.check_stationary(loss_of_text(text))


@pytest.mark.parametrize("text", TEXTS + OPTIONS)
def test_any_logit(text: str) -> None:
    checks.check_stable(text)


@pytest.mark.parametrize("text", TEXTS)
def test_derivatives(text: str) -> None:
    checks.check_derivatives(loss_of_text(text))


@pytest.mark.parametrize("text", TEXTS)
def test_layouts_and_precision(text: str) -> None:
    checks.check_layouts(loss_of_text(text))


@pytest.mark.parametrize("text", TEXTS)
def test_priors(text: str) -> None:
    checks.check_priors(loss_of_text(text))


@pytest.mark.parametrize("text", TEXTS)
def test_decisions(text: str) -> None:
    checks.check_decisions(loss_of_text(text))


@pytest.mark.parametrize("text", TEXTS)
def test_nothing_is_counted(text: str) -> None:
    loss = loss_of_text(text)
    before = {name: value.clone() for name, value in loss.state_dict().items()}
    loss.posterior(torch.zeros(3, 5))
    assert all(value.equal(before[name]) for name, value in loss.state_dict().items())


@pytest.mark.parametrize("text", [t for s in CLASSIFICATION.values() for t in s.examples])
def test_a_loss_without_a_posterior_says_why(text: str) -> None:
    if text not in TEXTS:
        checks.check_refusal(loss_of_text(text))
