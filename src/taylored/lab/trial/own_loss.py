"""The user's own loss: a function, a module, or a class or function that builds one."""

from collections.abc import Sequence

from taylored.lab.errors import UsageError, described
from taylored.lab.own.code import given_arguments, load_own, refused
from taylored.lab.trial.links import LossFunction
from taylored.own import FAILURES, OwnCodeError, OwnLoss


def build_own_loss(name: str, counts: Sequence[int]) -> LossFunction:
    """The loss behind a name of the user's, which is the loss itself or builds it.

    Every trial has a process of its own, so that a loss, and whatever its module remembers, is
    fresh without a copy; some modules cannot be copied.
    """
    found, arguments = load_own(name), given_arguments(name)
    with refused():
        try:
            return OwnLoss.of(name, found, arguments).build(counts)
        except OwnCodeError:
            raise
        except FAILURES as error:
            raise UsageError(f"loss {name!r}: {described(error)}") from error
