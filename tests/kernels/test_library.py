"""A library that is not there, not ours or broken; what `taylored env` says; and the build."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

import taylored
from kit import copies
from kit.executors import HAS_NATIVE
from taylored.cli.app import app
from taylored.core.engine.executors import asked, only
from taylored.kernels import NATIVE, environment
from taylored.kernels.library import ABI, Absent, Library, find

ROOT = Path(__file__).parents[2]
PACKAGE = Path(taylored.__file__).parent
needs_compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler")
LEVEL = "_native_baseline.so"


def test_where_there_is_a_compiler_there_is_a_library() -> None:
    assert isinstance(NATIVE, Library) or not HAS_NATIVE, NATIVE


def built_in(folder: Path, source: str) -> None:
    text = folder / "source.cpp"
    text.write_text(source)
    subprocess.run(["c++", "-shared", "-fPIC", text, "-o", folder / LEVEL], check=True)


def test_nothing_there(tmp_path: Path) -> None:
    found = find(tmp_path)
    assert isinstance(found, Absent)
    assert "not built" in found.reason
    (tmp_path / "_build.json").write_text('{"compiler": null, "reason": "the moon is full"}')
    found = find(tmp_path)
    assert isinstance(found, Absent)
    assert "the moon is full" in found.reason
    assert "C++ compiler" in found.fix


def test_no_library_at_all(tmp_path: Path) -> None:
    (tmp_path / LEVEL).write_bytes(b"\x7fELF and then nothing")
    found = find(tmp_path)
    assert isinstance(found, Absent)
    assert LEVEL in found.reason
    assert "does not load" in found.reason


@needs_compiler
def test_another_interface(tmp_path: Path) -> None:
    built_in(tmp_path, f'extern "C" int taylored_abi() {{ return {ABI + 1}; }}')
    found = find(tmp_path)
    assert isinstance(found, Absent)
    assert f"has interface {ABI + 1}, and this version needs {ABI}" in found.reason


@needs_compiler
def test_functions_missing(tmp_path: Path) -> None:
    built_in(tmp_path, f'extern "C" int taylored_abi() {{ return {ABI}; }}')
    found = find(tmp_path)
    assert isinstance(found, Absent)
    assert "taylored_sweep" in found.reason


@needs_compiler
@pytest.mark.parametrize("capability", ["default", "avx2", "avx512"])
def test_the_processor_chooses_and_a_broken_library_makes_way(
    capability: str, tmp_path: Path
) -> None:
    script = "import taylored; print(taylored.kernels.NATIVE.level)"
    environment = {**os.environ, "ATEN_CPU_CAPABILITY": capability}
    level = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    ).stdout.strip()
    levels = ("baseline", "avx2", "avx512")
    assert level in levels
    # torch lowers what the processor cannot do, so that this holds everywhere.
    assert levels.index(level) <= ("default", "avx2", "avx512").index(capability)
    for other in levels:
        shutil.copy(PACKAGE / "kernels" / LEVEL, tmp_path / f"_native_{other}.so")
    assert isinstance(NATIVE, Library)
    (tmp_path / f"_native_{NATIVE.level}.so").write_text("broken")
    found = find(tmp_path)
    if NATIVE.level == "baseline":
        assert isinstance(found, Absent)
    else:
        assert isinstance(found, Library)
        assert found.level != NATIVE.level


# --- a package without libraries ------------------------------------------------------------------


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package as it is installed where there is no compiler."""
    folder = tmp_path_factory.mktemp("bare")
    ignored = shutil.ignore_patterns("_native_*", "_build.json", "__pycache__")
    shutil.copytree(PACKAGE, folder / "taylored", ignore=ignored)
    note = folder / "taylored" / "kernels" / "_build.json"
    note.write_text('{"compiler": null, "reason": "no C++ compiler was found"}')
    return folder


def run_in(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        env={**os.environ, "PYTHONPATH": str(folder), **environment},
        capture_output=True,
        text=True,
        check=False,
    )


def test_without_a_library_the_torch_executors_serve(bare: Path) -> None:
    script = (
        "import torch, taylored; from taylored.core.engine.executors import asked\n"
        "assert asked() == ('blocked', 'whole'), asked()\n"
        "x = torch.zeros(4, 3, requires_grad=True)\n"
        "taylored.PolyLoss()(x, torch.tensor([0, 1, 2, 0])).backward()\n"
        "print(taylored.__file__, x.grad.abs().sum().item() > 0)"
    )
    run = run_in(bare, "-c", script)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == [str(bare / "taylored" / "__init__.py"), "True"]


def test_env_says_why_it_is_not_there(bare: Path) -> None:
    run = run_in(bare, "-m", "taylored.cli", "env")
    assert run.returncode == 0, run.stderr
    said = " ".join(run.stdout.split())
    assert "native does not serve: not built: no C++ compiler was found" in said
    assert "fix: install a C++ compiler" in said


