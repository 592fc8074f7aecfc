"""The two ways in which a comparison can fail with a message instead of a traceback."""

from taylored import own
from taylored.lab.wording import escaped


class UsageError(ValueError):
    """The request cannot be run as asked; the message says what to change."""

    def __init__(self, message: str) -> None:
        super().__init__(escaped(message))


class RunError(RuntimeError):
    """The run stopped in the middle; what had been finished is kept."""

    def __init__(self, message: str) -> None:
        super().__init__(escaped(message))


def described(error: BaseException) -> str:
    """Kind and message of an exception that somebody else's code has raised.

    It is escaped, as the messages of this module are.

    >>> described(RuntimeError("sixteen is too many")), described(SystemExit(3))
    ('RuntimeError: sixteen is too many', 'it called sys.exit(3)')
    """
    return escaped(own.described(error))
