"""The engine: what is saved, which way is taken, and every kind of derivative."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

from kit.executors import PATHS, running
from references import Call, reference_loss
from taylored import (
    BinaryCrossEntropyLoss,
    CrossEntropyLoss,
    FocalLoss,
    PolyLoss,
    TaylorLoss,
    TermLoss,
    cross_entropy_loss,
    focal_loss,
    poly_loss,
    term_loss,
    terms,
)
from taylored.core.engine import blocked, executors
from taylored.core.engine.blocked import Blocked
from taylored.core.engine.executor import Swept
from taylored.core.engine.whole import Whole
from taylored.core.plan.options import Options
from taylored.core.plan.prepare import prepare

N, C = 6, 5
LOSSES = {
    "cross_entropy": CrossEntropyLoss(),
    "smoothed": CrossEntropyLoss(label_smoothing=0.1),
    "focal": FocalLoss(gamma=0.5, weight=[1.0, 2.0, 0.5, 1.0, 3.0]),
    "poly": PolyLoss(epsilon=[1.0, 0.5], gamma=1.5),
    "taylor": TaylorLoss(num_terms=500),
    "binary": BinaryCrossEntropyLoss(pos_weight=2.0),
    "binary_focal": FocalLoss(gamma=1.5, link="sigmoid", alpha=0.25),
    "adjusted": TermLoss(
        terms.power(2) * terms.nll, logit_bias=[0.0, 1.0, 2.0, -1.0, 0.5], temperature=2.0
    ),
}
each_loss = pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES)
each_path = pytest.mark.parametrize("path", PATHS)


def draw(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (2 * torch.randn(shape, generator=generator, dtype=torch.float64)).to(dtype)


CLASSES = torch.tensor([0, 1, 2, 3, 4, 1])


def close(left: Tensor, right: Tensor, rtol: float = 1e-9, atol: float = 1e-11) -> None:
    torch.testing.assert_close(left, right, rtol=rtol, atol=atol)


# --- what is kept -------------------------------------------------------------------------------


def saved_by(function) -> list[Tensor]:
    found: list[Tensor] = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: (found.append(t), t)[1], lambda t: t):
        function()
    return found


@each_loss
@pytest.mark.parametrize("path", ["whole", "blocked"])
@pytest.mark.parametrize(
    ("dtype", "stored"),
    [
        (torch.float64, torch.float64),
        (torch.float32, torch.float32),
        (torch.bfloat16, torch.bfloat16),
        (torch.float16, torch.float32),  # by design: see `gradient_dtype`
    ],
)
def test_saves_logits_target_and_one_gradient(
    loss, path: str, dtype: torch.dtype, stored: torch.dtype
) -> None:
    logits = draw(N, C, dtype=dtype).requires_grad_()
    with running(path):
        saved = saved_by(lambda: loss(logits, CLASSES))
    large = [tensor for tensor in saved if tensor.numel() >= logits.numel()]
    assert sorted(str(t.dtype) for t in large) == sorted([str(dtype), str(stored)])
    assert any(t.data_ptr() == logits.data_ptr() for t in large)  # not a copy
    # Besides, numbers per class, to notice when somebody writes to them.
    assert sum(t.numel() for t in saved if t.numel() > C) == 2 * logits.numel() + CLASSES.numel()


@each_loss
@pytest.mark.parametrize("path", ["whole", "blocked"])
def test_no_graph_through_temporaries(loss, path: str) -> None:
    logits = draw(N, C).requires_grad_()
    with running(path):
        value = loss(logits, CLASSES)
    nodes, waiting = set(), [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if node is not None and node not in nodes:
            nodes.add(node)
            waiting += [following for following, _ in node.next_functions]
    assert 2 <= len(nodes) <= 4, nodes  # the loss, the leaf, at most two views


def test_the_paths_are_what_the_tests_think_they_are(monkeypatch) -> None:
    ran = []
    for executor in (Whole, Blocked):
        for name in ("value", "sweep"):
            original = getattr(executor, name)

            def spy(self, *args, original=original, name=name, **options):
                ran.append((self.name, name))
                return original(self, *args, **options)

            monkeypatch.setattr(executor, name, spy)
    logits = draw(N, C).requires_grad_()
    with running("whole"):
        cross_entropy_loss(logits, CLASSES)
        cross_entropy_loss(logits.detach(), CLASSES)
    with running("blocked"):
        cross_entropy_loss(logits, CLASSES)
        cross_entropy_loss(logits.detach(), CLASSES)
    with running("composed"):
        cross_entropy_loss(logits, CLASSES)
    assert ran == [
        ("whole", "sweep"),
        ("whole", "value"),
        ("blocked", "sweep"),
        ("blocked", "value"),
        ("whole", "value"),
    ]


@pytest.mark.parametrize("block", [1, 2, 5, 7, 11, 20, 59, 60, 61])
@pytest.mark.parametrize("shape", [(12, 5), (3, 5, 4), (2, 5, 3, 2), (1, 5, 12), (12, 2)])
@pytest.mark.parametrize("reduction", ["none", "mean"])
def test_any_size_of_block(block: int, shape: tuple[int, ...], reduction: str, monkeypatch) -> None:
    logits = draw(*shape)
    target = torch.arange(logits[:, :1].numel()).reshape(shape[:1] + shape[2:]) % shape[1]
    soft = torch.softmax(draw(*shape, seed=1), dim=1)
    found = []
    for size in (block, 10**9):
        monkeypatch.setattr(blocked, "BLOCK_ELEMENTS", size)
        for link in ("softmax", "sigmoid"):
            for y in (target, soft):
                z = logits.clone().requires_grad_()
                value = focal_loss(z, y, link=link, gamma=1.5, reduction=reduction)
                (gradient,) = torch.autograd.grad(value.sum(), z)
                plain = focal_loss(logits, y, link=link, gamma=1.5, reduction=reduction)
                found.append((value.detach(), gradient, plain))
    for left, right in zip(found[:4], found[4:], strict=True):
        for a, b in zip(left, right, strict=True):
            close(a, b, rtol=1e-13, atol=1e-15)


def test_registered_executors_come_first_and_may_decline(monkeypatch) -> None:
    class Doubling:
        name = "doubling"

        def accepts(self, logits, plan):
            return logits.shape[0] == 3

        def value(self, logits, plan):
            return 2 * Whole().value(logits, plan)

        def sweep(self, logits, plan, *, sums=None):
            found = Whole().sweep(logits, plan, sums=sums)
            return Swept(2 * found.loss, 2 * found.gradient)

    monkeypatch.setattr(executors, "_EXECUTORS", list(executors._EXECUTORS))
    plain = [cross_entropy_loss(draw(n, C), CLASSES[:n]) for n in (3, 4)]
    executors.register(Doubling())
    again = [cross_entropy_loss(draw(n, C), CLASSES[:n]) for n in (3, 4)]
    close(again[0], 2 * plain[0])
    close(again[1], plain[1])


# --- modes --------------------------------------------------------------------------------------


@each_path
def test_grad_mode_is_left_alone(path: str) -> None:
    logits = draw(N, C).requires_grad_()
    for enabled in (True, False):
        with torch.set_grad_enabled(enabled), running(path):
            value = FocalLoss()(logits, CLASSES)
            assert torch.is_grad_enabled() is enabled
            assert value.requires_grad is enabled
    with torch.inference_mode(), running(path):
        inference = FocalLoss()(logits, CLASSES)
        assert inference.is_inference()
    close(inference.clone(), value)


@each_loss
def test_same_value_with_and_without_gradients(loss) -> None:
    logits = draw(N, C)
    with torch.no_grad():
        plain = loss(logits, CLASSES)
    assert plain.grad_fn is None
    close(plain, loss(logits.clone().requires_grad_(), CLASSES).detach(), rtol=1e-14)
    assert loss(logits, CLASSES).grad_fn is None


def test_backward_twice_and_accumulation() -> None:
    """The saved gradient may be handed out, but never to someone who changes it for others."""
    logits = draw(N, C).requires_grad_()
    value = FocalLoss()(logits, CLASSES)
    value.backward(retain_graph=True)
    first = logits.grad.clone()
    value.backward(retain_graph=True)
    close(logits.grad, 2 * first)
    value.backward()
    close(logits.grad, 3 * first)
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        value.backward()


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_gradients_changed_in_place_do_not_reach_the_next_backward(factor: float) -> None:
    logits = draw(N, C).requires_grad_()
    value = FocalLoss()(logits, CLASSES) * factor
    value.backward(retain_graph=True)
    first = logits.grad.clone()
    logits.grad.zero_()
    try:
        value.backward()
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)  # loud is fine, wrong is not
    else:
        close(logits.grad, first)


def test_hooks_that_scale_in_place() -> None:
    logits = draw(N, C)
    found = []
    for hooked in (False, True):
        leaf = logits.clone().requires_grad_()
        inner = leaf * 1.0
        if hooked:
            inner.register_hook(lambda g: g.mul_(0.5))
        FocalLoss()(inner, CLASSES).backward()
        found.append(leaf.grad)
    close(found[1], 0.5 * found[0])


def test_zero_and_missing_upstream_gradients() -> None:
    logits = draw(N, C).requires_grad_()
    value = FocalLoss(reduction="none")(logits, CLASSES)
    (gradient,) = torch.autograd.grad(value, logits, torch.zeros_like(value))
    assert (gradient == 0).all()
    (gradient,) = torch.autograd.grad(value.detach().sum() + 0 * logits.sum(), logits)
    assert (gradient == 0).all()


def test_expanded_upstream_gradients_of_batches() -> None:
    """is_grads_batched: a Jacobian by batched backward."""
    logits = draw(N, C).requires_grad_()
    value = FocalLoss(reduction="none")(logits, CLASSES)
    (rows,) = torch.autograd.grad(value, logits, torch.eye(N).double(), is_grads_batched=True)
    whole = FocalLoss(reduction="sum")(logits, CLASSES)
    (gradient,) = torch.autograd.grad(whole, logits)
    close(rows.sum(0), gradient)
    assert (rows[0, 1:] == 0).all()


def test_checkpointing_recomputes() -> None:
    logits = draw(N, C).requires_grad_()
    value = torch.utils.checkpoint.checkpoint(
        lambda z: FocalLoss()(z * 2, CLASSES), logits, use_reentrant=False
    )
    (found,) = torch.autograd.grad(value, logits)
    (expected,) = torch.autograd.grad(FocalLoss()(logits * 2, CLASSES), logits)
    close(found, expected)


# --- every kind of derivative -------------------------------------------------------------------


@each_loss
def test_functorch_transforms(loss) -> None:
    logits = draw(N, C)

    def f(z: Tensor) -> Tensor:
        return loss(z, CLASSES)

    leaf = logits.clone().requires_grad_()
    value = f(leaf)
    (gradient,) = torch.autograd.grad(value, leaf)
    close(torch.func.grad(f)(logits), gradient)
    close(torch.func.grad_and_value(f)(logits)[1], value.detach())
    close(torch.func.jacrev(f)(logits), gradient)
    close(torch.func.jacfwd(f)(logits), gradient)
    hessian = torch.func.hessian(f)(logits)
    close(torch.func.jacrev(torch.func.grad(f))(logits), hessian)
    close(torch.autograd.functional.hessian(f, logits), hessian)
    direction = draw(N, C, seed=3)
    _, tangent = torch.func.jvp(f, (logits,), (direction,))
    close(tangent, (gradient * direction).sum())
    _, pull = torch.func.vjp(f, logits)
    close(pull(torch.tensor(2.0, dtype=torch.float64))[0], 2 * gradient)
    batch = torch.stack([logits, -logits])
    close(torch.func.vmap(f)(batch), torch.stack([f(logits), f(-logits)]))
    close(
        torch.func.vmap(torch.func.grad(f))(batch)[0],
        gradient,
    )


@each_loss
def test_forward_mode_with_a_graph_and_without(loss) -> None:
    logits, direction = draw(N, C), draw(N, C, seed=4)
    leaf = logits.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(loss(leaf, CLASSES), leaf)
    for z in (logits, leaf):
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(z, direction)
            tangent = forward_ad.unpack_dual(loss(dual, CLASSES)).tangent
        close(tangent.detach(), (gradient * direction).sum())


@each_loss
def test_third_derivatives(loss) -> None:
    logits = draw(2, C).requires_grad_()

    def second(z: Tensor) -> Tensor:
        (g,) = torch.autograd.grad(loss(z, CLASSES[:2]), z, create_graph=True)
        (h,) = torch.autograd.grad((g * draw(2, C, seed=5)).sum(), z, create_graph=True)
        return h

    assert torch.autograd.gradcheck(second, logits)


def compared(
    call: Call, function, logits: Tensor, target: Tensor, names: dict[str, Tensor]
) -> None:
    """Gradients to the logits and to named tensors, ours and the reference's."""
    found = []
    for ours in (True, False):
        z = logits.clone().requires_grad_()
        given = {name: t.clone().requires_grad_() for name, t in names.items()}
        y = given.pop("target", target)
        if ours:
            value = function(z, y, **given)
        else:
            outer = {k: given.pop(k) for k in ("sample_weight", "normalizer") if k in given}
            value = reference_loss(call.having(**given), z, y, **outer)
            given |= outer
        leaves = [z, *given.values()] + ([y] if y.requires_grad else [])
        found.append((value, *torch.autograd.grad(value, leaves)))
    for left, right in zip(*found, strict=True):
        close(left, right)


