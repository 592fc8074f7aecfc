"""`explain`: from losses to what they do."""

from __future__ import annotations

from taylored.analysis.named import Losses, LossFunction, by_name
from taylored.catalog.certificates import certify
from taylored.certificates.wording import short
from taylored.core.checks import fail
from taylored.explain.explanation import Explanation, LossView
from taylored.explain.on_data import Outputs, on_data
from taylored.explain.optimum import optimum_of
from taylored.explain.parameters import effects_of, knobs_of, varied
from taylored.explain.polynomials import polynomials_of
from taylored.explain.regions import regions_of
from taylored.explain.subject import subject_of
from taylored.explain.views import sides_of, view_of
from taylored.modules.base import Loss
from taylored.modules.classification import ClassificationLoss

MOST = 8
"""Losses on one axis."""


def explain(losses: Losses | str | LossFunction, *, data: Outputs | None = None) -> Explanation:
    r"""What losses do, seen on a single sample whose truth is more or less probable.

    Curves of loss, gradient and gain (the gradient over cross-entropy's), easy and hard regions,
    what each parameter does over its range, the power series, the p of the model that is optimal
    under label noise or smoothing, and what is proved. The loss is looked at unreduced, by a copy
    in evaluation mode: the one that is passed stays as it is.

    Args:
        losses: one or up to eight catalogue texts ("focal(gamma=2)", or a term, "power(2) * nll"),
            names of your own code ("module:Loss(gamma=2)", "path/file.py:Loss"),
            modules or functions `(logits, target) -> loss`; or a mapping of names to them. Losses
            that ask for class counts are shown for classes of 100 and 1 samples.
        data: outputs of a model and the truth, without any training: how p_t is distributed, and
            which samples and groups of classes get the gradient of each loss. None looks at none.

    Returns:
        `Explanation`.

    Raises:
        ValueError: for texts that name no loss, names that repeat, and losses that are not called
            on logits and classes, or that no single sample can show.

    Example:
        Focal loss pushes harder than cross-entropy where the truth has little probability:

        >>> focal = explain("focal(gamma=2)").losses[0]
        >>> print(focal.regions[0].sentences()[1])
        more than cross-entropy for p_t from 0 to 0.3
        >>> found = focal.optimum["all samples"]      # one label in ten is wrong:
        >>> [round(row[2], 2) for row in (found.truth, found.model, found.posterior)]
        [0.9, 0.69, 0.9]

        With two thirds of the samples well on their way, most of it goes to the others:

        >>> import torch
        >>> outputs = Outputs(torch.tensor([[3.0, 0.0], [2.0, 0.0], [1.0, 0.0]]),
        ...                   torch.tensor([0, 0, 1]))
        >>> print(explain("focal(gamma=2)", data=outputs).losses[0].data.sentences()[0])
        easy (p_t > 0.5): 67% of 3, with 1% of the gradient

    Reference:
        Leng et al., PolyLoss, ICLR 2022, section 3: a loss by the gradient of its polynomials.
    """
    single = isinstance(losses, str) or callable(losses)
    found = dict(by_name([losses] if single else losses))  # type: ignore[list-item, arg-type]
    if not 1 <= len(found) <= MOST:
        fail("losses", f"1 to {MOST} of them", len(found), "explain fewer at a time")
    return Explanation(tuple(_explained(loss, name, data) for name, loss in found.items()))


def _explained(asked: str | LossFunction, name: str, data: Outputs | None) -> LossView:
    subject = subject_of(asked, name)
    knobs = knobs_of(subject)
    ends = (varied(subject, [(knob, end)]) for knob in knobs for end in (knob.low, knob.high))
    sides = sides_of(subject, [each for each in ends if each is not None])
    views = tuple(view_of(subject, target, side) for target, side in sides.items())
    loss = subject.loss
    summary = loss.spec.summary if "spec" in vars(type(loss)) and isinstance(loss, Loss) else ""
    return LossView(
        subject=subject,
        summary=summary,
        views=views,
        regions=tuple(map(regions_of, views)),
        effects=tuple(effects_of(subject, knobs, sides)),
        knobs=tuple(knobs),
        polynomials=polynomials_of(loss),
        optimum={side: optimum_of(subject, target) for target, side in sides.items()},
        certificate=_certificate(loss),
        notes=tuple(subject.notes()),
        data=None if data is None else on_data(subject, asked, data),
    )


def _certificate(loss: object) -> tuple[str, ...]:
    if not isinstance(loss, ClassificationLoss):
        return ()
    try:
        return tuple(short(certify(loss).to_dict()))
    except ValueError:  # no function of p_t alone
        return ()
