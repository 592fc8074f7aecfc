"""The page of `taylored explain`, in a browser: its sliders move the curves of the library."""

import json
import random
import re
import shutil
import subprocess
from dataclasses import replace
from html import unescape

import pytest

from kit.turns import WHOLE_GRID
from taylored import catalog, get
from taylored.explain import explain
from taylored.explain.page import SIZE_LIMIT
from taylored.explain.parameters import knobs_of, varied
from taylored.explain.places import off
from taylored.explain.sampled import SLIDERS, exact, payload, sampled
from taylored.explain.views import view_of
from taylored.modules.wrapper import WrapperLoss

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
browser = pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium")

FRAME = """<!doctype html><title>frame</title>
<iframe src="page.html#{fragment}" style="width:390px;height:800px;border:0"></iframe>
<pre id="out"></pre>
<script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  const row = () => [...page.querySelector("#numbers tbody tr").cells].map(c => c.textContent);
  const line = () => page.querySelector("#chart-gain path.line").getAttribute("d");
  const [slider] = page.querySelectorAll("input[type=range]");
  const said = {{ row: row(), line: line(), slider: slider.value }};
  slider.value = slider.max;
  slider.dispatchEvent(new Event("input", {{ bubbles: true }}));
  const moved = {{ row: row(), line: line(), said: slider.getAttribute("aria-valuetext") }};
  const visible = [...page.querySelectorAll("main *")].filter(e => e.checkVisibility());
  document.querySelector("#out").textContent = JSON.stringify({{
    said, moved,
    scroll: page.documentElement.scrollWidth,
    wide: visible.filter(e => !e.closest(".scroll, .charts"))
      .filter(e => e.getBoundingClientRect().right > 391).map(e => e.tagName + e.className),
    labels: [...page.querySelectorAll("input[type=range]")].every(e => e.labels.length === 1),
    named: [...page.querySelectorAll("svg[role=img]")].every(e => e.getAttribute("aria-label")),
    back: getComputedStyle(page.body).backgroundColor,
    foreign: page.querySelectorAll("img, b").length,
  }});
}});
</script>
"""


def look(folder, html, fragment, *options):
    (folder / "page.html").write_text(html, encoding="utf-8")
    (folder / "frame.html").write_text(FRAME.format(fragment=fragment))
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu",
               "--virtual-time-budget=2000", "--allow-file-access-from-files",
               f"--user-data-dir={folder / 'profile'}",
               *options, "--dump-dom", (folder / "frame.html").as_uri()]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return json.loads(unescape(re.search(r'<pre id="out">(.*?)</pre>', done.stdout, re.S)[1]))


def gains(loss, **values):
    """What the library says where the table of the page does."""
    (knobs, subject) = (knobs_of(loss.subject), loss.subject)
    moved = varied(subject, [(k, values[k.label]) for k in knobs if k.label in values])
    view = view_of(moved, 1, "", points=2000)
    return [view.at(p)[2] for p in (0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99)]


@browser
def test_sliders_move_the_curves(tmp_path):
    found = explain("poly(epsilon=2)")
    html = found.to_html()
    seen = look(tmp_path, html, "epsilon=2", "--blink-settings=preferredColorScheme=0")
    for state, epsilon in (("said", 2.0), ("moved", 6.0)):
        shown = [float(text) for text in seen[state]["row"][1:]]
        assert shown == pytest.approx(gains(found.losses[0], epsilon=epsilon), rel=0.01)
        assert f"epsilon = {epsilon:g}" in seen[state]["row"][0]
    assert seen["said"]["line"] != seen["moved"]["line"]
    assert seen["moved"]["said"] == "6"
    assert seen["scroll"] <= 390
    assert seen["wide"] == []
    assert (seen["labels"], seen["named"]) == (True, True)
    assert seen["back"] == "rgb(18, 22, 27)"


@browser
def test_between_places_of_the_grid_and_with_names_that_are_markup(tmp_path):
    name = "<b>x</b></script><img src=x onerror=alert(1)>"
    loss = get("class_balanced(focal(gamma=2), beta=0.99)", counts=[100, 1])
    found = explain({name: loss})
    seen = look(tmp_path, found.to_html(), "gamma=0.45")
    shown = [float(text) for text in seen["said"]["row"][1:]]
    assert shown == pytest.approx(gains(found.losses[0], gamma=0.45), rel=0.03, abs=0.01)
    assert seen["foreign"] == 0
    assert seen["back"] == "rgb(255, 255, 255)"


def test_the_page_stands_alone_and_is_the_same_twice():
    found = explain(["brier", "taylor"])
    html = found.to_html()
    assert len(html.encode()) < SIZE_LIMIT
    assert html == found.to_html()
    assert "default-src 'none'" in html
    assert "http" not in html.replace("http-equiv", "").replace("http://www.w3.org/2000/svg", "")


def test_eight_losses_are_within_the_size():
    (loss,) = explain("asymmetric").losses  # two sides, and as many sliders as there may be
    assert len(loss.effects) > SLIDERS
    assert 8 * len(json.dumps(payload(loss, sampled(loss, 8)))) < 0.9 * SIZE_LIMIT


EXPLAINED = {
    spec.name if WHOLE_GRID or spec.name == "asymmetric" else spec.family: spec.name
    for spec in catalog.SPECS.values()
    if spec.takes == "logits" and spec.call not in ("features", "stacked")
}
"""The last loss of each family and one with many kinks, or every loss: each takes seconds."""


@pytest.mark.parametrize("name", EXPLAINED.values())
def test_what_is_between_the_places_of_a_grid_is_right(name):
    """Wherever its sliders stop, each curve is within 1 % of its range."""
    spec = catalog.SPECS[name]
    text = spec.examples[0] if issubclass(spec.module, WrapperLoss) else name
    try:
        (loss,) = explain(text).losses
    except ValueError as error:  # a loss of pictures
        pytest.skip(str(error))
    found, drawn = sampled(loss, 1), random.Random(1)  # noqa: S311 - settings, no secrets
    sides = (1, 0)[: len(loss.views)]
    assert len(json.dumps(payload(loss, found))) < SIZE_LIMIT
    for _ in range(12 if loss.subject.at_once else 4):
        values = [found.stop(i, drawn.random()) for i in range(len(found.knobs))]
        right = exact(loss.subject, found.knobs, values, sides)
        assert float(off(found.at(values), right, found.p)) < 0.01, values


def test_a_coarse_grid_that_may_stop_anywhere_is_seen():
    """Places without the checks between them: the error that the test above would find."""
    (loss,) = explain("focal(gamma=2)").losses
    found = sampled(loss, 1)
    few = (0, len(found.places[0].grid) // 2, -1)
    gamma = replace(found.places[0], grid=tuple(found.places[0].grid[i] for i in few))
    coarse = replace(found, places=(gamma, found.places[1]), lines=found.lines[list(few)])
    values = [0.4, 0.0]
    right = exact(loss.subject, found.knobs, values, (1,))
    assert float(off(coarse.at(values), right, found.p)) > 0.02
    assert float(off(found.at(values), right, found.p)) < 0.01
