"""Everything with a state: checkpoints of activations, micro-batches, long sums, process groups."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist

from kit.catalogued import CLASSIFICATION
from kit.checks import remembering as checks
from kit.remembering import BESIDE, EXAMPLES, REMEMBERING, Remembering, identified
from kit.traits import COUNTS, SCORED, STATEFUL, arguments_of, loss_of
from kit.turns import by_family
from taylored import catalog

each = pytest.mark.parametrize(**identified(REMEMBERING))
each_loss = pytest.mark.parametrize(**identified(EXAMPLES))


def test_what_remembers_is_found() -> None:
    found = {subject.text.partition("(")[0] for subject in EXAMPLES}
    assert found >= STATEFUL | SCORED | {"seesaw", "ghm", "adaface", "adacos"}


@pytest.mark.parametrize("reentrant", [False, True])
@each
def test_checkpoint(subject: Remembering, reentrant: bool) -> None:
    checks.check_checkpoint(subject, reentrant)


@by_family
@each_loss
def test_compiled_checkpoint(subject: Remembering) -> None:
    checks.check_compiled_checkpoint(subject)


@each
def test_accumulation(subject: Remembering) -> None:
    checks.check_accumulation(subject)


@by_family
@each_loss
def test_compiled_accumulation(subject: Remembering) -> None:
    checks.check_accumulation(subject, "eager")


def test_accumulation_is_differentiated_by_a_compiler() -> None:
    """As the tests before, with the backward traced too: a loss that gathers, one that counts."""
    for text in ("seesaw", "softmax_eql"):
        checks.check_accumulation(next(each for each in EXAMPLES if each.text == text), "aot_eager")


@each
def test_incomplete_group(subject: Remembering) -> None:
    checks.check_incomplete_group(subject)


@each
def test_resumed_group(subject: Remembering) -> None:
    checks.check_resumed_group(subject)


@each
def test_long_sums(subject: Remembering) -> None:
    checks.check_long_sums(subject)


@pytest.mark.parametrize("name", catalog.SPECS)
def test_every_loss_can_be_told(name: str) -> None:
    loss, twin = loss_of(name), loss_of(name)
    loss.accumulate(3)
    logits, target, further = arguments_of(name)
    found = []
    for one in (loss, twin):
        torch.manual_seed(0)
        found.append(one.eval()(logits, target, *further))
    assert torch.equal(*found)
    for wrong in (0, -1, 1.5, True, "3"):
        with pytest.raises(ValueError, match=r"^`micro_batches` must be .*Fix: "):
            loss.accumulate(wrong)


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_a_single_sample_in_training(name: str) -> None:
    spec = catalog.SPECS[name]
    if spec.call != "plain" or "softmax" not in spec.links:
        return
    link = {"link": "softmax"} if len(spec.links) > 1 and spec.inner == "none" else {}
    for reduction in ("mean", "none"):
        given = {"reduction": reduction} if spec.inner == "none" else {}
        loss = loss_of(name, **link, **given)
        value = loss(torch.zeros(len(COUNTS), requires_grad=True), torch.tensor(1))
        assert value.shape == ()
        assert value.isfinite()


@pytest.fixture
def group_of_one(tmp_path: Path) -> Any:
    store = (tmp_path / "store").as_uri()
    dist.init_process_group("gloo", init_method=store, rank=0, world_size=1)
    yield
    dist.destroy_process_group()


@pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch is built without gloo"
)
@pytest.mark.parametrize(**identified((*EXAMPLES, *BESIDE)))
def test_process_group(group_of_one: None, subject: Remembering) -> None:
    checks.check_process_group(subject)
