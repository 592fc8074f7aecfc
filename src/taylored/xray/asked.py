"""Which losses an X-ray can be taken of, and what it reads of them."""

from __future__ import annotations

from torch import Tensor, nn

from taylored.analysis.named import LossFunction, named
from taylored.core.checks import fail, one_of
from taylored.core.plan.options import LINK_NAMES, LinkName, Options
from taylored.losses.as_loss import as_loss
from taylored.modules.classification import ClassificationLoss


def training_loss(given: str | LossFunction) -> LossFunction:
    """The loss that was asked for; torch's own become ours, which say what they count by."""
    found = built(given)
    torch_has = type(found) in (nn.CrossEntropyLoss, nn.BCEWithLogitsLoss)
    return as_loss(found) if torch_has else found


def built(given: str | LossFunction) -> LossFunction:
    """The loss of a catalogue text or a name of somebody's own code; others as they are."""
    (found,) = named([given]).values()
    return found


def said_link(loss: object) -> LinkName | None:
    """The link that a loss names; None for a function that names none."""
    link: LinkName | None = getattr(loss, "link", None)
    if link is not None:
        one_of("link", link, LINK_NAMES)
    return link


def seen_link(logits: Tensor, target: Tensor) -> LinkName:
    """The link of a function that names none: one truth per label is sigmoid."""
    if target.shape != logits.shape:
        return "softmax"
    if logits.dim() > 1 and logits.shape[1] > 1 and bool((target.sum(dim=1) == 1).all()):
        fail("loss", "a function that names its link, where each row of the target has one 1",
             "no attribute `link`",
             'write loss.link = "sigmoid", or for softmax pass target.argmax(1)')  # fmt: skip
    return "sigmoid"


def options_of(loss: object, link: LinkName) -> Options:
    """The options of a loss that an X-ray can be taken of; refuse every other."""
    options = Options(link=link)
    if isinstance(loss, ClassificationLoss):
        spec = getattr(type(loss), "spec", None)
        if loss._home != 1 or (spec is not None and spec.call == "features"):
            fail("loss", "one that is called on logits (N, C, ...) and classes alone", repr(loss),
                 "take cross_entropy, poly, balanced_softmax, ...")  # fmt: skip
        options = loss.options()
    if options.margin is not None:
        fail("loss", "one without a margin on the true class", repr(loss),
             "take cross_entropy, poly, balanced_softmax, ...")  # fmt: skip
    if options.label_smoothing != 0.0:
        fail("label_smoothing", "0: p is that of the one true class", options.label_smoothing,
             "leave it out")  # fmt: skip
    if options.reduction == "none":
        fail("reduction", "one that gives one number", '"none"', 'use reduction="mean"')
    return options
