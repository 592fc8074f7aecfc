"""The one exception of the data loaders."""

from taylored.lab.wording import escaped


class DataError(ValueError):
    """The data cannot be used as they are; the message says what came and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__(escaped(message))
