"""The report as a document: complete, safe, small, the same for the same results."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from kit.lab_results import (
    HOSTILE,
    LOSSES,
    change_trial,
    config,
    dataset,
    diverge,
    each_trial,
    hostile,
    losses,
    results,
    with_metrics,
)
from taylored.lab.outcome import Comparison
from taylored.lab.report.page import SIZE_LIMIT
from taylored.lab.results import LearningRateChoice, TriedRate

MANY = [
    (f"class_balanced(focal(gamma={g}), beta={b})", g, -1, 3 * g)
    for g in (1, 2, 3)
    for b in (0.9, 0.99, 0.999, 0.9999, 0.99999)
]


VOID = {"meta", "link", "wbr", "br", "img", "input", "hr"}


class Page(HTMLParser):
    """Elements with attributes and text, and whether every tag was closed in order."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.stack, self.texts, self.scripts = [], [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.stack, f"</{tag}> closes nothing"
        assert self.stack.pop() == tag

    def handle_data(self, data):
        (self.scripts if self.stack and self.stack[-1] == "script" else self.texts).append(data)

    @property
    def text(self):
        return "".join(self.texts)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def page_of(result):
    html = Comparison(result).to_html()
    page = Page(html)
    assert not page.stack, "unclosed elements"
    return html, page


@pytest.fixture(scope="module")
def six():
    return page_of(results())


@pytest.fixture(scope="module")
def bad():
    result = hostile()
    return result, *page_of(result)


def cases():
    some = losses()
    some[1] = change_trial(some[1], 2, diverge)
    some[3] = each_trial(some[3], diverge)
    same = losses()
    same = [
        replace(loss, trials=tuple(replace(trial, loss=loss.name) for trial in same[0].trials))
        for loss in same
    ]
    two_groups = dataset(4, groups=("head", "head", "tail", "tail"))
    bare = [replace(loss, gain=None, formula=None) for loss in losses(LOSSES[:2])]
    yield "one loss", results(LOSSES[:1])
    yield "two seeds", results(LOSSES[:2], seeds=2)
    yield "one seed", results(LOSSES[:3], seeds=1)
    yield "diverged", results(entries=some)
    yield "identical", results(entries=same)
    yield "empty group", results(LOSSES[:2], data=two_groups)
    yield "no gain", results(entries=bare)
    yield "baseline only", results((), control=False)
    yield "no control", results(LOSSES[:2], control=False)


def test_sections_come_in_order(six):
    html, _ = six
    marks = [
        "<h1>", "no difference beyond noise", "<h2>Results", "<h2>Difference to cross-entropy",
        "<h2>Where it changes", "<h2>Recall and frequency", "<h2>Training", "<h2>Gain of the",
        "<h2>Data set", "<h2>Reproduce", '<script type="application/json"',
    ]  # fmt: skip
    places = [html.find(mark) for mark in marks]
    assert -1 not in places
    assert places == sorted(places)


def test_page_says_what_the_results_say(six):
    _, page = six
    result = results()
    text = re.sub(r"\s+", " ", page.text).replace("\N{MINUS SIGN}", "-")
    for sentence in [result.verdict.headline, *result.verdict.sentences]:
        assert sentence in text
    assert result.control.sentence in text
    for wanted in ("CC BY-SA 3.0", "9f2c9f2c", "17 classes", "Holm", "thirds")[:4]:
        assert wanted in text


def test_every_figure_explains_itself(six):
    _, page = six
    figures = [svg for svg in page.all("svg") if svg.get("aria-hidden") != "true"]
    assert len(figures) == 2 + 4 * len(LOSSES) + 1
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 30 for svg in figures)
    captions = page.text.count("How to read it:")
    assert captions == len(page.all("figure")) == 6


def test_nothing_is_loaded_from_anywhere(bad):
    _, html, page = bad
    for _, attributes in page.elements:
        for name in ("src", "srcset", "action", "data", "poster", "background"):
            assert name not in attributes
        for name in ("href", "xlink:href"):
            assert attributes.get(name, "#").startswith(("#", "data:,"))
        assert not any(name.startswith("on") for name in attributes)
        assert "url(" not in attributes.get("style", "").replace("url(#", "")
    style = re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1]
    assert "@import" not in style
    assert "url(" not in style
    policy = next(m for m in page.all("meta") if "Security" in m.get("http-equiv", ""))
    assert policy["content"].startswith("default-src 'none'")


def test_hostile_names_stay_text(bad):
    _, html, page = bad
    tags = Counter(tag for tag, _ in page.elements)
    assert tags["script"] == 1
    assert tags["img"] == tags["b"] == 0
    assert "<!--" not in html
    for name in ("</script><script>alert(1)</script>", "<img src=x onerror=alert(1)>", "<!--",
                 "$\\frac{1}{$", "{{ 7 * 7 }}", "横画", "a&b\"c'd", "]]>"):  # fmt: skip
        assert page.text.count(name) >= 4, f"{name} is missing in table, figures or class list"
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\ud800-\udfff]", html)


def test_hostile_names_reach_the_figures_as_text(bad):
    _, html, _ = bad
    figure = re.search(r'<svg[^>]*id="differences".*?</svg>', html, re.DOTALL)[0]
    assert "&lt;/script&gt;&lt;script&gt;alert(1)&lt;/script&gt;</text>" in figure
    assert "\\frac{1}{$</text>" in figure
    assert "横画</text>" in figure


