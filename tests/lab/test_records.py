"""Records as JSON and back: nothing is lost, and nothing of another shape gets in."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest

from kit.said import Said, problem
from taylored.lab.records import from_json, to_json
from taylored.lab.results import Results


@dataclass(frozen=True)
class Inner:
    word: str
    number: float | None


@dataclass(frozen=True)
class Outer:
    count: int
    rates: float | Mapping[str, float]
    pairs: tuple[tuple[str, int], ...]
    inner: Inner | None
    known: Mapping[str, Inner]


SAID = Said(problem((60, 30, 15)))
OUTER = Outer(3, {"a": 0.1}, (("x", 1), ("y", 2)), Inner("w", None), {"k": Inner("v", 2.5)})


@pytest.mark.parametrize("record", [OUTER, replace(OUTER, rates=0.5, inner=None, pairs=())])
def test_what_is_written_is_read(record):
    assert from_json(Outer, json.loads(json.dumps(to_json(record)))) == record


def test_results_are_read_as_they_were():
    found = SAID.judged(SAID.loss("x", SAID.right(1)))
    assert from_json(Results, json.loads(json.dumps(to_json(found)))) == found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"count": 1.5}, "file.count must be int, got 1.5"),
        ({"count": True}, "file.count must be int, got True"),
        ({"count": None}, "file.count must be int, got None"),
        ({"rates": "fast"}, "file.rates must be float | "),
        ({"pairs": [["x", 1], ["y"]]}, "file.pairs[1] must hold 2 values, got 1"),
        ({"pairs": {}}, "file.pairs must be tuple"),
        ({"inner": {"word": "w"}}, "file.inner must have the keys of Inner; missing: number;"),
        ({"inner": {"word": "w", "number": "1"}}, "file.inner.number must be float, got '1'"),
        ({"known": {"k": []}}, "file.known.k must have the keys of Inner"),
        ({"extra": 1}, "unknown: extra"),
    ],
)
def test_other_shapes_are_refused_by_place(change, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        from_json(Outer, to_json(OUTER) | change, "file")


def test_words_come_from_their_list():
    content = to_json(SAID.judged(SAID.loss("x", SAID.right(1))))
    content["losses"][2]["verdict"] = "splendid"
    with pytest.raises(ValueError, match=r"losses\[2\]\.verdict must be .*splendid"):
        from_json(Results, content)
