"""The shared options: defaults, and what is refused whatever the data are."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from taylored import terms
from taylored.core.engine.one_pass import p_t_loss
from taylored.core.plan.options import LINK_NAMES, REDUCTIONS, LinkName, Options, Reduction
from taylored.core.plan.options import check_options as check
from taylored.core.plan.truth_margin import AngularMargin
from taylored.modules.classification import ClassificationLoss


def test_the_lists_are_those_of_the_types() -> None:
    assert get_args(LinkName) == LINK_NAMES
    assert get_args(Reduction) == REDUCTIONS


def test_defaults_are_fine() -> None:
    check(Options())
    check(Options(link="sigmoid", alpha=0.25, pos_weight=2.0, background_index=3))


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("link", Options(link="probit")),  # type: ignore[arg-type]
        ("reduction", Options(reduction="average")),  # type: ignore[arg-type]
        ("normalizer", Options(reduction="sum", normalizer=2.0)),
        ("normalizer", Options(normalizer=-1.0)),
        ("normalizer", Options(normalizer=torch.ones(2))),
        ("label_smoothing", Options(label_smoothing=1.5)),
        ("label_smoothing", Options(label_smoothing=float("nan"))),
        ("temperature", Options(temperature=0.0)),
        ("alpha", Options(link="sigmoid", alpha=2.0)),
        ("alpha", Options(alpha=0.5)),
        ("pos_weight", Options(link="sigmoid", pos_weight=-1.0)),
        ("pos_weight", Options(pos_weight=1.0)),
        ("neg_weight", Options(neg_weight=[1.0, 2.0])),
        ("background_index", Options(background_index=3)),
        ("background_index", Options(link="sigmoid", background_index=-100)),
        ("logit_scale", Options(link="sigmoid", logit_scale=[1.0, 2.0])),
        ("margin", Options(link="sigmoid", margin=AngularMargin(0.5))),
    ],
)
def test_the_option_is_named(name: str, options: Options) -> None:
    with pytest.raises(ValueError, match=f"^`{name}` must be"):
        check(options)


def test_a_loss_that_somebody_derives_is_told_as_well() -> None:
    """The sigmoid link would have left the values alone and multiplied the gradient."""

    class Scaled(ClassificationLoss):
        link = "sigmoid"
        term = terms.nll

        def fill(self, options: Options) -> Options:
            return options._replace(logit_scale=[1.0, 2.0])

    with pytest.raises(ValueError, match="`logit_scale` must be left out with link=.sigmoid.*Fix"):
        Scaled()(torch.zeros(2, 2), torch.ones(2, 2))


def test_parameters_of_the_term_are_not_called_gamma() -> None:
    with pytest.raises(ValueError, match="^`term` must be one number per class"):
        p_t_loss(torch.zeros(2, 3), torch.tensor([0, 1]), terms.power([1.0, 2.0]), Options())