POSITIVE = draw(C, seed=6).abs() + 0.1


def slots(*names: str) -> list[tuple[str, str]]:
    """Slots that can have a gradient, with each kind of target; class indices have none."""
    pairs = [(name, kind) for name in names for kind in ("index", "soft")]
    return [pair for pair in pairs if pair != ("target", "index")]


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize(
    ("name", "target"), slots("weight", "gamma", "sample_weight", "target", "normalizer")
)
def test_gradients_to_the_other_slots_of_softmax(name: str, target: str, smoothing: float) -> None:
    y = CLASSES if target == "index" else torch.softmax(draw(N, C, seed=7), 1)
    values = {
        "weight": POSITIVE,
        "gamma": POSITIVE,
        "sample_weight": draw(N, seed=8).abs(),
        "target": y,
        "normalizer": torch.tensor(3.0, dtype=torch.float64),
    }
    call = Call("focal", None, {"gamma": 1.5, "label_smoothing": smoothing})

    def ours(z: Tensor, y: Tensor, **given: Tensor) -> Tensor:
        return focal_loss(z, y, **{"gamma": 1.5, "label_smoothing": smoothing, **given})

    compared(call, ours, draw(N, C), y, {name: values[name]})


@pytest.mark.parametrize(
    ("name", "target"),
    slots("weight", "gamma", "alpha", "pos_weight", "sample_weight", "target"),
)
def test_gradients_to_the_other_slots_of_sigmoid(name: str, target: str) -> None:
    y = CLASSES if target == "index" else torch.sigmoid(draw(N, C, seed=7))
    values = {
        "weight": POSITIVE,
        "gamma": POSITIVE,
        "alpha": torch.sigmoid(POSITIVE),
        "pos_weight": POSITIVE,
        "sample_weight": draw(N, C, seed=8).abs(),
        "target": y,
    }
    call = Call("focal", None, {"gamma": 1.5, "link": "sigmoid"})

    def ours(z: Tensor, y: Tensor, **given: Tensor) -> Tensor:
        return focal_loss(z, y, **{"gamma": 1.5, "link": "sigmoid", **given})

    compared(call, ours, draw(N, C), y, {name: values[name]})


