"""The cache of built-in data heals itself and never executes what it reads."""

import sys
from pathlib import Path

import numpy as np
import pytest

from taylored.lab.data.builtin.cache import cached


def _check(arrays: dict[str, np.ndarray]) -> None:
    if arrays["values"].shape != (1000,):
        raise ValueError("shape")


def _damage_nothing(file: Path) -> None:
    pass


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:500])


def _empty(file: Path) -> None:
    file.write_bytes(b"")


def _text(file: Path) -> None:
    file.write_text("not an archive")


def _flip(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _other_shape(file: Path) -> None:
    np.savez(file, values=np.zeros(7))


def _other_names(file: Path) -> None:
    np.savez(file, numbers=np.zeros(1000))


class _Trap:
    """Leaves a file behind when unpickled."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (str(self.file), "w")


def _pickle(file: Path) -> None:
    trap = np.array([_Trap(file.with_suffix(".trap"))], dtype=object)
    np.savez(file, values=trap, allow_pickle=True)


@pytest.mark.parametrize(
    ("damage", "rebuilt"),
    [
        (_damage_nothing, False),
        (_truncate, True),
        (_empty, True),
        (_text, True),
        (_flip, True),
        (_other_shape, True),
        (_other_names, True),
        (_pickle, True),
    ],
)
def test_damaged_cache_is_rebuilt(damage, rebuilt, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("TAYLORED_CACHE", str(tmp_path))
    built: list[int] = []
    messages: list[str] = []

    def build() -> dict[str, np.ndarray]:
        built.append(1)
        return {"values": np.arange(1000.0)}

    cached("some", ("values",), build, _check, messages.append)
    damage(tmp_path / "some.npz")
    again = cached("some", ("values",), build, _check, messages.append)
    np.testing.assert_array_equal(again["values"], np.arange(1000.0))
    assert len(built) == (2 if rebuilt else 1)
    assert len(messages) == (1 if rebuilt else 0)
    assert [file.name for file in tmp_path.iterdir()] == ["some.npz"]
    cached("some", ("values",), build, _check, messages.append)
    assert len(built) == (2 if rebuilt else 1)


def test_cache_folder_that_cannot_be_written_is_only_reported(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("TAYLORED_CACHE", str(tmp_path / "file" / "cache"))
    messages: list[str] = []
    arrays = cached(
        "some", ("values",), lambda: {"values": np.zeros(1000)}, _check, messages.append
    )
    assert len(arrays["values"]) == 1000
    assert "TAYLORED_CACHE" in messages[0]


def test_cache_is_in_the_users_cache_folder_by_default(tmp_path, monkeypatch) -> None:
    if sys.platform != "linux":
        pytest.skip("XDG_CACHE_HOME is honoured on Linux")
    monkeypatch.delenv("TAYLORED_CACHE", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached("some", ("values",), lambda: {"values": np.zeros(1000)}, _check, print)
    assert (tmp_path / "taylored" / "some.npz").is_file()
