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
    RATES,
    binary_dataset,
    change_trial,
    config,
    dataset,
    diverged,
    each_trial,
    failed,
    hostile,
    losses,
    results,
)
from taylored.lab.outcome import Comparison
from taylored.lab.report.page import SIZE_LIMIT
from taylored.lab.trial_result import LearningRates, TriedRate

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


def one_diverged():
    some = losses(LOSSES[:4])
    some[1] = change_trial(some[1], 2, diverged)
    some[3] = each_trial(some[3], failed)
    return results(entries=some)


def diverged_baseline():
    gone = losses(LOSSES[:2])
    return results(entries=[change_trial(gone[0], 1, diverged), *gone[1:]])


def identical():
    same = losses(LOSSES[:2])
    return results(entries=[replace(loss, tested=same[0].tested) for loss in same])


def without_gain():
    some = losses(LOSSES[:2])
    return results(entries=[replace(loss, gain=None, formula=None, heads=None) for loss in some])


def two_groups():
    return results(LOSSES[:1], data=dataset(4, groups=("head", "head", "tail", "tail")))


CASES = {
    "one loss": lambda: results(LOSSES[:1]),
    "two repeats": lambda: results(LOSSES[:2], repeats=2),
    "diverged": one_diverged,
    "diverged baseline": diverged_baseline,
    "identical": identical,
    "empty group": two_groups,
    "no gain": without_gain,
    "baseline only": lambda: results(()),
    "two classes": lambda: results(LOSSES[:2], data=binary_dataset()),
    "labels": lambda: results(LOSSES[:2], data=dataset(4, task="multi-label")),
    "another metric": lambda: results(LOSSES[:2], primary_metric="macro_f1"),
    "likelihood": lambda: results(LOSSES[:1], primary_metric="nll"),
}


def test_sections_come_in_order_and_are_folded(six):
    html, page = six
    marks = [
        "<h1>", 'id="trade-off"', 'id="results-table"', 'id="trade-off-tail"', "<nav",
        'id="about-use"',
        'id="differences-free"', 'id="about-where"', 'id="about-adjusted"', 'id="about-classes"',
        'id="about-probabilities"', 'id="about-training"', 'id="about-gains"', 'id="about-data"',
        'id="about-rates"',
        'id="about-reproduce"', '<script type="application/json"',
    ]  # fmt: skip
    places = [html.find(mark) for mark in marks]
    assert -1 not in places
    assert places == sorted(places)
    sections = page.all("details")
    assert len(sections) > 8
    assert not any("open" in attributes for attributes in sections)
    contents = html.split("<nav")[1].split("</nav>")[0]
    assert contents.count("<a ") == len(sections)


def test_page_says_what_the_results_say(six):
    _, page = six
    result = results()
    text = re.sub(r"\s+", " ", page.text).replace("\N{MINUS SIGN}", "-")
    for sentence in [result.verdict.headline, *result.verdict.sentences]:
        assert sentence in text.replace("\N{NO-BREAK SPACE}", " ")
    for wanted in ("CC BY-SA 3.0", "9f2c9f2c", "5 tail", "Holm", "sampling only"):
        assert wanted in text


def test_warnings_stand_above_everything():
    warned = results(LOSSES[:1], rates=replace(RATES, tied=("cross_entropy",)))
    assert warned.verdict.warnings
    html, page = page_of(warned)
    for warning in warned.verdict.warnings:
        assert warning in page.text
    assert html.index('class="warnings"') < html.index("<h1>")
    assert 'class="warnings"' not in page_of(results(LOSSES[:1]))[0]


def test_the_headline_has_the_price_of_its_gain(six):
    _, page = six
    headline = page.text.split("comparison of losses")[1].split("kanjivg-strokes")[0]
    assert "balanced_softmax beats cross_entropy + tau 1 by" in headline
    assert "overall accuracy" in headline


def heads_of(html):
    head = html.split('id="results-table"')[1].split("<tbody>")[0]
    return re.findall(r"<th[^>]*>([^<]*)", head)


