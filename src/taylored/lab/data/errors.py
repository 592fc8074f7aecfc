"""The one exception of the data loaders."""


class DataError(ValueError):
    """The data cannot be used as they are; the message says what came and what to do."""
