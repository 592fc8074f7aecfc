"""The exact command that repeats a run, for a shell and for Python."""

import shlex
from typing import Final

from taylored.lab.own.objects import is_object
from taylored.lab.run_config import RunConfig

SWITCHES: Final = {"header": "--no-header", "damaged": "--skip-damaged"}
"""Options of `Reading` with two values, which are one switch on the command line."""
OPTION_NAMES: Final = {"categories": "category"}
"""Options of `Reading` that may be given several times, one value each."""


def shell_command(config: RunConfig) -> str | None:
    """The command line; None for a run whose data, losses or model were given in Python."""
    if config.data is None or any(map(is_object, (*config.losses, config.model))):
        return None
    lines = ["taylored compare", *map(shlex.quote, config.losses)]
    for name, value in _options(config):
        text = ",".join(f"{each:g}" for each in value) if isinstance(value, tuple) else str(value)
        lines.append(f"{_option(name)} {shlex.quote(text)}")
    for name, value in config.reading.given().items():
        if name in SWITCHES:
            lines.append(SWITCHES[name])
        else:
            values = value if isinstance(value, tuple) else (value,)
            lines += [f"{_option(name)} {shlex.quote(str(each))}" for each in values]
    if config.budget == "quick":
        lines.append("--quick")
    if config.until == "decided":
        lines.append("--until-decided")
    return " \\\n    ".join(lines)


def python_call(config: RunConfig) -> str:
    """The same as a call; what was given in Python appears as it was called there."""
    names = "".join(f"        {_written(name)},\n" for name in config.losses)
    arguments = [f"[\n{names}    ]"]
    if config.data is None:
        arguments.append("data=(features, labels)")
    arguments += [
        f"{name}={_written(config.model) if name == 'model' else repr(value)}"
        for name, value in _options(config)
    ]
    if config.reading.given():
        arguments.append(f"reading={config.reading!r}")
    if config.budget == "quick":
        arguments.append("budget='quick'")
    if config.until == "decided":
        arguments.append("until='decided'")
    inside = "".join(f"    {argument},\n" for argument in arguments)
    return f"from taylored import lab\n\nresult = lab.compare(\n{inside})"


def _written(name: str) -> str:
    """The name of a loss or model as Python has it; an object that was given has no quotes."""
    return name.removeprefix("__main__.") if is_object(name) else repr(name)


def _option(name: str) -> str:
    return f"--{OPTION_NAMES.get(name, name).replace('_', '-')}"


def _options(config: RunConfig) -> list[tuple[str, object]]:
    """Arguments of `taylored.lab.compare`, under which the command has them too, with values."""
    decays = config.weight_decay
    options: list[tuple[str, object]] = [
        ("data", config.data),
        ("target", config.target),
        ("model", config.model),
        ("metric", config.primary_metric),
        ("repeats", config.repeats),
        ("seed", config.seed),
        ("epochs", config.epochs),
        ("tune_lr", config.tune_lr),
        ("lr", config.learning_rate),
        ("weight_decay", decays if len(decays) > 1 else decays[0]),
    ]
    return [(name, value) for name, value in options if value is not None]
