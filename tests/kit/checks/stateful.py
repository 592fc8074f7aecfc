"""The checks that every loss with state has to pass; the negative controls must fail them."""

from __future__ import annotations

import copy
import io
import pickle

import pytest
import torch
from torch import Tensor, nn

from kit.executors import running
from kit.stateful import Batch, Subject
from kit.tolerances import within

State = dict[str, Tensor]


def stepped(loss: nn.Module, batch: Batch, **options: object) -> tuple[Tensor, Tensor]:
    """Value of one training step, and the gradient of the summed loss."""
    z = batch.logits.detach().clone().requires_grad_()
    value = loss(z, batch.target, **options)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient


def state_of(loss: nn.Module) -> State:
    """A copy of the loss' state."""
    return {name: buffer.clone() for name, buffer in loss.indicator.named_buffers(recurse=False)}


def same(left: State, right: State) -> bool:
    """Bit for bit."""
    assert left.keys() == right.keys() == {"positive", "negative", "steps"}
    return all(
        left[name].dtype == right[name].dtype and torch.equal(left[name], right[name])
        for name in left
    )


def run_in(
    loss: nn.Module, subject: Subject, steps: int, dtype: torch.dtype = torch.float64
) -> None:
    """Bring a new loss into some state."""
    for step in range(steps):
        stepped(loss, subject.batch(step, dtype=dtype))


def check_steps(subject: Subject, steps: int = 200, path: str = "whole") -> None:
    """Values, gradients and state of random batches against the official update, step by step."""
    loss, official = subject.build(), subject.official()
    for step in range(steps):
        batch = subject.batch(step)
        options = options_of(subject, step, len(batch.logits))
        expected, expected_gradient = official.step(batch.logits, batch.target, **options)
        with running(path):
            value, gradient = stepped(loss, batch, **options)
        within(value, expected)
        within(gradient, expected_gradient)
        within(loss.indicator.positive, official.positive)
        within(loss.indicator.negative, official.negative)
        assert loss.indicator.steps.item() == official.steps == step + 1


def options_of(subject: Subject, step: int, size: int) -> dict[str, object]:
    """Arguments of the call that some steps have: sample weights, another denominator."""
    options: dict[str, object] = {}
    if step % 5 == 4:
        options["sample_weight"] = torch.linspace(0, 2, size, dtype=torch.float64)
    if step % 7 == 6 and subject.call.option("reduction", "mean") == "mean":
        options["normalizer"] = 3.5
    return options


def check_target_forms(subject: Subject) -> None:
    """Hard targets in whatever form, from logits in whatever layout, count alike."""
    for step in range(3):
        batch = subject.batch(3 * step + 1, size=8, trailing=(3,), kind="index")
        hot = torch.stack([batch.target == column for column in range(subject.columns)], dim=1)
        forms = [batch.target, batch.target.to(torch.uint8)]
        if subject.call.link() == "sigmoid":
            forms += [hot, hot.long(), hot.double()]
        elif subject.call.option("weight") is None:  # their mean is over positions
            forms.append(hot.double())
        found = []
        for target in forms:
            for layout in (batch.logits, batch.logits.movedim(1, -1).contiguous().movedim(-1, 1)):
                loss = subject.build()
                run_in(loss, subject, 3)
                values = stepped(loss, Batch(layout, target))
                found.append((*values, *state_of(loss).values()))
                if target is batch.target:  # logits that nobody differentiates count too
                    loss = subject.build()
                    run_in(loss, subject, 3)
                    value = loss(layout, target)
                    assert not value.requires_grad
                    found.append((value, values[1], *state_of(loss).values()))
        for other in found[1:]:
            for got, wanted in zip(other, found[0], strict=True):
                within(got, wanted, 1e-12)


def check_weights_are_from_before(subject: Subject) -> None:
    """A training step has the value that a validation step would have had just before it."""
    loss = subject.build()
    for step in range(8):
        batch = subject.batch(step)
        expected = stepped(loss.eval(), batch)
        found = stepped(loss.train(), batch)
        for got, wanted in zip(found, expected, strict=True):
            assert torch.equal(got, wanted)
    moved = stepped(loss.eval(), batch)
    assert not torch.equal(moved[0], expected[0])  # or the state would make no difference


