"""`taylored env`: what losses run on here, and why."""

import json
import sys
from typing import Annotated

import typer

from taylored.kernels import SETTING
from taylored.kernels.environment import Environment, Serving, environment


def env(
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Show what losses run on here: versions, threads, executors.

    For example: TAYLORED_EXECUTORS=blocked,whole taylored env
    """
    found = environment()
    if as_json:
        sys.stdout.write(json.dumps(found.to_dict(), indent=2) + "\n")
        return
    for name, value in _facts(found):
        typer.echo(f"{name:<20}{value}")
    typer.echo("\nexecutors, in the order in which they are asked")
    for executor in found.executors:
        typer.echo(f"  {executor.name:<9}{_sentence(executor)}")


def _facts(found: Environment) -> tuple[tuple[str, str], ...]:
    return (
        ("taylored", found.taylored),
        ("torch", found.torch),
        ("Python", f"{found.python} on {found.system}"),
        ("CPU capability", found.cpu_capability),
        ("threads", f"{found.threads} (torch.set_num_threads)"),
        ("C++ compiler", found.compiler or "none when the package was installed"),
        (SETTING, found.setting or "not set: all executors"),
    )


def _sentence(executor: Serving) -> str:
    if executor.serves:
        return f"serves: {executor.detail}"
    return f"does not serve: {executor.detail}; fix: {executor.fix}"
