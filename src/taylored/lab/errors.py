"""The two ways in which a comparison can fail with a message instead of a traceback."""

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
    if isinstance(error, SystemExit):
        return f"it called sys.exit({error.code!r})"
    try:
        message = str(error)
    except Exception:  # the message of an exception is the user's code as well
        message = "its message cannot be read"
    kind = type(error).__name__
    return escaped(f"{kind}: {message}" if message else kind)