def check_untouched(subject: Subject) -> None:
    """Validation, no_grad and frozen forwards see the state and leave it bit for bit."""
    loss = subject.build()
    run_in(loss, subject, 5)
    before, batch = state_of(loss), subject.batch(5, size=8)

    loss.eval()
    stepped(loss, batch)
    loss.train()
    with torch.no_grad():
        loss(batch.logits, batch.target)
    with torch.inference_mode():
        loss(batch.logits, batch.target)
    loss.indicator.freeze()
    stepped(loss, batch)
    loss.predict(batch.logits)
    loss.indicator.unfreeze()
    loss.predict(batch.logits)
    if loss.has_posterior:
        loss.posterior(batch.logits)
    assert same(state_of(loss), before)

    stepped(loss, batch)
    after = state_of(loss)
    assert after["steps"] == before["steps"] + 1
    assert (after["negative"] != before["negative"]).any()


def check_reset(subject: Subject) -> None:
    """After a reset the loss is a new one."""
    loss = subject.build()
    run_in(loss, subject, 5)
    loss.indicator.reset()
    fresh = subject.build()
    assert same(state_of(loss), state_of(fresh))
    for step in range(3):
        found, expected = (stepped(each, subject.batch(step)) for each in (loss, fresh))
        assert torch.equal(found[0], expected[0])
        assert same(state_of(loss), state_of(fresh))


def check_round_trip(subject: Subject, dtype: torch.dtype) -> None:
    """A state dict through a file gives the next steps bit for bit."""
    loss = subject.build(dtype)
    run_in(loss, subject, 7, dtype)
    file = io.BytesIO()
    torch.save(loss.state_dict(), file)
    file.seek(0)
    other = subject.build(dtype)
    other.load_state_dict(torch.load(file, weights_only=True))
    _go_on_alike(subject, loss, other, dtype)


def check_copies(subject: Subject, dtype: torch.dtype) -> None:
    """deepcopy and pickle carry the state, and share none of it."""
    loss = subject.build(dtype)
    run_in(loss, subject, 7, dtype)
    # Not opened from elsewhere: written in this line.
    for other in (copy.deepcopy(loss), pickle.loads(pickle.dumps(loss))):  # noqa: S301
        before = state_of(loss)
        twin = copy.deepcopy(loss)
        _go_on_alike(subject, twin, other, dtype)
        assert same(state_of(loss), before)


def _go_on_alike(subject: Subject, loss: nn.Module, other: nn.Module, dtype: torch.dtype) -> None:
    for step in range(7, 11):
        batch = subject.batch(step, dtype=dtype)
        found = [stepped(each, batch) for each in (loss, other)]
        assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))
        assert same(state_of(loss), state_of(other))


def check_wide_buffers(subject: Subject) -> None:
    """Half precision is never for sums."""
    batches = [subject.batch(step, dtype=torch.float32) for step in range(6)]
    plain = subject.build(torch.float32)
    losses = [subject.build(torch.float32) for _ in range(2)]
    for each in (plain, *losses):
        for batch in batches[:3]:
            stepped(each, batch)
    losses[0].half()
    losses[1].bfloat16()
    for each in losses:
        assert same(state_of(each), state_of(plain))
    plain.float()
    assert same(state_of(plain), state_of(losses[0]))
    for batch in batches[3:]:
        for each, storage in zip(losses, (torch.float16, torch.bfloat16), strict=True):
            low = batch.logits.to(storage)
            wide = copy.deepcopy(each).float()
            stepped(each, Batch(low, batch.target))
            stepped(wide, Batch(low.float(), batch.target))
            for name in ("positive", "negative"):
                buffer = getattr(each.indicator, name)
                assert buffer.dtype == torch.float64
                within(buffer, getattr(wide.indicator, name), 1e-5)


def check_loss_scale(subject: Subject) -> None:
    """Loss scaling and autocast change neither the state nor, with it, the ratio."""
    plain, scaled, cast = (subject.build(torch.float32) for _ in range(3))
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**16)
    for step in range(6):
        batch = subject.batch(step, dtype=torch.float32)
        stepped(plain, batch)
        z = batch.logits.clone().requires_grad_()
        scaler.scale(scaled(z, batch.target).sum()).backward()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            stepped(cast, batch)
        assert same(state_of(scaled), state_of(plain))
        assert same(state_of(cast), state_of(plain))
        assert torch.equal(cast.indicator.ratio(), plain.indicator.ratio())


def check_logits_untouched(subject: Subject) -> None:
    """The caller's logits and targets are read only, also as a view into something larger."""
    loss = subject.build()
    for step in range(4):
        batch = subject.batch(step)
        wide = torch.stack([batch.logits, batch.logits], dim=0)
        kept, target = wide.clone(), batch.target.clone()
        view = wide[0].requires_grad_() if step % 2 else wide.requires_grad_()[0]
        version = view._version
        loss(view, batch.target).sum().backward()
        assert torch.equal(wide, kept)
        assert torch.equal(batch.target, target)
        assert view._version == version


