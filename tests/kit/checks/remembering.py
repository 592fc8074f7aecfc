"""What must hold for everything that a training forward changes; the controls must fail these."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from kit.remembering import Remembering, State, batch, state_of, sums_of
from kit.tolerances import within

SIZES = (6, 3, 4)
"""Uneven micro-batches. None has as many rows as there are classes: a compiler would take the two
sizes for one, and begin anew at the next batch."""


def step(loss: nn.Module, seed: int, size: int) -> Tensor:
    """The gradient of a training step."""
    logits, target = batch(loss, seed, size)
    return stepped(loss, logits, target)


def stepped(loss: nn.Module, logits: Tensor, target: Tensor) -> Tensor:
    z = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(z, target).sum(), z)
    return gradient


def head_for(logits: Tensor) -> nn.Linear:
    """A last layer that gives what a loss is called on."""
    return nn.Linear(logits.shape[1], logits.shape[1]).double()


def same(found: State, expected: State, tolerance: float = 1e-12) -> None:
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        within(found[name], value, tolerance)


def _checkpointed(run: nn.Module, reentrant: bool) -> None:
    """A step whose checkpoint has the loss inside."""
    logits, target = batch(run, 1, 6)
    head = head_for(logits)
    value = checkpoint(
        lambda z: run(head(z), target), logits.requires_grad_(), use_reentrant=reentrant
    )
    value.sum().backward()


def _refused(loss: nn.Module, run: nn.Module, reentrant: bool) -> None:
    """A loss inside of a checkpoint is refused, and has not counted the batch twice."""
    with pytest.raises(ValueError, match="outside of activation checkpointing"):
        _checkpointed(run, reentrant)
    steps = [value for name, value in state_of(loss).items() if name.endswith("steps")]
    assert all(value <= 2 for value in steps)


def check_checkpoint(subject: Remembering, reentrant: bool) -> None:
    """Counted inside of a checkpoint: refused. Not counted, or outside: as without one."""
    loss = subject.build()
    step(loss, 0, 4)
    _refused(loss, loss, reentrant)

    loss.eval()
    plain = copy.deepcopy(loss)
    before = state_of(loss)
    logits, target = batch(loss, 2, 6)
    z, w = (logits.clone().requires_grad_() for _ in range(2))
    checkpoint(loss, z, target, use_reentrant=reentrant).sum().backward()
    plain(w, target).sum().backward()
    assert torch.equal(z.grad, w.grad)
    assert all(torch.equal(value, before[name]) for name, value in state_of(loss).items())

    head = head_for(logits)
    for each, around in ((loss.train(), True), (plain.train(), False)):
        z = logits.clone().requires_grad_()
        out = checkpoint(head, z, use_reentrant=reentrant) if around else head(z)
        each(out, target).sum().backward()
    same(state_of(loss), state_of(plain), 0)


def check_compiled_checkpoint(subject: Remembering) -> None:
    """A compiled loss inside of an eager checkpoint is refused too."""
    loss = subject.build()
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
    step(compiled, 0, 6)  # compiled before backward runs
    _refused(loss, compiled, reentrant=False)


def check_accumulation(subject: Remembering, backend: str | None = None) -> None:
    """Micro-batches leave the state of the one batch that they are."""
    loss, whole = subject.build(), subject.build()
    loss.accumulate(len(SIZES))
    run = loss
    if backend is not None:
        torch._dynamo.reset()
        run = torch.compile(loss, fullgraph=True, backend=backend, dynamic=True)
    for group in range(3):
        parts = [batch(loss, 10 * group + i, size) for i, size in enumerate(SIZES)]
        before = sums_of(copy.deepcopy(loss))
        gradients = []
        for i, part in enumerate(parts):
            gradients.append(stepped(run, *part))
            if i < len(SIZES) - 1 and subject.counts_afterwards:
                now = sums_of(loss)
                assert all(torch.equal(now[name], value) for name, value in before.items())
        stepped(whole, *(torch.cat(each) for each in zip(*parts, strict=True)))
        same(state_of(loss), state_of(whole))
    if subject.counts_afterwards:  # the weights of a group are those before it
        again = copy.deepcopy(loss)
        first, second = (step(again, 50, 5) for _ in range(2))
        assert torch.equal(first, second)


def check_incomplete_group(subject: Remembering) -> None:
    """An incomplete group is closed by saying the size again, and counts as the batch it is."""
    loss, whole = subject.build(), subject.build()
    loss.accumulate(3)
    parts = [batch(loss, i, size) for i, size in enumerate(SIZES[:2])]
    for part in parts:
        stepped(loss, *part)
    loss.accumulate(3)
    stepped(whole, *(torch.cat(each) for each in zip(*parts, strict=True)))
    same(state_of(loss), state_of(whole))
    loss.accumulate(1)
    for each in (loss, whole):
        step(each, 9, 4)
    same(state_of(loss), state_of(whole))


def check_resumed_group(subject: Remembering) -> None:
    """A training that was saved within a group goes on within it."""
    loss, other = subject.build(), subject.build()
    for each in (loss, other):
        each.accumulate(3)
    for seed in range(4):
        step(loss, seed, 4)
    other.load_state_dict(loss.state_dict())
    for seed in range(4, 9):
        assert torch.equal(step(loss, seed, 4), step(other, seed, 4))
    same(state_of(other), state_of(loss), 0)


def check_long_sums(subject: Remembering) -> None:
    """A state as after a long training still sees one more sample."""

    def after(start: float) -> State:
        loss = subject.build()
        state = loss.state_dict(keep_vars=True)
        for value in sums_of(loss).values():
            value.fill_(start)
        for name, value in state.items():
            if name.endswith("steps"):
                value.fill_(1)
        loss.float()  # as a trainer may do; sums stay as wide as they are
        step(loss, 3, 1)
        return {name: value.double() for name, value in sums_of(loss).items()}

    # All sums alike: the ratios, and with them the gradients, do not depend on the start.
    low, middle, high = after(2.0**8), after(2.0**9), after(2.0**26)
    for name, value in high.items():
        slope = (middle[name] - low[name]) / 2.0**8
        expected = low[name] + slope * (2.0**26 - 2.0**8)
        added = (low[name] - slope * 2.0**8).abs().max()
        assert (value - expected).abs().max() <= 1e-3 * added, name


def check_process_group(subject: Remembering) -> None:
    """A process group is kept, copied and assigned; no text or pickle has it. Needs a group."""
    group = dist.new_group([0])
    loss = subject.build()
    plain = repr(loss)
    assert loss.process_group is None
    loss.process_group = group
    assert repr(loss) == plain
    twin = copy.deepcopy(loss)
    assert twin.process_group is loss.process_group is group
    # Not opened from elsewhere: written in this line.
    found = pickle.loads(pickle.dumps(loss))  # noqa: S301
    assert "not pickled" in repr(found.process_group)
    with pytest.raises(ValueError, match="`process_group` .*loss.process_group = group"):
        step(found, 0, 4)
    for each in (found, twin):
        each.process_group = group
        step(each, 0, 4)
    step(loss, 0, 4)
    same(state_of(found), state_of(loss), 0)
    same(state_of(twin), state_of(loss), 0)
    for wrong in ("all", 3, [0, 1], True):
        with pytest.raises(ValueError, match=r"^`process_group` must be .*Fix: "):
            loss.process_group = wrong
    assert loss.process_group is group
    loss.process_group = dist.GroupMember.NON_GROUP_MEMBER
    with pytest.raises(ValueError, match="to which the calling process belongs"):
        step(loss, 0, 4)
