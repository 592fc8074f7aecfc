"""The result object: plot, JSON, CSV, loading."""

from __future__ import annotations

import csv
import io
import json

import matplotlib as mpl
import pytest

from kit.lab_results import HOSTILE, LOSSES, dataset, results
from taylored.lab.metrics import SINGLE_LABEL_METRICS
from taylored.lab.outcome import Comparison
from taylored.lab.results import SCHEMA

mpl.use("agg")


@pytest.fixture(scope="module", autouse=True)
def figures():
    """They are drawn: what comes out is looked at."""


@pytest.fixture(scope="module")
def six():
    return Comparison(results())


def test_verdict_is_text(six):
    assert six.verdict.splitlines()[0] == six.results.verdict.headline


def test_json_round_trip(six, tmp_path):
    text = six.to_json()
    assert json.loads(text) == six.to_dict()
    (tmp_path / "results.json").write_text(text)
    loaded = Comparison.load(tmp_path)
    assert loaded.results == six.results
    assert loaded.folder == tmp_path
    assert loaded.to_json() == text


def test_load_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"folder must be .* results\.json"):
        Comparison.load(tmp_path)
    (tmp_path / "results.json").write_text('{"schema": 1,')
    with pytest.raises(ValueError, match="must be JSON"):
        Comparison.load(tmp_path)
    (tmp_path / "results.json").write_text('{"schema": 99}')
    with pytest.raises(ValueError, match=f"schema {SCHEMA}: got 99"):
        Comparison.load(tmp_path)
    (tmp_path / "results.json").write_text(json.dumps({"schema": SCHEMA, "losses": []}))
    with pytest.raises(ValueError, match=r"results\.json must have .* missing: config"):
        Comparison.load(tmp_path)


def test_csv_has_every_loss_and_metric(six):
    rows = list(csv.DictReader(io.StringIO(six.to_csv())))
    assert len(rows) == len(six.results.losses) * len(SINGLE_LABEL_METRICS)
    row = next(r for r in rows if r["loss"] == "balanced_softmax" and r["metric"] == "tail")
    entry = next(loss for loss in six.results.losses if loss.name == "balanced_softmax")
    assert float(row["value"]) == entry.metrics["tail"]
    for reference, versus in (("baseline", entry.versus_baseline), ("free", entry.versus_free)):
        found = versus["tail"]
        for name in ("difference", "low", "high", "p_corrected", "probability_better"):
            assert float(row[f"{reference}_{name}"]) == getattr(found, name)
    assert row["verdict"] == "better"
    assert rows[0]["role"] == "baseline"
    assert rows[0]["baseline_difference"] == rows[0]["free_difference"] == ""


def test_plot_returns_figure_and_axes(six):
    from matplotlib import pyplot

    figure, ax = six.plot()
    assert ax.figure is figure
    labels = [text.get_text() for text in ax.texts]
    assert all(name in labels for name, *_ in LOSSES)
    own, given = pyplot.subplots()
    assert six.plot(given) == (own, given)
    figure.savefig(io.BytesIO(), format="png")
    pyplot.close("all")


def test_plot_leaves_the_settings_alone(six):
    from matplotlib import pyplot

    before = dict(mpl.rcParams)
    six.plot()
    six.to_html()
    pyplot.close("all")
    assert dict(mpl.rcParams) == before


def test_notebook_gets_a_framed_page(six):
    html = six._repr_html_()
    assert html.startswith("<iframe")
    assert "sandbox" in html.split("srcdoc")[0]
    assert html.count('"') == html.split("srcdoc")[0].count('"') + 2, "the page left its attribute"


def test_to_html_writes_what_it_returns(tmp_path):
    comparison = Comparison(results([(HOSTILE[-1], 1, 0)], data=dataset(12, HOSTILE)))
    html = comparison.to_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes() == html.encode()