def check_double_forward(subject: Subject) -> None:
    """Two forwards in a step count twice, the second sees the first; backward counts nothing."""
    loss, official = subject.build(), subject.official()
    batch = subject.batch(1, size=8)
    z = batch.logits.clone().requires_grad_()
    values = [loss(z, batch.target), loss(z, batch.target)]
    counted = state_of(loss)
    total = sum(value.sum() for value in values)
    (gradient,) = torch.autograd.grad(total, z, create_graph=True)
    gradient.square().sum().backward()
    for value in values:
        expected, _ = official.step(batch.logits, batch.target)
        within(value, expected)
    within(loss.indicator.positive, official.positive)
    within(loss.indicator.negative, official.negative)
    assert same(state_of(loss), counted)
    assert counted["steps"] == 2


def check_accumulation(subject: Subject) -> None:
    """Micro-batches of one optimizer step are steps of the state; their gradients add up."""
    loss, official = subject.build(), subject.official()
    weight = torch.linspace(-1, 1, 3 * subject.columns, dtype=torch.float64)
    weight = weight.reshape(3, subject.columns).requires_grad_()
    total = torch.zeros_like(weight)
    for step in range(4):
        batch = subject.batch(step, trailing=())
        features = torch.linspace(0, 1, 3 * len(batch.logits), dtype=torch.float64).reshape(-1, 3)
        logits = features @ weight + batch.logits
        (loss(logits, batch.target).sum() / 4).backward()
        _, gradient = official.step(logits.detach(), batch.target)
        total += features.T @ gradient / 4
    within(weight.grad, total)
    within(loss.indicator.positive, official.positive)
    within(loss.indicator.negative, official.negative)


def check_compile(subject: Subject, backend: str) -> None:
    """One graph, compiled once: the values, gradients and state of the plain loss."""
    loss, plain = subject.build(), subject.build()
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend=backend)
    kind = subject.kinds[0]
    for step in range(6):
        batch = subject.batch(step, size=6, trailing=(2,), kind=kind)
        with torch._dynamo.config.patch(error_on_recompile=step > 0):
            found = stepped(compiled, batch)
        expected = stepped(plain, batch)
        for got, wanted in zip(found, expected, strict=True):
            within(got, wanted, 1e-11)
        for name, buffer in state_of(plain).items():
            within(state_of(loss)[name], buffer, 1e-11)
    before = state_of(loss)
    compiled.eval()
    within(compiled(batch.logits, batch.target), plain.eval()(batch.logits, batch.target), 1e-11)
    assert same(state_of(loss), before)


def check_batch_sizes(subject: Subject) -> None:
    """Compiled for any batch size, once."""
    loss, plain = subject.build(), subject.build()
    torch._dynamo.reset()
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager", dynamic=True)
    for step, size in enumerate((6, 3, 11)):
        batch = subject.batch(step, size=size, trailing=(2,), kind=subject.kinds[0])
        with torch._dynamo.config.patch(error_on_recompile=step > 0):
            found = stepped(compiled, batch)
        for got, wanted in zip(found, stepped(plain, batch), strict=True):
            within(got, wanted, 1e-11)


def check_functorch(subject: Subject) -> None:
    """A training forward inside a transform says what to do; a frozen one works."""
    loss = subject.build()
    run_in(loss, subject, 4)
    batch, before = subject.batch(4, size=6, trailing=(), kind=subject.kinds[0]), state_of(loss)

    def total(z: Tensor, y: Tensor) -> Tensor:
        return loss(z, y).sum()

    def single(z: Tensor, y: Tensor) -> Tensor:
        return total(z.unsqueeze(0), y.unsqueeze(0))

    for transform in (torch.func.grad(total), torch.func.vmap(single)):
        with pytest.raises(ValueError, match=r"frozen.*freeze\(\)"):
            transform(batch.logits, batch.target)
        assert same(state_of(loss), before)
    loss.indicator.freeze()
    gradient = torch.func.grad(total)(batch.logits, batch.target)
    within(gradient, stepped(loss, batch)[1], 1e-11)
    each = torch.func.vmap(single)(batch.logits, batch.target)
    alone = [single(z, y) for z, y in zip(batch.logits, batch.target, strict=True)]
    within(each, torch.stack(alone), 1e-11)
    assert same(state_of(loss), before)
