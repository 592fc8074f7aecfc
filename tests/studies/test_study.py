"""Whole studies on tiny data: the same bytes, resumed or not, and what reports say."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kit import planted_studies as planted
from taylored import lab, studies
from taylored.cli.app import app
from taylored.lab.errors import UsageError
from taylored.studies.outcome import StudyOutcome
from taylored.studies.papers import names, study_of
from taylored.studies.report.page import SIZE_LIMIT

FILES = ("results.json", "report.html")


def data(classes, rows=150):
    """Clusters that overlap, with a tail; data sets differ in their classes."""
    draws = np.random.default_rng(classes)
    labels = draws.choice(
        classes, rows, p=np.arange(classes, 0, -1) / (classes * (classes + 1) / 2)
    )
    return draws.normal(size=(rows, 4)) + labels[:, None] * 0.7, labels


SETTINGS = {"budget": "quick", "epochs": 1, "workers": 1, "progress": "off"}


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A study of two data sets, which no test changes."""
    folder = tmp_path_factory.mktemp("studies") / "two"
    return studies.study("epsilon-sweep", [data(3), data(4)], out=folder, **SETTINGS)


def bytes_of(folder):
    return [(folder / name).read_bytes() for name in FILES]


def test_a_study_judges_every_claim_on_every_data_set(two):
    results = two.results
    assert {(each.claim, each.data) for each in results.findings} == {
        (claim, name) for claim in ("two", "tuned") for name in ("arrays", "arrays (2)")
    }
    assert results.level == pytest.approx(0.05 / 4)
    assert [each.dataset.classes for each in results.data] == [3, 4]
    assert StudyOutcome.load(two.folder).results == results


def test_resumed_after_losing_a_third_it_gives_the_same_bytes(two, tmp_path):
    folder = shutil.copytree(two.folder, tmp_path / "copy")
    for file in sorted((folder / "data-1" / "trials").iterdir())[::3]:
        file.unlink()
    for name in FILES:
        (folder / name).unlink()
    again = studies.resume(folder, data=[data(3), data(4)], workers=1, progress="off")
    assert again.results == two.results
    assert bytes_of(folder) == bytes_of(two.folder)


def test_followed_trainings_are_kept_and_leave_random_numbers_alone(tmp_path):
    np.random.seed(3)  # noqa: NPY002 - the generator that must be left alone
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    both = [data(3), data(4)]
    one = studies.study("first-term-share", both, out=tmp_path / "one", **SETTINGS)
    assert (np.random.get_state()[1] == before).all()  # noqa: NPY002
    assert one.verdicts["identity", "arrays"] == ["held"]
    kept = sorted((one.folder / "data-1" / "trials").glob("*.followed"))
    assert len(kept) == 5
    kept[0].unlink()
    kept[1].write_text("{}")
    shutil.rmtree(one.folder / "data-2")  # as if it had been stopped before
    first = bytes_of(one.folder)
    studies.resume(one.folder, data=both, workers=1, progress="off")
    assert bytes_of(one.folder) == first


def test_the_differences_are_those_of_a_comparison(two, tmp_path):
    about = two.results.data[0]
    rate = about.learning_rate.chosen["cross_entropy"]
    compared = lab.compare(
        ["poly(epsilon=2)"],
        data(3),
        metric="accuracy",
        lr=rate,
        out=tmp_path / "run",
        **{name: value for name, value in SETTINGS.items() if name != "budget"},
    )
    expected = compared.results.losses[-1].against_baseline("accuracy")
    panel = two.results.panels[0]
    (found,) = [point.difference for point in panel.points if point.label == "2"]
    assert (found.value, found.low, found.high) == (
        expected.difference,
        expected.low,
        expected.high,
    )


