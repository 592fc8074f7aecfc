"""The user's own code by name: `module:attribute`, or an object that was handed over."""

from taylored.lab.own.objects import digest_of, fresh, is_object
from taylored.lab.own.reference import Arguments, arguments_of, is_reference, load_reference
from taylored.lab.own.sources import project_sources


def is_own(name: str) -> bool:
    """Whether a name stands for the user's own code.

    >>> is_own("my_losses:tversky"), is_own("__main__.MyLoss()"), is_own("focal(gamma=2)")
    (True, True, False)
    """
    return is_reference(name) or is_object(name)


def load_own(name: str) -> object:
    """What a name stands for: the attribute of the module, or a copy of the object."""
    return load_reference(name) if is_reference(name) else fresh(name)


def given_arguments(name: str) -> Arguments | None:
    """The arguments in the brackets of a reference; None without brackets, and for objects."""
    return arguments_of(name) if is_reference(name) else None


def sources_of(known: frozenset[str], names: tuple[str, ...]) -> dict[str, str]:
    """The files and objects that the names among these which are the user's are made of."""
    own = [name for name in names if is_own(name)]
    if not own:
        return {}
    digests = {name: digest for name in own if (digest := digest_of(name))}
    return {**project_sources(known, own), **digests}
