"""From the name of a loss to the loss and its head: catalogue strings, and `module:attribute`."""

from collections.abc import Sequence

from taylored import catalog
from taylored.lab.errors import UsageError
from taylored.lab.own.code import is_own
from taylored.lab.trial.links import LossFunction
from taylored.lab.trial.own_loss import build_own_loss


def build_loss(name: str, counts: Sequence[int], num_samples: int | None = None) -> LossFunction:
    """A fresh loss; `counts` (training samples per class) go to the losses that ask for them.

    Where samples have many labels, `num_samples` says what the counts are fractions of.
    """
    if is_own(name):
        return build_own_loss(name, counts)
    try:
        takes = catalog.takes(name)
        known = list(counts) if catalog.needs(name) else None
        loss = catalog.get(name, counts=known, num_samples=num_samples)
    except (ValueError, TypeError, LookupError) as error:
        raise UsageError(f"loss {name!r}: {error}") from error
    if takes != "logits":
        raise UsageError(
            f"loss {name!r} is called on {takes}; a comparison trains classifiers, and needs one "
            "of logits and classes. Fix: pick one of `taylored list` that has a link"
        )
    return loss


def head_of(name: str) -> str:
    """The classifier layer that the loss is made for; your own losses get a linear one."""
    if is_own(name):
        return "linear"
    return catalog.head(name)