def test_two_classes_have_columns_of_their_own():
    html, page = page_of(results(LOSSES[:2], data=binary_dataset()))
    for wanted in ("overall", "AUROC", "AP", "F1", "MCC", "NLL", "ECE"):
        assert wanted in heads_of(html)
    assert not re.search(r"\b(medium|tail)\b", page.text.split("what it is")[0])
    assert 'id="trade-off"' in html
    assert "trade-off-tail" not in html
    assert "false alarms" in page.text


def test_metrics_that_nobody_has_are_left_out():
    html, _ = page_of(two_groups())
    assert "medium" not in heads_of(html)
    assert {"head", "tail"} <= set(heads_of(html))


def test_the_chosen_metric_is_the_first_column():
    html, _ = page_of(results(LOSSES[:1], primary_metric="macro_f1"))
    head = html.split('id="results-table"')[1].split("<tbody>")[0]
    assert re.search(r'data-column="1"[^>]*>F1<', head)
    assert ">balanced<" in head


def test_every_figure_explains_itself(six):
    _, page = six
    figures = [svg for svg in page.all("svg") if svg.get("aria-hidden") != "true"]
    # The trade-off and its narrow form, head against tail; two times two of differences;
    # frequencies; parts, scores, training, gain of each loss; reliability, also of the baseline.
    assert len(figures) == 3 + 4 + 1 + 4 * len(LOSSES) + 1 + len(LOSSES)
    assert all(svg["role"] == "img" and len(svg["aria-label"]) > 30 for svg in figures)
    assert len(page.all("figcaption")) == len(page.all("figure")) == 9


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


def test_only_the_script_of_the_package_may_run(bad):
    from base64 import b64encode
    from hashlib import sha256

    _, html, page = bad
    policy = next(m for m in page.all("meta") if "Security" in m.get("http-equiv", ""))
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    wanted = b64encode(sha256(script.encode()).digest()).decode()
    assert policy["content"].endswith(f"script-src 'sha256-{wanted}'")
    assert "</" not in script


def test_hostile_names_stay_text(bad):
    _, html, page = bad
    tags = Counter(tag for tag, _ in page.elements)
    assert tags["script"] == 2
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
    assert json.loads(page.scripts[0]) == Comparison(result).to_dict()
    assert not set("<>&") & set(page.scripts[0])


def test_command_is_quoted_for_the_shell(bad):
    import shlex

    from taylored.lab.report.sections.command import python_call, shell_command

    result, _, _ = bad
    words = shlex.split(shell_command(result.config).replace("\\\n", ""))
    assert words[:2] == ["taylored", "compare"]
    assert words[3 : 3 + len(HOSTILE)] == list(HOSTILE)
    assert words[words.index("--data") + 1] == result.config.data
    compile(python_call(result.config), "snippet", "exec")
    assert shell_command(config(data=None)) is None


def test_ids_are_unique_and_all_references_hold(six):
    html, page = six
    ids = [attributes["id"] for _, attributes in page.elements if attributes.get("id")]
    assert [key for key, count in Counter(ids).items() if count > 1] == []
    used = set(re.findall(r"url\(#([^)]+)\)", html)) | set(re.findall(r'href="#([^"]+)"', html))
    assert used <= set(ids)


def test_marks_stand_where_a_difference_is_beyond_noise():
    result = results()
    html, _ = page_of(result)
    body = html.split('id="results-table"')[1].split("<tbody>")[1].split("</tbody>")[0]
    rows = re.findall(r'<tr class="(?:baseline|free|candidate)">(.*?)</tr>', body, re.DOTALL)
    assert len(rows) == len(result.losses)
    places = {"balanced_accuracy": 1, "accuracy": 8, "head": 9, "tail": 11}
    seen = 0
    for row, entry in zip(rows, result.losses, strict=True):
        cells = re.findall(r"<td.*?</td>", row, re.DOTALL)
        for key, place in places.items():
            found = entry.versus_baseline and entry.versus_baseline[key]
            marked = bool(found) and found.beyond_noise
            assert ("▲" in cells[place] or "▼" in cells[place]) == marked, (entry.name, key)
            seen += marked
        free = entry.versus_free and entry.versus_free["balanced_accuracy"]
        marked = bool(free) and free.beyond_noise
        assert ("▲" in cells[4] or "▼" in cells[4]) == marked
        assert "▲" not in cells[-1], "the calibration error is never tested"
        assert "▼" not in cells[-1]
    assert seen >= 4


