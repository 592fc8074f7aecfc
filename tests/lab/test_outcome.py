"""The result object: terminal table, plot, JSON, CSV, loading."""

from __future__ import annotations

import csv
import io
import json
import re

import matplotlib as mpl
import pytest

from kit.lab_results import HOSTILE, LOSSES, dataset, diverge, each_trial, losses, results
from taylored.lab.metrics import SINGLE_LABEL_METRICS
from taylored.lab.outcome import Comparison
from taylored.lab.wording import p_text

mpl.use("agg")


@pytest.fixture(scope="module")
def six():
    return Comparison(results())


@pytest.mark.parametrize("width", [80, 100, 140])
def test_table_fits_the_width(six, width):
    lines = six.table(width).splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in six.table(width)


@pytest.mark.parametrize("width", [80, 100])
def test_table_names_everything(six, width):
    text = six.table(width)
    squeezed = re.sub(r"\s", "", text)
    for name, *_ in LOSSES:
        assert f"\n{name[:12]}" in text
        assert name.replace(" ", "") in squeezed
    for metric in SINGLE_LABEL_METRICS.values():
        assert metric.short in text
    assert "39 head classes, 15 medium classes, 17 tail classes" in text.replace("\n", " ")
    assert six.results.verdict.headline in text
    for sentence in six.results.verdict.sentences:
        assert sentence.replace(" ", "") in squeezed


def test_table_shows_the_numbers_of_the_results(six):
    entry = six.results.losses[5]
    row = next(r for r in six.table().splitlines() if r.startswith(entry.name))
    mean = entry.mean["balanced_accuracy"]
    deviation = entry.standard_deviation["balanced_accuracy"]
    assert f"{100 * mean:.1f} ± {100 * deviation:.1f}*" in row
    assert f"{entry.mean['nll']:.3f}*" in row
    cell = entry.versus_baseline["balanced_accuracy"]
    rows = [r for r in six.table().splitlines() if r.startswith(entry.name)]
    interval = f"{100 * cell.low:+.1f} to {100 * cell.high:+.1f}"
    assert interval in rows[1]
    assert p_text(cell.p_corrected) in rows[1]
    assert rows[1].endswith("better")


def test_star_means_beyond_noise_and_nothing_else(six):
    table = six.table(140).split("difference to")[0].splitlines()
    for entry in six.results.losses[1:-1]:
        row = next(r for r in table if r.startswith(entry.name))
        marked = sum(cell.beyond_noise for cell in entry.versus_baseline.values())
        assert row.count("*") == marked


def test_table_without_intervals_and_numbers():
    assert "no interval" in Comparison(results(LOSSES[:1], seeds=2)).table()
    entries = losses(LOSSES[:2])
    entries[1] = each_trial(entries[1], diverge)
    assert "diverged 5/5" in Comparison(results(entries=entries)).table()
    assert "Only cross-entropy" in Comparison(results((), control=False)).table()


def test_hostile_names_stay_text_in_the_terminal():
    comparison = Comparison(results([(name, 1, 0, 0) for name in HOSTILE]))
    text = comparison.table(140)
    assert text.count("\n[bold red]rich[/bold red]") == 2, "a name was read as markup"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)


def test_rich_table_takes_the_width_of_the_console(six):
    from rich.console import Console

    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(six.rich_table())
    plain = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())
    assert "\n".join(line.rstrip() for line in plain.splitlines()) == six.table(80)


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
    with pytest.raises(ValueError, match="schema 1: got 99"):
        Comparison.load(tmp_path)
    (tmp_path / "results.json").write_text('{"schema": 1, "losses": []}')
    with pytest.raises(ValueError, match=r"results\.json must have .* missing: config"):
        Comparison.load(tmp_path)


def test_csv_has_every_loss_and_metric(six):
    rows = list(csv.DictReader(io.StringIO(six.to_csv())))
    assert len(rows) == len(six.results.losses) * len(SINGLE_LABEL_METRICS)
    row = next(r for r in rows if r["loss"] == "balanced_softmax" and r["metric"] == "tail")
    entry = six.results.losses[5]
    assert float(row["mean"]) == entry.mean["tail"]
    assert float(row["p_corrected"]) == entry.versus_baseline["tail"].p_corrected
    assert rows[0]["role"] == "baseline"
    assert rows[0]["difference"] == ""


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
    comparison = Comparison(results([(HOSTILE[-1], 1, 0, 0)], data=dataset(12, HOSTILE)))
    html = comparison.to_html(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_bytes() == html.encode()