def test_gradient_to_the_bias_is_that_of_adjusted_logits() -> None:
    bias = draw(C, seed=9).requires_grad_()
    term = terms.power(1.5) * terms.nll
    value = term_loss(draw(N, C), CLASSES, term, logit_bias=bias, temperature=2.0)
    plain = term_loss((draw(N, C) + bias) / 2.0, CLASSES, term)
    close(value, plain)
    close(*(torch.autograd.grad(loss, bias)[0] for loss in (value, plain)))


@each_path
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_bias_and_temperature_against_adjusting_by_hand(path: str, link: str) -> None:
    bias, term = draw(C, seed=9), terms.power(0.5) * terms.nll
    for y in (CLASSES, torch.softmax(draw(N, C, seed=7), 1)):
        found = []
        for by_hand in (False, True):
            z = draw(N, C).requires_grad_()
            with running(path):
                if by_hand:
                    value = term_loss((z + bias) / 0.7, y, term, link=link)
                else:
                    value = term_loss(z, y, term, link=link, logit_bias=bias, temperature=0.7)
            found.append((value, torch.autograd.grad(value, z)[0]))
        for left, right in zip(*found, strict=True):
            close(left, right)


def test_learnable_gamma_in_a_module() -> None:
    gamma = torch.nn.Parameter(torch.full((C,), 1.0))
    optimiser = torch.optim.SGD([gamma], lr=10.0)
    for _ in range(2):
        optimiser.zero_grad()
        focal_loss(draw(N, C), CLASSES, gamma=gamma).backward()
        optimiser.step()
    assert (gamma > 1.0).all()  # a larger gamma is always a smaller loss