def test_free_rows_are_visibly_no_trainings(six):
    html, _ = six
    body = html.split('id="results-table"')[1].split("</table>")[0]
    free = re.findall(r'<tr class="free">.*?</tr>', body, re.DOTALL)
    assert len(free) == 2
    assert "free reference" in free[0]
    assert ">free<" in free[1]


@pytest.mark.parametrize("name", CASES)
def test_unusual_results_still_make_a_page(name):
    result = CASES[name]()
    html, page = page_of(result)
    assert 'id="results-table"' in html
    assert "None" not in page.text
    assert "nan" not in re.sub(r"\w*nan\w+", "", page.text)
    assert json.loads(page.scripts[0]) == Comparison(result).to_dict()


def test_size_limit_holds_for_many_losses_repeats_and_classes():
    few = results(LOSSES[:2], data=dataset(1200, tested_counts=(2,) * 1200))
    template = few.losses[-1]
    many = [
        replace(template, name=f"class_balanced(focal(gamma={g}), beta={b})", trials=trials)
        for g in (1, 2, 3)
        for b in (0.9, 0.99, 0.999, 0.9999, 0.99999)
        for trials in [tuple(map(with_ratio, template.trials * 4))]
    ]
    result = replace(few, losses=(*few.losses, *many))
    html, page = page_of(result)
    assert SIZE_LIMIT <= 2_000_000
    assert len(html.encode()) <= SIZE_LIMIT
    assert "to keep the page small, without the curves and the per-class recall" in page.text
    kept = json.loads(page.scripts[0])
    loss, whole = kept["losses"][5], Comparison(result).to_dict()["losses"][5]
    assert loss["versus_baseline"] == whole["versus_baseline"]
    assert loss["trials"][2]["metrics"] == whole["trials"][2]["metrics"]


def with_ratio(trial):
    return replace(trial, gradient_ratio=tuple(0.001 * index for index in range(1200)))


def test_ordinary_reports_are_complete(six):
    html, page = six
    assert len(html.encode()) < 900_000
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


def test_learning_rates_tell_how_they_were_found():
    rates = LearningRates(
        {"cross_entropy": 0.01, "focal": 0.003},
        "each",
        "nll",
        (),
        (TriedRate("focal", 0.01, 0.5123, 0.71), TriedRate("focal", 0.003, None, None)),
    )
    _, page = page_of(results(LOSSES[:1], rates=rates))
    assert "judged by the negative log-likelihood of the validation part" in page.text
    assert "0.01: 51.2, 0.710" in page.text
    assert "0.003: diverged" in page.text


@pytest.mark.parametrize(
    ("specs", "wanted"),
    [
        (LOSSES[4:5], "taylored.get('balanced_softmax', counts=counts)"),
        (LOSSES[:1], "taylored.tune_tau("),
        ((("my_losses:Mine", 1.0, 0.9),), "from my_losses import Mine"),
    ],
)
def test_use_this_is_python_for_the_outcome(specs, wanted):
    from taylored.lab.report.sections.use_this import use_this

    use = use_this(results(specs))
    assert wanted in use.source
    compile(use.source, "snippet", "exec")


def test_intervals_of_classes_count_each_row_once():
    from taylored.lab.report.sections.classes import class_table
    from taylored.lab.statistics.share import wilson

    once, thrice = results(LOSSES[:1]), results(LOSSES[:1], repeats=3)
    for result in (once, thrice):
        row = class_table(result).rows[0]
        assert row.tested == result.dataset.tested_counts[0] == 500
        low, high = wilson(result.losses[0].class_scores[0], 500)
        assert row.scores[0].interval == f"{100 * low:.0f} to {100 * high:.0f}"
