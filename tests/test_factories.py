"""No tensor is made on whatever the default device happens to be: a context may say "meta"."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import taylored

ROOMS = ("core", "losses", "kernels", "modules", "layers.py", "monitor.py")
FACTORIES = frozenset(
    {"arange", "as_tensor", "asarray", "complex", "empty", "empty_permuted", "empty_strided", "eye"}
    | {"frombuffer", "full", "linspace", "logspace", "ones", "rand", "randint", "randn", "randperm"}
    | {"range", "scalar_tensor", "tensor", "tril_indices", "triu_indices", "zeros"}
)
"""Functions of torch that `torch.set_default_device` and `with torch.device(...)` act on."""


def without_device(source: str) -> list[str]:
    """Calls of factories that leave the device to the surroundings."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "torch"
        and node.func.attr in FACTORIES
        and not any(keyword.arg == "device" for keyword in node.keywords)
    ]


def files() -> list[Path]:
    package = Path(taylored.__file__).parent
    rooms = [package / room for room in ROOMS]
    assert all(room.exists() for room in rooms)
    return [f for room in rooms for f in ([room] if room.is_file() else sorted(room.rglob("*.py")))]


@pytest.mark.parametrize("file", files(), ids=lambda file: f"{file.parent.name}/{file.name}")
def test_every_factory_names_its_device(file: Path) -> None:
    assert without_device(file.read_text(encoding="utf-8")) == []


def test_a_factory_without_a_device_is_found() -> None:
    planted = (
        "def f(x):\n    return x + torch.ones((), dtype=x.dtype) + torch.zeros(3, device='cpu')\n"
    )
    assert without_device(planted) == ["torch.ones((), dtype=x.dtype)"]