# --- low precision ------------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_scaled_float16_training_neither_underflows_nor_overflows(link: str) -> None:
    """A mean over 65 536 rows: each entry is far below float16 until the loss scale arrives."""
    rows = 1 << 16
    logits = draw(rows, 4, dtype=torch.float16)
    target = torch.arange(rows) % 4
    leaf = logits.clone().requires_grad_()
    loss = FocalLoss(gamma=1.0, link=link)
    (loss(leaf, target) * 65536.0).backward()
    exact = logits.double().requires_grad_()
    (loss(exact, target) * 65536.0).backward()
    assert leaf.grad.dtype == torch.float16
    assert leaf.grad.isfinite().all()
    torch.testing.assert_close(leaf.grad.double(), exact.grad, rtol=2e-3, atol=1e-7)
    stored_in_half = (exact.grad / 65536.0).to(torch.float16).double() * 65536.0
    lost = (stored_in_half - exact.grad).abs().sum()
    assert lost > 10 * (leaf.grad.double() - exact.grad).abs().sum()  # what is avoided


@pytest.mark.parametrize("name", ["focal", "poly", "taylor", "binary_focal"])
@each_path
def test_autocast_changes_nothing_but_the_model(name: str, path: str) -> None:
    model = torch.nn.Linear(7, C)
    features = draw(N, 7, dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        logits = model(features)
        assert logits.dtype == torch.bfloat16
        with running(path):
            inside = LOSSES[name](logits, CLASSES)
        assert inside.dtype == torch.float32
    leaf = logits.detach().requires_grad_()
    with running(path):
        outside = LOSSES[name](leaf, CLASSES)
    close(inside, outside, rtol=1e-6)
    (found,) = torch.autograd.grad(inside, logits)
    (expected,) = torch.autograd.grad(outside, leaf)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, expected)


