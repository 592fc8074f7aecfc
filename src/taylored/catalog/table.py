"""The SPEC of every loss, by its name in the catalogue."""

from __future__ import annotations

from collections.abc import Iterator
from types import ModuleType

from taylored import losses
from taylored.modules.base import Loss
from taylored.modules.spec import Spec


def specs_in(package: ModuleType) -> Iterator[Spec]:
    """The SPEC of each loss that a package shows, in its order; `TermLoss` has none."""
    for value in vars(package).values():
        if isinstance(value, type) and issubclass(value, Loss) and "spec" in vars(value):
            yield value.spec


SPECS: dict[str, Spec] = {spec.name: spec for spec in specs_in(losses)}
