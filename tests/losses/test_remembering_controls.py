"""Planted faults in states: every check of what remembers must be able to fail."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from kit.checks import remembering as checks
from kit.faults import Faults
from kit.remembering import BESIDE, REMEMBERING
from taylored.core.state import buffers, counting, side_effects
from taylored.core.state.distributed import Shared
from taylored.core.state.micro_batches import MicroBatches
from taylored.losses.detection_quality import ghm

BY_NAME = {subject.text.partition("(")[0]: subject for subject in reversed(REMEMBERING)}
SEESAW, GHM, SIGMOID = BY_NAME["seesaw"], BY_NAME["ghm"], BY_NAME["sigmoid_eql"]
QUALITY, MONITOR = BY_NAME["equalized_quality_focal"], BESIDE[0]

fault = Faults(pytest.fail.Exception, TypeError, RuntimeError)


@fault(checks.check_checkpoint, SEESAW, False)
@fault(checks.check_checkpoint, GHM, True)
@fault(checks.check_checkpoint, SIGMOID, False)
@fault(checks.check_checkpoint, QUALITY, True)
@fault(checks.check_compiled_checkpoint, SEESAW)
def a_second_forward_counts(patch: pytest.MonkeyPatch) -> None:
    for module in (side_effects, buffers):
        patch.setattr(module, "refuse_inside_backward", lambda: None)


@fault(checks.check_accumulation, SIGMOID)
@fault(checks.check_accumulation, GHM)
@fault(checks.check_accumulation, MONITOR)
def every_forward_is_a_batch(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MicroBatches, "resize", lambda self, micro_batches: None)


@fault(checks.check_incomplete_group, SIGMOID)
@fault(checks.check_incomplete_group, GHM)
def an_incomplete_group_is_lost(patch: pytest.MonkeyPatch) -> None:
    original = MicroBatches.resize

    def resize(self: MicroBatches, micro_batches: int) -> None:
        original(self, micro_batches)

    patch.setattr(MicroBatches, "resize", resize)


@fault(checks.check_resumed_group, SIGMOID)
@fault(checks.check_resumed_group, GHM)
def an_open_group_is_not_loaded(patch: pytest.MonkeyPatch) -> None:
    original = MicroBatches._load_from_state_dict

    def load(self: MicroBatches, *arguments: Any) -> None:
        original(self, *arguments)
        self.reset()

    patch.setattr(MicroBatches, "_load_from_state_dict", load)


@fault(checks.check_long_sums, SIGMOID)
@fault(checks.check_long_sums, GHM)
@fault(checks.check_long_sums, MONITOR)
def sums_in_float32(patch: pytest.MonkeyPatch) -> None:
    for module in (counting, ghm):
        patch.setattr(module, "keep_wide", lambda _module, _before: None)


@fault(checks.check_process_group, SIGMOID)
@fault(checks.check_process_group, SEESAW)
def groups_are_copied_as_other_values(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Shared, "__getstate__", lambda self: dict(self.__dict__))


@fault(checks.check_process_group, SIGMOID)
def a_forgotten_group_is_all_processes(patch: pytest.MonkeyPatch) -> None:
    original = Shared.__setstate__

    def restore(self: Shared, state: dict[str, Any]) -> None:
        original(self, state)
        if "not pickled" in repr(self.__dict__.get("process_group")):
            self.__dict__["process_group"] = None

    patch.setattr(Shared, "__setstate__", restore)


@pytest.fixture(autouse=True)
def group_of_one(tmp_path: Path) -> Any:
    torch._dynamo.reset()
    store = (tmp_path / "store").as_uri()
    dist.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch is built without gloo"
)
@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
