"""Public names that are imported when they are first asked for, because they need more packages."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def on_first_use(room: str, homes: Mapping[str, str], *, extra: str) -> Callable[[str], object]:
    """The `__getattr__` of a room.

    Args:
        room: the `__name__` of the room.
        homes: the module that has each public name.
        extra: of this package, which installs what the room needs.

    """

    def get(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {room!r} has no attribute {name!r}")
        try:
            return getattr(import_module(homes[name]), name)
        except ModuleNotFoundError as error:
            if error.name is None or error.name.split(".")[0] == "taylored":
                raise
            raise ModuleNotFoundError(
                f"{room}.{name} needs the package {error.name!r}. "
                f'Install it with: pip install "taylored[{extra}]"',
                name=error.name,
            ) from error

    return get
