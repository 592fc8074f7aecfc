"""Components of Chinese characters: many labels per image, with the tail of the script.

KanjiVG groups the strokes of a character into the elements that it is made of, and the strokes of
an element into smaller ones. To find the elements in an image is a multi-label problem like finding
the objects in a photograph: a mouth is in a quarter of all characters, most elements in a handful.
"""

import re
from collections import Counter
from collections.abc import Callable
from importlib.metadata import Distribution

import numpy as np

from taylored.lab.data.assemble import RawData
from taylored.lab.data.builtin import kanjivg_package as package
from taylored.lab.data.builtin.cache import NamedArrays, cached
from taylored.lab.data.builtin.raster import BLACK, rasterise
from taylored.lab.data.builtin.svg_path import cubics

NAME = "kanjivg-components"
SIZE = 32
_FORMAT = 1  # raise whenever the numbers computed here change
_ELEMENT = re.compile(r'<g\b[^>]*?\skvg:element="([^"]+)"')
_PATH = re.compile(r'<path\b[^>]*?\sd="([^"]+)"')


def load_components(report: Callable[[str], None]) -> RawData:
    """All characters that have components, from the cache or from the installed package.

    Features: the drawing as 32 x 32 grey pixels, 0 (paper) to 1 (ink). Labels: the values of
    `kvg:element` inside the character, taken literally, most frequent first.
    """
    found = package.installed(NAME)
    arrays = cached(
        f"{NAME}-{found.version}-format{_FORMAT}",
        ("pixels", "labels", "class_names"),
        lambda: _parse(found, report),
        _check,
        report,
    )
    labels = package.typed(arrays, "labels", np.int8)
    pixels = package.typed(arrays, "pixels", np.uint8)[:, None]
    return RawData(
        name=NAME,
        features=(pixels / BLACK).astype(np.float32),
        labels=labels,
        class_names=tuple(str(name) for name in arrays["class_names"]),
        kind="image",
        source=package.source(found),
        licence=package.LICENCE,
        description=(
            f"Chinese characters as {SIZE}x{SIZE} grey images with the components they contain; "
            f"the imbalance is that of the script. {len(labels):,} characters, "
            f"{labels.shape[1]:,} components, {labels.sum() / len(labels):.1f} per character "
            "before rare ones are left out."
        ),
        citation=package.CITATION,
        notes=(
            "a character itself is not one of its labels; characters without annotated "
            "components are left out",
            "components nest: a label often implies those that it is made of",
            "one drawing per character, so no character is in two parts",
        ),
        task="multi-label",
    )


def _parse(found: Distribution, report: Callable[[str], None]) -> NamedArrays:
    drawn = [
        (elements, text)
        for character, text in package.drawings(found, report)
        if (elements := set(_ELEMENT.findall(text)) - {character})
    ]
    counts = Counter(element for elements, _ in drawn for element in elements)
    names = sorted(counts, key=lambda name: (-counts[name], name))
    number = {name: index for index, name in enumerate(names)}
    labels = np.zeros((len(drawn), len(names)), dtype=np.int8)
    for row, (elements, _) in enumerate(drawn):
        labels[row, [number[element] for element in elements]] = 1
    paths = [_PATH.findall(text) for _, text in drawn]
    report(f"drawing {len(drawn):,} images of {SIZE}x{SIZE} pixels (once, then cached)")
    pixels = rasterise(
        [cubics(path) for strokes in paths for path in strokes],
        np.repeat(np.arange(len(paths)), [len(strokes) for strokes in paths]),
        canvas=package.CANVAS,
        size=SIZE,
    )
    return {"pixels": pixels, "labels": labels, "class_names": np.array(names)}


def _check(arrays: NamedArrays) -> None:
    """Refuse a cached file that is not what `_parse` returns."""
    pixels = package.typed(arrays, "pixels", np.uint8)
    labels = package.typed(arrays, "labels", np.int8)
    names = arrays["class_names"]
    if pixels.shape != (len(labels), SIZE, SIZE) or not len(labels):
        raise ValueError("unexpected shapes")
    if names.ndim != 1 or names.dtype.kind != "U" or labels.shape != (len(labels), len(names)):
        raise ValueError("labels and their names do not fit")
    if pixels.max() > BLACK or labels.min() < 0 or labels.max() > 1:
        raise ValueError("values out of range")
