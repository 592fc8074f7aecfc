"""A gradient that a caller holds never changes, and what the caller writes to changes no gradient.

The same as with torch's own cross-entropy, whatever is called in whatever order.
"""

from __future__ import annotations

import weakref
from collections.abc import Sequence

import pytest
import torch
from torch import Tensor
from torch.autograd.graph import save_on_cpu
from torch.utils.checkpoint import checkpoint

from kit.executors import running
from kit.graphs import Maker, keeping
from kit.tolerances import close


def _all_close(found: Sequence[Tensor], expected: Sequence[Tensor], factor: float = 1.0) -> None:
    for one, other in zip(found, expected, strict=True):
        close(one, factor * other)


def check_factors(make: Maker) -> None:
    """Scaled by one thing after another, the last of them without keeping the graph."""
    expected = make.expected()
    for factors in ((1.0, 3.0, 1.0, 65536.0), (3.0, 1.0, 0.0, 1.0), (65536.0, 1.0)):
        graph = make()
        last = len(factors) - 1
        held = [graph.gradients(f, retain=i < last) for i, f in enumerate(factors)]
        for factor, gradients in zip(factors, held, strict=True):
            _all_close(gradients, expected, factor)


def check_backward_after_grad(make: Maker) -> None:
    """`.grad` adds up, and leaves alone what was handed out before."""
    expected, graph = make.expected(), make()
    held = graph.gradients()
    graph.value.backward(retain_graph=True, inputs=list(graph.leaves))
    kept = [leaf.grad for leaf in graph.leaves]
    _all_close(kept, expected)
    (3 * graph.value).backward(inputs=list(graph.leaves))
    _all_close(held, expected)
    _all_close(kept, expected, 4.0)  # torch adds to the tensor that is there


def check_written(make: Maker) -> None:
    """Whoever owns a gradient may write to it between two backwards."""
    expected, graph = make.expected(), make()
    for factor in (1.0, 2.0, 1.0):
        gradients = graph.gradients(factor)
        _all_close(gradients, expected, factor)
        for gradient in gradients:
            gradient.mul_(7.0)
    graph.value.backward(retain_graph=True)
    torch.nn.utils.clip_grad_norm_(graph.leaves, 1e-3)
    torch.optim.SGD(graph.leaves, lr=1.0).zero_grad(set_to_none=False)
    (2 * graph.value).backward()
    _all_close([leaf.grad for leaf in graph.leaves], expected, 2.0)


def check_hooks(make: Maker) -> None:
    """Hooks that keep a gradient, and hooks that write to it."""
    expected, graph = make.expected(), make()
    kept: list[Tensor] = []
    graph.leaves[0].register_hook(kept.append)
    if make.input != "donated" and not graph.logits.is_leaf:
        graph.logits.retain_grad()
    for retain in (True, True, False):
        (2 * graph.value).backward(retain_graph=retain)
    for gradient in kept:
        close(gradient, 2 * expected[0])
    _all_close([leaf.grad for leaf in graph.leaves], expected, 6.0)
    graph = make()
    graph.leaves[0].register_hook(lambda gradient: gradient.mul_(5.0))
    for factor in (1.0, 2.0):
        close(graph.gradients(factor)[0], 5 * factor * expected[0])


def check_two_losses(make: Maker) -> None:
    """One graph with a loss in it twice: gradients meet, and are added up."""
    expected = make.expected()
    graph = make(lambda loss, z, target: _twice(loss, z, target, make.input))
    held = graph.gradients()
    graph.value.backward()
    _all_close(held, expected, 3.0)
    _all_close([leaf.grad for leaf in graph.leaves], expected, 3.0)


def _twice(loss: torch.nn.Module, input: object, target: Tensor, kind: str) -> Tensor:
    if kind == "donated":  # which nobody can read again
        return 3 * loss(input, target)
    for part in loss.modules():
        part.frozen = True  # the second loss is that of the same state
    return loss(input, target) + 2 * loss(input, target)


def check_batched(make: Maker) -> None:
    """Several gradients at once, before and after an ordinary one."""
    expected, graph = make.expected(), make()
    held = graph.gradients()
    many = torch.autograd.grad(
        graph.value, graph.leaves, torch.tensor([1.0, 3.0]).double(), is_grads_batched=True,
        retain_graph=True,
    )  # fmt: skip
    _all_close([each[0] for each in many], expected)
    _all_close([each[1] for each in many], expected, 3.0)
    (2 * graph.value).backward()
    _all_close([each[1] for each in many], expected, 3.0)
    _all_close(held, expected)


