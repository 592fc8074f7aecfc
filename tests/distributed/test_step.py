"""A training step compiled as a whole: model, mixed precision, a loss with a state, DDP of two."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from kit.ranks import copied
from taylored.kernels import NATIVE, Library

pytestmark = pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch is built without gloo"
)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("step")
    copied(2, Path(__file__).with_name("worker_step.py"), folder)
    return [torch.load(folder / f"step-{rank}.pt") for rank in range(2)]


def test_it_is_one_graph(ranks: list[dict]) -> None:
    for record in ranks:
        assert len(record["graphs"]) == 1
        if isinstance(NATIVE, Library):
            assert sum("counting_sweep" in name for name in record["graphs"][0]) == 1


def test_it_gives_the_numbers_of_eager_steps(ranks: list[dict]) -> None:
    for record in ranks:
        eager, compiled = record["eager"], record["compiled"]
        assert eager["losses"] == pytest.approx(compiled["losses"], rel=1e-5)
        for name, expected in eager["after"].items():
            torch.testing.assert_close(compiled["after"][name], expected, rtol=1e-5, atol=1e-6)


def test_both_ranks_have_one_model_and_one_state(ranks: list[dict]) -> None:
    first, second = (record["compiled"] for record in ranks)
    assert first["losses"] != second["losses"]
    for name, expected in first["after"].items():
        torch.testing.assert_close(second["after"][name], expected, rtol=0, atol=0)
