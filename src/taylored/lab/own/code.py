"""The user's own code by name: what `taylored.own` reads, or an object that was handed over."""

from collections.abc import Iterator
from contextlib import contextmanager

from taylored.lab.errors import UsageError
from taylored.lab.own.objects import digest_of, fresh, is_object
from taylored.lab.own.sources import project_sources
from taylored.own import Arguments, OwnCodeError, Reference, found_of, is_reference


def is_own(name: str) -> bool:
    """Whether a name stands for the user's own code.

    >>> is_own("my_losses:tversky"), is_own("__main__.MyLoss()"), is_own("focal(gamma=2)")
    (True, True, False)
    """
    return is_reference(name) or is_object(name)


def load_own(name: str) -> object:
    """What a name stands for: the attribute of the module, or a copy of the object."""
    if not is_reference(name):
        return fresh(name)
    with refused():
        return found_of(Reference.read(name))


def given_arguments(name: str) -> Arguments | None:
    """The arguments in the brackets of a reference; None without brackets, and for objects."""
    if not is_reference(name):
        return None
    with refused():
        return Reference.read(name).arguments()


@contextmanager
def refused() -> Iterator[None]:
    """Names that lead nowhere are a fault of the request."""
    try:
        yield
    except OwnCodeError as error:
        raise UsageError(str(error)) from error


def sources_of(known: frozenset[str], names: tuple[str, ...]) -> dict[str, str]:
    """The files and objects that the names among these which are the user's are made of."""
    own = [name for name in names if is_own(name)]
    if not own:
        return {}
    digests = {name: digest for name in own if (digest := digest_of(name))}
    return {**project_sources(known, own), **digests}