def check_create_graph(make: Maker) -> None:
    """Differentiable gradients, between others."""
    expected, graph = make.expected(), make()
    held = graph.gradients()
    if make.input == "donated":
        with pytest.raises(ValueError, match="second derivatives"):
            torch.autograd.grad(graph.value, graph.leaves, create_graph=True)
    else:
        again = torch.autograd.grad(2 * graph.value, graph.leaves, create_graph=True)
        _all_close([each.detach() for each in again], expected, 2.0)
    (3 * graph.value).backward()
    _all_close(held, expected)
    _all_close([leaf.grad for leaf in graph.leaves], expected, 3.0)


def check_value_written(make: Maker) -> None:
    """The loss itself may be written to, as any result."""
    expected = make.expected()

    def tripled(loss: torch.nn.Module, input: object, target: Tensor) -> Tensor:
        value = loss(input, target)
        value *= 3.0
        return value

    _all_close(make(tripled).gradients(retain=False), expected, 3.0)


def check_logits_written(make: Maker) -> None:
    """First derivatives need the logits no more; where second ones do, they say so."""
    expected, graph = make.expected(), make()
    with torch.no_grad():
        graph.logits.mul_(0.25)
    _all_close(graph.gradients(2.0), expected, 2.0)
    try:
        again = torch.autograd.grad(graph.value, graph.leaves, create_graph=True)
    except RuntimeError as error:
        assert "modified by an inplace operation" in str(error)
    else:  # the loss keeps something else, which has not changed
        _all_close([each.detach() for each in again], expected)
    (3 * graph.value).backward()
    _all_close([leaf.grad for leaf in graph.leaves], expected, 3.0)


def check_saved_tensors_kept(make: Maker) -> None:
    """What a hook on saved tensors has seen stays as it was."""
    kept: list[Tensor] = []
    with keeping(kept):
        graph = make()
    before = [each.clone() for each in kept]
    (3 * graph.value).backward()
    for leaf in graph.leaves:
        leaf.grad.zero_()
    for each, was in zip(kept, before, strict=True):
        assert torch.equal(each, was)


def check_saved_elsewhere(make: Maker) -> None:
    """Offloaded to other memory, or found again by checkpointing."""
    expected = make.expected()
    with save_on_cpu():
        graph = make()
    held = graph.gradients()
    close(graph.gradients(3.0, retain=False)[0], 3 * expected[0])
    _all_close(held, expected)
    if make.input in ("counted", "donated"):  # a second forward would count, and finds no logits
        return
    graph = make(lambda *given: checkpoint(_called, *given, use_reentrant=False))
    with running(make.path):  # where forward runs again
        held = graph.gradients()
        _all_close(graph.gradients(3.0), expected, 3.0)
        again = torch.autograd.grad(graph.value, graph.leaves, create_graph=True)
        _all_close([each.detach() for each in again], expected)
        (2 * graph.value).backward()
    _all_close(held, expected)


def _called(loss: torch.nn.Module, input: object, target: Tensor) -> Tensor:
    return loss(input, target)


def check_freed(make: Maker) -> None:
    """A loss that outlives its graph keeps nothing large alive; nor does one that is dropped."""
    for used in (True, False):
        graph = make()
        value, watched = graph.value, weakref.ref(graph.logits)
        if used:
            value.backward()
        else:
            del value
        del graph
        assert watched() is None


def check_buffer_is_handed_out(make: Maker) -> None:
    """Where nobody keeps the graph, the gradient is on the memory that forward has left behind."""
    for factor in (1.0, 3.0):
        graph = make()
        node = _loss_node(graph.value)
        left = node.saved_tensors[0].data_ptr()
        seen: list[int] = []
        node.register_hook(lambda ins, outs, seen=seen: seen.append(ins[0].data_ptr()))
        (factor * graph.value).backward()
        assert seen == [left]


def _loss_node(value: Tensor) -> object:
    waiting = [value.grad_fn]
    while waiting:
        node = waiting.pop()
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            return node
        waiting += [following for following, _ in node.next_functions if following is not None]
    raise AssertionError("no loss in the graph")
