"""Packages that only some sources need, imported where they are used."""

from importlib import import_module
from types import ModuleType

from taylored.lab.data.errors import DataError


def require(module: str, *, extra: str, purpose: str) -> ModuleType:
    """Import `module`, or say which extra brings it.

    Only the absence of the package itself is translated: an error inside an installed package
    stays visible.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != module.split(".")[0]:
            raise
        raise missing(module.split(".")[0], extra=extra, purpose=purpose) from error


def missing(package: str, *, extra: str, purpose: str) -> DataError:
    """The error for an optional package that is not installed."""
    return DataError(
        f"{purpose} needs the package {package!r}, which is not installed. "
        f'Install it with: pip install "taylored[{extra}]"'
    )
