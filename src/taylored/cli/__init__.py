"""The command `taylored`."""

import sys


def main() -> None:
    """Run the command line; without its packages, say how to install them."""
    try:
        from taylored.cli.app import app
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] not in ("typer", "click", "rich"):
            raise
        print(
            f"taylored: the command line needs the package {error.name!r}. "
            'Install it with: pip install "taylored[lab]"',
            file=sys.stderr,
        )
        sys.exit(1)
    app(prog_name="taylored")
