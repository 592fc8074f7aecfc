"""The exact command that repeats a run, for a shell and for Python."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

OPTIONS = (
    ("data", "--data", "data"),
    ("target", "--target", "target"),
    ("model", "--model", "model"),
    ("primary_metric", "--metric", "metric"),
    ("seeds", "--seeds", "seeds"),
    ("seed", "--seed", "seed"),
    ("epochs", "--epochs", "epochs"),
    ("tune_lr", "--tune-lr", "tune_lr"),
    ("learning_rate", "--lr", "lr"),
)
"""Key in the config, option of the command, argument of `taylored.lab.compare`."""


def shell_command(config: Mapping[str, Any]) -> str | None:
    """The command line; None for a run whose data were arrays in Python."""
    if config.get("data") is None:
        return None
    lines = ["taylored compare", *(shlex.quote(str(name)) for name in config.get("losses") or [])]
    lines += [
        f"{option} {shlex.quote(str(config[key]))}"
        for key, option, _ in OPTIONS
        if config.get(key) is not None
    ]
    if config.get("budget") == "quick":
        lines.append("--quick")
    return " \\\n    ".join(lines)


def python_call(config: Mapping[str, Any]) -> str:
    """The same as a call; arrays that were given in Python appear as names."""
    names = "".join(f"        {name!r},\n" for name in config.get("losses") or [])
    arguments = [f"[\n{names}    ]"]
    if config.get("data") is None:
        arguments.append("data=(features, labels)")
    arguments += [
        f"{name}={config[key]!r}" for key, _, name in OPTIONS if config.get(key) is not None
    ]
    if config.get("budget") == "quick":
        arguments.append("budget='quick'")
    inside = "".join(f"    {argument},\n" for argument in arguments)
    return f"from taylored import lab\n\nresult = lab.compare(\n{inside})"
