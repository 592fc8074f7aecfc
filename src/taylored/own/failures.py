"""What somebody's own code may raise, and the error that says what is wrong with its name."""

from __future__ import annotations

FAILURES = (Exception, SystemExit)
"""What such code may raise; a module that calls `sys.exit` must not end whoever imports it."""


class OwnCodeError(ValueError):
    """A name of somebody's own code leads to nothing that can be used; the message says why."""


def described(error: BaseException) -> str:
    """Kind and message of an exception that somebody else's code has raised.

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
    return f"{kind}: {message}" if message else kind
