"""Tensors whose numbers are not at their address: an error or the right result, never a crash."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode

from kit.native import needs_native
from taylored import binary_cross_entropy_loss, cross_entropy_loss, focal_loss
from taylored.kernels import shortcut
from taylored.kernels.ordinary import in_plain_memory

SIZES = (8, 9000)
CLASSES = 7


def freed(values: Tensor) -> Tensor:
    values = values.clone()
    values.untyped_storage().resize_(0)
    return values


def freed_view(values: Tensor) -> Tensor:
    values = torch.cat([values, values])[len(values) :]
    values.untyped_storage().resize_(0)
    return values


def cut(values: Tensor) -> Tensor:
    values = values.clone()
    values.untyped_storage().resize_(values.nbytes // 2)
    return values


GONE = pytest.mark.parametrize("take", [freed, freed_view, cut], ids=lambda take: take.__name__)
each_size = pytest.mark.parametrize("size", SIZES)


def drawn(size: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(size)
    z = torch.randn(size, CLASSES, generator=generator)
    return z, torch.randint(CLASSES, (size,), generator=generator)


@GONE
@each_size
@pytest.mark.parametrize("loss", [cross_entropy_loss, binary_cross_entropy_loss])
def test_memory_that_was_given_back(
    loss: Callable[..., Tensor], size: int, take: Callable[[Tensor], Tensor]
) -> None:
    z, y = drawn(size)
    with pytest.raises(RuntimeError, match="`input` must be a tensor with memory"):
        loss(take(z), y)
    with pytest.raises(RuntimeError, match="`target` must be a tensor with memory"):
        loss(z, take(y))
    if take is not cut:  # torch's operations read what there is
        with pytest.raises(RuntimeError):
            loss(z, y, weight=take(torch.ones(CLASSES)))


@each_size
def test_layouts_that_are_read_in_another_way(size: int) -> None:
    z, y = drawn(size)
    weight = torch.linspace(1, 2, CLASSES)
    negative, negative_weight = torch._neg_view(z), torch._neg_view(-weight)
    imaginary = torch.view_as_complex(torch.stack([z, z], dim=-1)).conj().imag
    assert negative.is_neg()
    assert imaginary.is_neg()
    for logits, given in (
        (negative, y),
        (imaginary, y),
        (z[:1].expand(size, CLASSES), y),
        (z, y[:1].expand(size)),
        (torch._efficientzerotensor((size, CLASSES)), y),
        (torch.cat([z, z])[size:], torch.cat([y, y])[size:]),
    ):
        expected = F.cross_entropy(logits, given)
        torch.testing.assert_close(cross_entropy_loss(logits, given), expected)
    expected = F.cross_entropy(z, y, weight=weight)
    torch.testing.assert_close(cross_entropy_loss(z, y, weight=negative_weight), expected)


@each_size
def test_other_devices_and_layouts_are_errors(size: int) -> None:
    z, y = drawn(size)
    for logits, given in (
        (z, y.to("meta")),
        (z.to_sparse(), y),
        (z.to_mkldnn(), y),
        (torch.quantize_per_tensor(z, 0.1, 0, torch.qint8), y),
        (z, y.to_sparse()),
    ):
        with pytest.raises((RuntimeError, ValueError)):
            cross_entropy_loss(logits, given)
    assert cross_entropy_loss(z.to("meta"), y.to("meta")).is_meta


@each_size
@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
def test_fake_tensors_give_fake_results(link: str, size: int) -> None:
    z, y = drawn(size)
    with FakeTensorMode() as mode:
        logits = mode.from_tensor(z).requires_grad_()
        value = focal_loss(logits, mode.from_tensor(y), link=link)
        (gradient,) = torch.autograd.grad(value, logits)
    assert isinstance(value, FakeTensor)
    assert isinstance(gradient, FakeTensor)
    assert (value.shape, gradient.shape) == ((), z.shape)


@pytest.mark.parametrize("index", [2**64, 2**63, -(2**63) - 1])
def test_indices_beyond_64_bits_are_refused(index: int) -> None:
    z, y = drawn(8)
    with pytest.raises(ValueError, match="`ignore_index` must be a class index, which has 64 bits"):
        cross_entropy_loss(z, y, ignore_index=index)
    with pytest.raises(ValueError, match="64 bits"):
        binary_cross_entropy_loss(z, torch.ones(8, CLASSES), ignore_index=index)
    expected = F.cross_entropy(z, y)
    for kept in (2**63 - 1, -(2**63)):
        torch.testing.assert_close(cross_entropy_loss(z, y, ignore_index=kept), expected)


@needs_native
def test_the_native_library_gets_none_of_these() -> None:
    z, _ = drawn(8)
    for values in (freed(z), freed_view(z), cut(z), torch._efficientzerotensor((8, 7))):
        assert not in_plain_memory(values)
    assert in_plain_memory(z)
    assert in_plain_memory(z[2:, ::2])
    assert shortcut.in_plain_memory is in_plain_memory
