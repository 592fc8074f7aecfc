"""Expected failures: one message on standard error and an exit code, never a traceback."""

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from taylored.cli.terminal import FAILURE, say

USAGE = 2


@contextmanager
def reported() -> Iterator[None]:
    """Turn the errors of the lab into a message: 2 for the request, 1 for the run."""
    try:
        from taylored.lab.data import DataError
        from taylored.lab.errors import RunError, UsageError
    except ModuleNotFoundError as error:
        fix = 'Install it with: pip install "taylored[lab]"'
        stop(f"this command needs the package {error.name!r}. {fix}", FAILURE)
    with told():
        try:
            yield
        except (DataError, UsageError) as error:
            stop(str(error), USAGE)
        except RunError as error:
            stop(str(error), FAILURE)


@contextmanager
def told() -> Iterator[None]:
    """Turn what any command may meet into a message: files, missing packages, an interrupt."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] == "taylored":
            raise
        stop(str(error), FAILURE)
    except KeyboardInterrupt:
        stop("stopped.", FAILURE)
    except BrokenPipeError:
        raise
    except (OSError, UnicodeError, MemoryError) as error:
        from taylored.lab.errors import described

        stop(f"{described(error)}.", FAILURE)


def stop(message: str, code: int) -> None:
    """Write the message, with nothing in it that could steer a terminal, and leave."""
    from taylored.lab.wording import escaped

    say(escaped(message))
    raise typer.Exit(code)