def test_changed_data_and_a_folder_in_use_are_refused(two):
    with pytest.raises(UsageError, match=r"cannot be resumed.*data"):
        studies.resume(two.folder, data=[data(5), data(4)], workers=1, progress="off")
    with pytest.raises(UsageError, match="Give them again"):
        studies.resume(two.folder, progress="off")
    with pytest.raises(UsageError, match="this study has 2, got 1"):
        studies.resume(two.folder, data=data(3), progress="off")
    with pytest.raises(UsageError, match="exists already"):
        studies.study("epsilon-sweep", data(3), out=two.folder, **SETTINGS)


def test_wrong_names_are_told_what_is_meant(tmp_path):
    with pytest.raises(UsageError, match=r"Did you mean epsilon-sweep\?"):
        studies.study("epsilon-sweeps", data(3))
    with pytest.raises(UsageError, match="not the folder of a study"):
        studies.resume(tmp_path)
    draws = np.random.default_rng(0)
    labels = draws.integers(0, 2, (60, 4)).astype(np.int8)
    with pytest.raises(UsageError, match="many labels"):
        studies.study(
            "focal-gamma", (draws.normal(size=(60, 2)), labels), out=tmp_path / "out", **SETTINGS
        )


def test_the_command_line_lists_runs_resumes_and_refuses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    features, labels = data(3)
    rows = [f"{a},{b},class {label}" for (a, b, *_), label in zip(features, labels, strict=True)]
    Path("my.csv").write_text("\n".join(["left,right,kind", *rows]))
    runner = CliRunner()
    listed = runner.invoke(app, ["study"]).output
    assert all(name in listed for name in names())
    wrong = runner.invoke(app, ["study", "focal"])
    assert wrong.exit_code == 2
    assert "focal-gamma" in wrong.output
    common = ["--quick", "--epochs", "1", "--workers", "1"]
    done = runner.invoke(
        app,
        ["study", "focal-gamma", "--data", "my.csv", "--target", "kind", *common, "--out", "run"],
    )
    assert done.exit_code == 0, done.output
    assert "gamma = 2 beats cross-entropy" in done.output
    assert "studies.study('focal-gamma', ['my.csv'], target='kind', budget='quick'" in done.output
    again = runner.invoke(app, ["study", "--resume", "run", "--json"])
    assert json.loads(again.stdout)["config"]["study"] == "focal-gamma"
    mixed = runner.invoke(app, ["study", "--resume", "run", "--seed", "3"])
    assert mixed.exit_code == 2
    assert "seed" in mixed.output


@pytest.mark.parametrize("name", names())
def test_a_report_says_claim_result_power_and_verdict(name):
    declared = study_of(name)
    ratio = {"ratio": lambda s: np.full(5, 0.5)} if name == "gradient-ratio" else {}
    follow = {"followed": planted.followed(0.6, 1e-15)} if name == "first-term-share" else {}
    found = planted.ground(declared, lambda s: 0.8, shared=False, **ratio, **follow)
    results = planted.results(declared, found, name="<script>alert(1)</script>")
    outcome = StudyOutcome(results)
    page, text, marked = outcome.to_html(), outcome.table(), outcome.to_markdown()
    assert page == outcome.to_html()
    assert "<script>alert" not in page
    assert "http" not in page.split('id="results-json"')[0].replace("http-equiv", "")
    assert len(page.encode()) < SIZE_LIMIT
    flat = " ".join(text.split())
    for claim in declared.claims:
        assert claim.short in page
        assert claim.short in flat
        assert claim.reference in marked
    for each in results.findings:
        assert each.word in each.sentence
        assert each.word in flat
        if each.effect.smallest is not None:
            assert "could be seen;" in each.sentence
    assert max(map(len, text.splitlines())) <= 100


def test_figures_have_no_empty_axes_and_say_their_numbers():
    declared = study_of("focal-gamma")
    page = StudyOutcome(
        planted.results(declared, planted.ground(declared, lambda s: 0.8, shared=False))
    ).to_html()
    assert 'aria-label="balanced accuracy by gamma, planted. gamma: 0.5 ' in page