def test_embedded_json_is_the_results(bad):
    result, _, page = bad
    assert json.loads("".join(page.scripts)) == Comparison(result).to_dict()
    assert not set("<>&") & set("".join(page.scripts))


def test_command_is_quoted_for_the_shell(bad):
    import shlex

    from taylored.lab.report.command import python_call, shell_command

    result, _, _ = bad
    words = shlex.split(shell_command(result.config).replace("\\\n", ""))
    assert words[:2] == ["taylored", "compare"]
    assert words[2 : 2 + len(HOSTILE)] == list(HOSTILE)
    assert words[words.index("--data") + 1] == result.config.data
    compile(python_call(result.config), "snippet", "exec")
    assert shell_command(config(data=None)) is None


def test_ids_are_unique_and_all_references_hold(six):
    html, page = six
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert [key for key, count in Counter(ids).items() if count > 1] == []
    used = set(re.findall(r"url\(#([^)]+)\)", html)) | set(re.findall(r'href="#([^"]+)"', html))
    assert used <= set(ids)


def test_best_values_are_marked_only_beyond_noise():
    result = results()
    html, _ = page_of(result)
    rows = re.findall(r'<tr class="(?:baseline|candidate|control)">(.*?)</tr>', html, re.DOTALL)
    assert len(rows) == len(result.losses)
    for row, entry in zip(rows, result.losses, strict=True):
        cells = re.findall(r"<td.*?</td>", row, re.DOTALL)
        for cell, key in zip(cells, ("balanced_accuracy", "accuracy", "head"), strict=False):
            marked = entry.role != "baseline" and entry.against_baseline(key).beyond_noise
            assert ("▲" in cell or "▼" in cell) == marked
            assert marked or 'best"' not in cell
    assert len(re.findall(r'class="number best"', html)) >= 2
    html, _ = page_of(results(LOSSES[:2]))
    assert 'class="number best"' not in html
    assert "▲" not in html.split("<tbody>")[1].split("</tbody>")[0]


def test_failed_control_is_loud():
    entries = losses(LOSSES[:3])
    entries[-1] = each_trial(
        entries[-1],
        lambda trial: with_metrics(
            trial,
            balanced_accuracy=entries[0].trials[trial.seed].metrics["balanced_accuracy"]
            + 0.05
            + 0.001 * trial.seed,
        ),
    )
    html, page = page_of(results(entries=entries))
    assert "Check failed" in page.text
    assert "cannot be trusted" in page.text.split("Results")[0]
    assert "▲" not in html.split("<tbody>")[1].split("</tbody>")[0]


@pytest.mark.parametrize(("name", "result"), [pytest.param(*c, id=c[0]) for c in cases()])
def test_unusual_results_still_make_a_page(name, result):
    html, page = page_of(result)
    assert "<h2>Results" in html
    assert "None" not in page.text
    assert "nan" not in re.sub(r"\w*nan\w+", "", page.text)
    assert json.loads("".join(page.scripts)) == Comparison(result).to_dict()


def test_size_limit_holds_for_many_losses_seeds_and_classes():
    result = results(MANY, seeds=10, data=dataset(1200))
    html, page = page_of(result)
    assert SIZE_LIMIT <= 2_000_000
    assert len(html.encode()) <= SIZE_LIMIT
    assert "to keep the page small, without the curves and the per-class recall" in page.text
    kept = json.loads("".join(page.scripts))
    loss, whole = kept["losses"][3], Comparison(result).to_dict()["losses"][3]
    assert loss["versus_baseline"] == whole["versus_baseline"]
    assert loss["trials"][2]["metrics"] == whole["trials"][2]["metrics"]


def test_ordinary_reports_are_complete(six):
    html, page = six
    assert len(html.encode()) < 700_000
    assert "to keep the page small" not in page.text


SCRIPT = """
import sys, warnings
warnings.simplefilter("error")
from kit.lab_results import hostile
from taylored.lab.outcome import Comparison
sys.stdout.buffer.write(Comparison(hostile(HOW_MANY)).to_html().encode())
"""


def test_same_results_same_bytes_and_a_silent_terminal(tmp_path):
    (tmp_path / "matplotlibrc").write_text("font.size: 30\nsvg.fonttype: path\naxes.labelpad: 30\n")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("HOW_MANY", "2")],
        cwd=tmp_path,
        env=os.environ | {"PYTHONHASHSEED": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
    )
    assert done.stderr == b""
    assert done.stdout == Comparison(hostile(2)).to_html().encode()


def test_run_folder_adds_versions(tmp_path):
    (tmp_path / "results.json").write_text(Comparison(results(LOSSES[:1])).to_json())
    (tmp_path / "versions.json").write_text(json.dumps({"torch": "2.14.1<b>"}))
    html = Comparison.load(tmp_path).to_html()
    assert "2.14.1&lt;b&gt;" in html


def test_settings_tell_how_the_learning_rate_was_found():
    result = results(LOSSES[:1])
    rate = LearningRateChoice({"focal": 0.01}, "each", (TriedRate("focal", 0.01, 0.5123),))
    _, page = page_of(replace(result, learning_rate=rate))
    assert "focal 0.01, tuned for each loss" in page.text
    assert "0.01 (51.2)" in page.text
