"""What a user sees of the package as a whole: imports, names, documentation."""

import inspect
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

import taylored
from kit.catalogued import CLASSIFICATION
from taylored import catalog

ROOT = Path(__file__).parents[2]
PUBLIC = {
    name: value
    for name, value in vars(taylored).items()
    if not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value))
}


def test_import_loads_torch_and_nothing_optional():
    script = (
        "import sys, torch; before = set(sys.modules); import taylored; "
        "print('\\n'.join(sorted({m.split('.')[0] for m in set(sys.modules) - before})))"
    )
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = set(run.stdout.split()) - set(sys.stdlib_module_names)
    # torch loads parts of itself late; anything else would be a hidden dependency.
    assert loaded <= {"taylored", "torch"}, loaded


@pytest.mark.parametrize("name", sorted(PUBLIC))
def test_public_names_are_documented(name):
    value = PUBLIC[name]
    text = inspect.getdoc(value) or ""
    assert text, f"{name} has no docstring"
    assert ">>>" in text, f"{name} has no runnable example"


@pytest.mark.parametrize("spec", catalog.SPECS.values(), ids=lambda spec: spec.name)
def test_every_parameter_of_a_loss_is_documented_with_its_spec(spec):
    accepted = [parameter.name for parameter in spec.accepted]
    declared = [name for name in inspect.signature(spec.module).parameters if name != "loss"]
    assert sorted(accepted) == sorted(declared)
    text = inspect.getdoc(spec.module)
    for name in accepted:
        assert re.search(rf"^    {name}: ", text, re.MULTILINE), f"{name} is not under Args"
    assert "Reference:" in text
    assert all(parameter.effect and parameter.domain for parameter in spec.accepted)


def test_readme_has_the_table_of_today():
    table = runpy.run_path(str(ROOT / "docs" / "losses_table.py"))
    readme = (ROOT / "README.md").read_text()
    assert table["written"](readme) == readme, "run `python docs/losses_table.py`"
    for name, spec in catalog.SPECS.items():
        assert f"| `{name}` | `{spec.module.__name__}` |" in readme


def test_certificates_page_has_the_table_of_today():
    table = runpy.run_path(str(ROOT / "docs" / "certificates_table.py"))
    page = (ROOT / "docs" / "certificates.md").read_text()
    assert table["written"](page) == page, "run `python docs/certificates_table.py`"
    for name in CLASSIFICATION:
        assert f"| `{name}`" in page


def test_the_page_on_the_doctor_has_the_questions_of_today():
    table = runpy.run_path(str(ROOT / "docs" / "doctor_table.py"))
    page = (ROOT / "docs" / "doctor.md").read_text()
    assert table["written"](page) == page, "run `python docs/doctor_table.py`"


def test_the_page_on_probabilities_has_the_table_of_today():
    table = runpy.run_path(str(ROOT / "docs" / "losses_table.py"))
    page = (ROOT / "docs" / "probabilities.md").read_text()
    assert table["written"](page, table["readings"]()) == page, "run `python docs/losses_table.py`"


def test_readme_marks_its_commands():
    readme = (ROOT / "README.md").read_text()
    for marker in ("main-job", "tests"):
        assert re.search(rf"<!-- run: {marker} -->\n```bash\n", readme), marker


def test_links_in_the_documentation_lead_somewhere():
    for page in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")):
        for target in re.findall(r"\]\(([^)#]+)\)", page.read_text()):
            if "://" not in target:
                assert (page.parent / target).exists(), f"{page.name} links to {target}"


def test_version_is_that_of_the_distribution():
    from importlib.metadata import version

    assert taylored.__version__ == version("taylored")


@pytest.mark.parametrize("spec", catalog.SPECS.values(), ids=lambda spec: spec.name)
def test_docstring_and_spec_say_the_same_about_other_libraries(spec):
    text = " ".join((inspect.getdoc(spec.module) or "").split())
    for library, difference in spec.differs:
        assert f"{library}: {difference}" in text
