"""The draw of generated cases: every loss has its share of every test, planted faults all of it."""

from pathlib import Path
from types import SimpleNamespace

from kit.turns import FAMILY_SHARE, SHARE, by_family, waiting


class Item(SimpleNamespace):
    """What the draw reads of a test."""

    __hash__ = object.__hash__


def items(names: list[str], file: str = "test_some.py", mark: object = None) -> list[Item]:
    return [
        Item(
            nodeid=f"tests/{file}::test_it[{name}]",
            path=Path(file),
            get_closest_marker=lambda _: mark,
        )
        for name in names
    ]


LOSSES = ("focal(gamma=2)", "poly(epsilon=-1)", "giou")
CASES = [f"{loss}-{shape}" for loss in LOSSES for shape in range(10)]


def run(found: list[Item]) -> list[str]:
    late = waiting(found)
    return [each.nodeid.partition("[")[2] for each in found if each not in late]


def test_every_loss_gets_its_share():
    kept = run(items(CASES))
    assert len(kept) == len(LOSSES) * 2  # of ten, one in eight, rounded up
    assert all(sum(name.startswith(loss) for name in kept) == 2 for loss in LOSSES)
    assert SHARE == 8


def test_a_single_case_is_always_run():
    assert len(run(items(list(LOSSES)))) == len(LOSSES)


def test_slow_ones_share_a_family():
    kept = run(items(CASES, mark=by_family))
    assert len(kept) == 1 + 1  # focal and poly are one family of twenty
    more = [f"{loss}-{shape}" for loss in LOSSES for shape in range(20)]
    assert len(run(items(more, mark=by_family))) == 2 + 1
    assert FAMILY_SHARE == 24


def test_the_draw_does_not_depend_on_the_order():
    assert sorted(run(items(CASES))) == sorted(run(items(CASES[::-1])))


def test_faults_and_what_names_no_loss_are_always_run():
    assert len(run(items(CASES, file="test_some_controls.py"))) == len(CASES)
    assert len(run(items(["float16", "2x5"] * 4))) == 8
