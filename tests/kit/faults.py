"""Planted faults: a suite can be trusted where each of its checks has been seen to fail."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
from torch.autograd.gradcheck import GradcheckError

Plant = Callable[[pytest.MonkeyPatch], None]
"""Puts a fault into the package, for the length of one test."""


class Faults:
    """Planted faults, each with a check that has to notice it.

    An instance is a decorator: `@fault(check, *arguments)` above a function that plants a fault.
    """

    def __init__(self, *noticed_by: type[BaseException]) -> None:
        self.noticed_by = (AssertionError, GradcheckError, *noticed_by)
        self.planted: dict[str, tuple[Plant, Callable[..., None], tuple[object, ...]]] = {}

    def __call__(self, check: Callable[..., None], *arguments: object) -> Callable[[Plant], Plant]:
        """Register a fault with a check that has to notice it."""

        def register(plant: Plant) -> Plant:
            name = f"{plant.__name__}-{check.__name__}-{len(self.planted)}"
            self.planted[name] = (plant, check, arguments)
            return plant

        return register

    @property
    def each(self) -> pytest.MarkDecorator:
        """Run a test with the name of each fault."""
        return pytest.mark.parametrize("name", self.planted)

    def must_be_noticed(self, name: str, patch: pytest.MonkeyPatch) -> None:
        """Without the fault the check is content, with it it is not."""
        plant, check, arguments = self.planted[name]
        check(*arguments)
        plant(patch)
        with pytest.raises(self.noticed_by):
            check(*arguments)

    def not_noticing(self, checks: ModuleType) -> set[str]:
        """Names of the checks of a module that no fault has been planted for."""
        noticing: set[Any] = {check for _, check, _ in self.planted.values()}
        known = {name: found for name, found in vars(checks).items() if name.startswith("check_")}
        return {name for name, found in known.items() if found not in noticing}