def test_composed_path_in_half_precision_gives_half_gradients() -> None:
    for dtype in (torch.float16, torch.bfloat16):
        logits = draw(N, C, dtype=dtype)
        gradient = torch.func.grad(lambda z: poly_loss(z, CLASSES))(logits)
        assert gradient.dtype == dtype


def test_two_losses_share_logits() -> None:
    logits = draw(N, C).requires_grad_()
    (cross_entropy_loss(logits, CLASSES) + 0.5 * focal_loss(logits, CLASSES)).backward()
    parts = []
    for loss in (cross_entropy_loss, focal_loss):
        leaf = draw(N, C).requires_grad_()
        loss(leaf, CLASSES).backward()
        parts.append(leaf.grad)
    close(logits.grad, parts[0] + 0.5 * parts[1])


@each_path
def test_large_inputs_take_the_blocks_by_themselves(path: str) -> None:
    size = blocked.BLOCK_ELEMENTS
    logits = draw(2 * size // 8 + 3, 8, dtype=torch.float32)
    target = torch.arange(len(logits)) % 8
    few = slice(10)
    assert Blocked().accepts(*prepare(logits, target, terms.nll, Options()))
    assert not Blocked().accepts(*prepare(logits[few], target[few], terms.nll, Options()))
    with running(path):
        found = cross_entropy_loss(logits, target)
    close(found, torch.nn.functional.cross_entropy(logits, target), rtol=1e-5)