def test_asking_for_what_is_not_there_is_an_error(bare: Path) -> None:
    run = run_in(bare, "-c", "import taylored", TAYLORED_EXECUTORS="native")
    assert run.returncode != 0
    last = run.stderr.strip().splitlines()[-1]
    assert "`TAYLORED_EXECUTORS` must be" in last
    assert "no C++ compiler was found" in last


# --- the setting and the command ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("setting", "expected"), [(" blocked , whole ", ["blocked", "whole"]), ("", None)]
)
def test_the_setting_is_read_at_import(setting: str, expected: list[str] | None) -> None:
    script = "import taylored; from taylored.core.engine.executors import asked; print(*asked())"
    run = run_in(PACKAGE.parent, "-c", script, TAYLORED_EXECUTORS=setting)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == (list(asked()) if expected is None else expected)


def restricted(setting: str) -> subprocess.CompletedProcess[str]:
    """What the setting does to a copy of this process."""
    script = (
        "import sys, taylored.kernels; from taylored.core.engine.executors import asked\n"
        "taylored.kernels._restrict(sys.argv[1]); print(*asked())"
    )
    return copies.run([sys.executable, "-c", script, setting], capture_output=True, text=True)


def test_one_name_in_the_setting() -> None:
    assert restricted("whole").stdout == "whole\n"


def test_an_unknown_name_in_the_setting() -> None:
    run = restricted("whole,fast")
    assert run.returncode != 0
    assert "`TAYLORED_EXECUTORS` must be one of" in run.stderr
    assert "got 'fast'" in run.stderr


def test_env_in_words_and_as_data(monkeypatch) -> None:
    words = CliRunner().invoke(app, ["env"])
    assert words.exit_code == 0
    data = json.loads(CliRunner().invoke(app, ["env", "--json"]).stdout)
    names = [executor["name"] for executor in data["executors"]]
    assert names == ["triton", "native", "blocked", "whole"]
    for executor in data["executors"]:
        assert executor["detail"] in words.stdout
    assert str(data["threads"]) in words.stdout
    monkeypatch.setattr(environment, "asked", lambda: ("whole",))
    limited = CliRunner().invoke(app, ["env"]).stdout
    assert "blocked  does not serve: left out by TAYLORED_EXECUTORS" in limited


def test_only_refuses_names_that_are_not_there() -> None:
    with pytest.raises(ValueError, match="one of"), only("fast"):
        pass


# --- the build ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def hook() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hatch_build", ROOT / "hatch_build.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A source that builds in no time."""
    (tmp_path / "cpp").mkdir()
    (tmp_path / "cpp" / "native.cpp").write_text('extern "C" int taylored_abi() { return 1; }\n')
    (tmp_path / "_native_baseline.so").write_text("of another version")
    return tmp_path


@needs_compiler
def test_the_build_makes_every_library_anew(hook: ModuleType, source: Path, monkeypatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    built = hook.build(source)
    assert built.reason is None
    assert "baseline" in built.libraries[-1]
    assert built.compiler
    assert sorted(built.libraries) == sorted(path.name for path in source.glob("_native_*"))
    assert (source / LEVEL).read_bytes()[:4] != b"of a"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"PATH": ""}, "no C++ compiler was found"),
        ({"CXX": "no-such-compiler -O2"}, "the compiler in CXX, 'no-such-compiler', was not found"),
        ({"CXX": "false"}, "false failed on"),
    ],
)
def test_no_compiler_is_no_error(
    hook: ModuleType, source: Path, monkeypatch, change: dict[str, str], reason: str
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    for name, value in change.items():
        monkeypatch.setenv(name, value)
    built = hook.build(source)
    assert built.libraries == ()
    assert reason in built.reason
    assert not list(source.glob("_native_*"))


@needs_compiler
def test_a_source_that_does_not_compile(hook: ModuleType, source: Path, monkeypatch) -> None:
    monkeypatch.delenv("CXX", raising=False)
    (source / "cpp" / "native.cpp").write_text("int broken(")
    built = hook.build(source)
    assert built.libraries == ()
    assert "native.cpp:1" in built.reason
    assert str(source) not in built.reason
    assert "\n" not in built.reason


@needs_compiler
def test_one_level_that_the_compiler_does_not_know(
    hook: ModuleType, source: Path, monkeypatch
) -> None:
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setitem(hook.INSTRUCTIONS, "avx512", ("-march=of-the-future",))
    built = hook.build(source)
    if len(hook.INSTRUCTIONS) == len(built.libraries):
        pytest.skip("one library on this processor")
    assert LEVEL in built.libraries
    assert "avx512" in built.reason
