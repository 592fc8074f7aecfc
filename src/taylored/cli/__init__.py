"""The command `taylored`."""

import sys
from io import StringIO
from typing import Any


def main() -> None:
    """Run the command line; without its packages, say how to install them."""
    from taylored.cli import terminal

    terminal.prepare()
    terminal.end_on_signals()
    sys.exit(terminal.run(_command))


def _command() -> object:
    """The exit code of the command; None for 0."""
    try:
        import typer

        from taylored.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("typer", "click", "rich"):
            raise
        print(
            f"taylored: the command line needs the package {error.name!r}. "
            'Install it with: pip install "taylored[lab]"',
            file=sys.stderr,
        )
        return 1
    from taylored.lab.wording import escaped

    wrong: Any = next(c for c in typer.BadParameter.__mro__ if c.__name__ == "ClickException")
    try:
        return app(prog_name="taylored", standalone_mode=False)
    except typer.Abort:
        return 1
    except wrong as error:
        text = StringIO()
        error.show(file=text)
        # It quotes what was typed, which may hold characters that steer a terminal.
        print(escaped(text.getvalue()), end="", file=sys.stderr)
        return error.exit_code
