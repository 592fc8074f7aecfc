"""What another process could import, and under which name."""

import inspect
import sys
from types import ModuleType

from taylored.own import is_reference


def reference_to(given: object) -> str | None:
    """`module:attribute` by which another process finds a function or class; None without one."""
    if not inspect.isroutine(given) and not isinstance(given, type):
        return None
    name = getattr(given, "__qualname__", "")
    module = sys.modules.get(getattr(given, "__module__", None) or "")
    if module is None or not importable(module) or _attribute(module, name) is not given:
        return None
    text = f"{shortest(given)}:{name}"
    return text if is_reference(text) else None


def importable(module: ModuleType) -> bool:
    """Whether another process with the same path would import this very module.

    `sys.modules` is not asked, because it has the modules of notebooks and test runners as well.
    """
    if module.__name__ == "__main__":
        return False
    path = None
    spec = None
    names = module.__name__.split(".")
    for count in range(1, len(names) + 1):
        name = ".".join(names[:count])
        finders = (finder for finder in sys.meta_path if hasattr(finder, "find_spec"))
        found = (finder.find_spec(name, path) for finder in finders)
        spec = next((each for each in found if each is not None), None)
        if spec is None:
            return False
        path = spec.submodule_search_locations
    return spec is not None and spec.origin == (getattr(module, "__file__", None) or spec.origin)


def shortest(given: object) -> str:
    """The outermost module that has a function or class under its name.

    >>> import torch
    >>> shortest(torch.nn.CrossEntropyLoss)
    'torch.nn'
    """
    module = str(getattr(given, "__module__", "") or "builtins")
    name = getattr(given, "__qualname__", "")
    parts = module.split(".")
    for count in range(1, len(parts)):
        outer = sys.modules.get(".".join(parts[:count]))
        if outer is not None and name in vars(outer) and vars(outer)[name] is given:
            return ".".join(parts[:count])
    return module


def _attribute(found: object, path: str) -> object:
    for part in path.split("."):
        found = getattr(found, part, None)
    return found
