"""Checks of what a user asked for, before any time is spent on it."""

import math
from collections.abc import Sequence
from difflib import get_close_matches

from taylored.lab.errors import UsageError


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


def check_weight_decay(value: object) -> None:
    """Refuse anything but finite numbers from 0 on."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise UsageError(f"weight_decay must be a finite number >= 0, got {value!r}.")


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
