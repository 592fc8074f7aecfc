"""The results on a terminal: headline and warnings first, two tables, sentences."""

from __future__ import annotations

import io
import re
from dataclasses import replace

import pytest

from kit.lab_results import (
    HOSTILE,
    LOSSES,
    RATES,
    binary_dataset,
    each_trial,
    failed,
    losses,
    results,
)
from taylored.lab.outcome import Comparison
from taylored.lab.report.rows import probability_text
from taylored.lab.wording import MISSING


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
        assert f"\n{name[:10]}" in text
        assert name.replace(" ", "") in squeezed
    for short in ("balanced", "overall", "head", "medium", "tail", "AUROC", "NLL", "ECE"):
        assert short in text
    assert "3 head classes, 4 medium classes, 5 tail classes" in text.replace("\n", " ")
    for sentence in (six.results.verdict.headline, *six.results.verdict.sentences):
        assert re.sub(r"\s", "", sentence) in squeezed


def test_the_verdict_comes_first_and_warnings_right_after_it():
    result = results(LOSSES[:1], rates=replace(RATES, tied=("cross_entropy",)))
    text = Comparison(result).table(200)
    lines = text.splitlines()
    assert lines[0] == result.verdict.headline
    assert lines[1] == f"! {result.verdict.warnings[0]}"


def test_rows_show_both_differences_and_the_word(six):
    entry = next(loss for loss in six.results.losses if loss.name == "balanced_softmax")
    row = next(r for r in six.table().splitlines()[2:] if r.startswith("balanced_"))
    plain, free = (
        found["balanced_accuracy"] for found in (entry.versus_baseline, entry.versus_free)
    )
    for found in (plain, free):
        half = 100 * (found.high - found.low) / 2
        assert f"{100 * found.difference:+.1f} ± {half:.1f}*" in row
        assert probability_text(found) in row
    assert row.endswith("better")
    assert "free reference" in six.table()


def test_a_star_means_beyond_noise_and_nothing_else(six):
    first, second = re.split(r"\n\n(?=.*overall)", six.table(140), maxsplit=1)
    for entry in six.results.losses[3:]:
        rows = [
            next(r for r in text.splitlines()[2:] if r.startswith(entry.name))
            for text in (first, second)
        ]
        plain, free = entry.versus_baseline, entry.versus_free
        judged = [plain["balanced_accuracy"], free["balanced_accuracy"]]
        assert rows[0].count("*") == sum(found.beyond_noise for found in judged)
        shown = ("accuracy", "head", "medium", "tail", "auroc", "nll", "ece")
        assert rows[1].count("*") == sum(plain[key].beyond_noise for key in shown)


def test_two_classes_have_no_groups():
    text = Comparison(results(LOSSES[:1], data=binary_dataset())).table()
    for wanted in ("AUROC", "AP", "F1", "MCC"):
        assert wanted in text
    assert not re.search(r"\b(head|medium|tail)\b", text)


def test_table_without_intervals_and_numbers():
    entries = losses(LOSSES[:2])
    entries[1] = each_trial(entries[1], failed)
    assert "failed 5/5" in Comparison(results(entries=entries)).table()
    assert "Only cross-entropy" in Comparison(results(())).table()


def test_hostile_names_stay_text_in_the_terminal():
    some = [(name, 0.5, 0.1) for name in HOSTILE[4:8]]
    text = Comparison(results(some)).table(140)
    assert text.count("\n[bold red]rich[/bold red]") == 2, "a name was read as markup"
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", text)


def test_rich_table_takes_the_width_of_the_console(six):
    from rich.console import Console

    console = Console(file=io.StringIO(), width=80, force_terminal=True, color_system="standard")
    console.print(six.rich_table())
    plain = re.sub(r"\x1b\[[0-9;]*m", "", console.file.getvalue())
    assert "\n".join(line.rstrip() for line in plain.splitlines()) == six.table(80)


@pytest.mark.parametrize(
    ("p", "text"),
    [
        (0.24, "24 %"),
        (0.995, "99.5 %"),
        (0.99999, "> 99.9 %"),
        (0.0001, "< 0.1 %"),
        (None, MISSING),
    ],
)
def test_probabilities_have_no_more_digits_than_they_can(six, p, text):
    found = six.results.losses[3].versus_baseline["balanced_accuracy"]
    assert probability_text(replace(found, probability_better=p)) == text
