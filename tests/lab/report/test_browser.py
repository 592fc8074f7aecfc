"""The report in a real browser: no horizontal scrolling on a phone, light and dark."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html import unescape

import pytest

from kit.lab_results import HOSTILE, dataset, results
from taylored.lab.outcome import Comparison

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "chrome"))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="needs the browser chromium")

FRAME = """<!doctype html><title>frame</title>
<iframe src="report.html" style="width:{width}px;height:800px;border:0"></iframe>
<pre id="out"></pre>
<script>
addEventListener("load", () => {{
  const page = document.querySelector("iframe").contentDocument;
  const style = getComputedStyle(page.body);
  const visible = [...page.querySelectorAll("main *")].filter(e => e.checkVisibility());
  const wide = visible.filter(e => !e.closest(".scroll, pre, svg"))
    .filter(e => e.getBoundingClientRect().right > {width} + 1);
  document.querySelector("#out").textContent = JSON.stringify({{
    scroll: page.documentElement.scrollWidth,
    wide: wide.map(e => e.tagName + "." + e.className),
    back: style.backgroundColor,
    ink: style.color,
    fills: [...page.querySelectorAll("#differences text")].map(e => getComputedStyle(e).fill),
    alerts: page.querySelectorAll("img, script:not([type])").length - 1,
    tools: page.querySelectorAll("th button, .tools button, pre button").length,
  }});
}});
</script>
"""


def look(folder, width, *options):
    (folder / "frame.html").write_text(FRAME.format(width=width))
    done = subprocess.run(
        [
            CHROMIUM,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--allow-file-access-from-files",
            f"--user-data-dir={folder / 'profile'}",
            "--virtual-time-budget=3000",
            *options,
            "--dump-dom",
            (folder / "frame.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return json.loads(unescape(re.search(r'<pre id="out">(.*?)</pre>', done.stdout)[1]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("report")
    long = "my_package.my_module:a_loss_with_a_very_long_name_" + "x" * 60
    specs = [("focal(gamma=2)", 0, 0.1), (long, 1, 0.5), *[(n, 0, 0.1) for n in HOSTILE[:4]]]
    data = dataset(12, names=HOSTILE)
    Comparison(results(specs, data=data)).to_html(path / "report.html")
    return path


@pytest.mark.parametrize("width", [320, 390, 1280])
def test_page_never_scrolls_sideways(folder, width):
    seen = look(folder, width)
    assert seen["scroll"] <= width
    assert seen["wide"] == []
    assert seen["alerts"] == 0
    assert seen["tools"] > 20, "the script of the page did not run"


def test_dark_page_has_dark_figures(folder):
    light = look(folder, 1000)
    dark = look(folder, 1000, "--blink-settings=preferredColorScheme=0")
    assert light["back"] == "rgb(255, 255, 255)"
    assert dark["back"] == "rgb(18, 22, 27)"
    assert light["ink"] in light["fills"]
    assert dark["ink"] in dark["fills"]
    assert not set(light["fills"]) & set(dark["fills"])
