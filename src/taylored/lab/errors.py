"""The two ways in which a comparison can fail with a message instead of a traceback."""


class UsageError(ValueError):
    """The request cannot be run as asked; the message says what to change."""


class RunError(RuntimeError):
    """The run stopped in the middle; what had been finished is kept."""
