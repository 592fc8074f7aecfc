"""Losses are worked on side by side, with the same numbers on any machine."""

import numpy as np
import pytest
import torch

from kit.tested_rows import groups_of, one_class
from taylored.lab.measures import measure, metrics_of
from taylored.lab.measures.recalibrate import recalibrated
from taylored.lab.side_by_side import one_thread, side_by_side


@pytest.fixture(autouse=True)
def _threads():
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [1, 2])
def test_torch_has_one_thread_inside_and_as_many_as_before_afterwards(threads):
    torch.set_num_threads(threads)
    assert side_by_side(lambda item: (item, torch.get_num_threads()), "abc") == [
        ("a", 1),
        ("b", 1),
        ("c", 1),
    ]
    with pytest.raises(RuntimeError), one_thread():
        raise RuntimeError
    assert torch.get_num_threads() == threads


def test_the_last_digit_does_not_depend_on_the_threads():
    tested = one_class(rows=20_000)
    groups = groups_of(tested)
    priors = torch.log(torch.tensor(tested.class_counts / tested.rows))
    priors = priors.expand(tested.repeats, tested.fold_count, -1)

    def numbers(_: int) -> list[np.ndarray]:
        found = measure(tested, groups, metrics_of(tested))
        pseudo = [each.rows.pseudo for each in found.values() if each.rows is not None]
        return [*pseudo, recalibrated(tested, priors).log_p.numpy()]

    told = []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        told.append(side_by_side(numbers, [0])[0])
    for one, two in zip(*told, strict=True):
        assert one.tobytes() == two.tobytes()
