"""Checks of what a user asked for, before any time is spent on it."""

import math
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any

from taylored.lab.errors import UsageError
from taylored.lab.trial_result import DECAYS


def check_choice(name: str, value: object, options: Sequence[str]) -> None:
    """Refuse a value that is not one of the options.

    >>> check_choice("metric", "acuracy", ("accuracy", "tail"))
    Traceback (most recent call last):
    taylored.lab.errors.UsageError: metric must be one of accuracy, tail, got 'acuracy'. Did you ...
    """
    if value in options:
        return
    close = get_close_matches(str(value), options, n=1)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise UsageError(f"{name} must be one of {', '.join(options)}, got {value!r}.{hint}")


def check_integer(name: str, value: object, *, least: int) -> None:
    """Refuse anything but None and integers from `least` on."""
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise UsageError(f"{name} must be an integer >= {least}, got {value!r}.")


def check_learning_rate(lr: object) -> None:
    """Refuse anything but None and positive numbers."""
    if lr is None:
        return
    if isinstance(lr, bool) or not isinstance(lr, int | float) or not 0 < lr < math.inf:
        raise UsageError(f"lr must be a finite number > 0, got {lr!r}.")


def weight_decays(given: object) -> tuple[float, ...]:
    """The weight decays to try, one if there is nothing to choose; a UsageError for others.

    >>> weight_decays(0.02), weight_decays([0.1, 0]), weight_decays("tune")
    ((0.02,), (0.0, 0.1), (0.001, 0.01, 0.1))
    """
    if given == "tune":
        return DECAYS
    several = isinstance(given, Sequence) and not isinstance(given, str)
    values: list[Any] = [*given] if several else [given]  # type: ignore[misc]
    for value in values:
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not 0 <= value < math.inf:
            raise UsageError(
                "weight_decay must be a finite number >= 0, a list of such numbers to choose from, "
                f"or 'tune', got {given!r:.80}."
            )
    if not values:
        raise UsageError("weight_decay must hold at least one number, got an empty list.")
    return tuple(sorted({float(value) for value in values}))


def check_time_limit(seconds: object) -> None:
    """Refuse anything but None and positive numbers."""
    if seconds is None:
        return
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise UsageError(f"time_limit must be a number of seconds > 0, got {seconds!r}.")


def check_losses(losses: object) -> None:
    """Refuse anything but None and a sequence of names, functions, modules and classes."""
    if losses is None:
        return
    if isinstance(losses, str) or not isinstance(losses, Sequence):
        raise UsageError(f"losses must be a list of losses, got {losses!r:.80}.")
    for loss in losses:
        if callable(loss) or (isinstance(loss, str) and loss.strip()):
            continue
        raise UsageError(
            "losses must be names such as 'focal(gamma=2)' or 'my_module:my_loss', loss modules, "
            f"or functions (logits, target) -> scalar, got {loss!r:.80}."
        )


def check_model_given(model: object) -> None:
    """Refuse anything but a name and a function that builds a model."""
    if not isinstance(model, str) and not callable(model):
        raise UsageError(
            "model must be a name such as 'mlp' or 'my_module:my_model', or a function "
            f"(input_shape, num_classes) -> nn.Module, got {model!r:.80}."
        )
