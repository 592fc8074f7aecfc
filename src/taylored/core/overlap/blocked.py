"""The sweeps of the sums in torch: on the CPU in pieces that stay in the cache, else at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from taylored.core.context import has_numbers
from taylored.core.engine.blocked import places
from taylored.core.links.exponentials import BITS_PER_NAT
from taylored.core.links.scratch import Scratch, empty_result
from taylored.core.numerics import computing_dtype, widest_dtype
from taylored.core.overlap.batch import Batch

Place = tuple[slice, ...]


@dataclass(frozen=True, eq=False)
class _Piece:
    """Some positions: (n, C, s) each, but for indices and rows, which have (n, s) and (n, 1, s).

    Attributes:
        p: probabilities in scratch memory, 0 where a position counts for nothing.
        w: coefficients; of elements (n, C, s) where these have their own.
        index: true classes, or None.
        y: truths, or None.
    """

    p: Tensor
    w: Tensor
    index: Tensor | None
    y: Tensor | None


@dataclass(frozen=True)
class Blocked:
    """Piece by piece on the CPU; one piece elsewhere."""

    name: str = "blocked"

    def accepts(self, batch: Batch) -> bool:
        """Everything."""
        return True

    def sums(self, batch: Batch, squares: bool) -> Tensor:
        """The sums, added up in float64 over the pieces."""
        z, scratch = batch.logits, Scratch()
        kind = widest_dtype(z.device)
        total = torch.zeros(
            5 if squares else 3, z.shape[0], z.shape[1], dtype=kind, device=z.device
        )
        for place in _places(z):
            samples = place[0]
            for number, part in enumerate(_sums(_piece(batch, place, scratch), scratch, squares)):
                total[number, samples] += part
        return total if batch.by_sample else total.sum(dim=1, keepdim=True)

    def gradient(self, batch: Batch, grad: Tensor) -> Tensor:
        """The gradient, piece by piece into one buffer."""
        batch = batch.of_counted_samples()
        z, scratch = batch.logits, Scratch()
        result = empty_result(z, z.dtype)
        factors = grad.to(computing_dtype(z)).expand(grad.shape[0], z.shape[0], z.shape[1])
        for place in _places(z):
            piece, own = _piece(batch, place, scratch), factors[:, place[0]]
            into = result[place] if z.dim() == 3 else result[place].unsqueeze(2)
            _gradient(piece, own, batch.plan.link, scratch, into)
        return result


BLOCKED = Blocked()


def _places(logits: Tensor) -> Iterator[Place]:
    if logits.device.type != "cpu" or not has_numbers(logits):
        return iter([(slice(None),) * logits.dim()])
    return places(logits)


def _piece(batch: Batch, place: Place, scratch: Scratch) -> _Piece:
    plan = batch.plan
    dtype = computing_dtype(batch.logits)
    across = place if plan.target_kind == "dense" else place[:1] + place[2:]
    z, w, target = batch.logits[place], plan.rows[place], plan.target[across]
    if z.dim() == 2:
        z, w, target = z.unsqueeze(2), w.unsqueeze(2), target.unsqueeze(-1)
    index, y = (target, None) if plan.target_kind == "index" else (None, target)
    if y is not None:
        if plan.ignore is not None and y.dtype != torch.bool:
            kept = y != plan.ignore
            y, w = torch.where(kept, y, 0), torch.where(kept, w, 0.0)
        y = y.to(dtype)
    p = scratch.take("p", z, dtype)
    nothing = w == 0
    # 0 times NaN would be NaN. Looking whether there is anything makes other devices wait.
    if not z.is_cpu or nothing.any():
        z = p.copy_(z).masked_fill_(nothing, 0.0)
        if y is not None:
            y = y.masked_fill(nothing, 0.0)
    if plan.link == "sigmoid":
        torch.sigmoid(z if z.dtype == dtype else p.copy_(z), out=p)
    else:
        peak = z.amax(dim=1, keepdim=True)
        torch.sub(z, peak, out=p) if z.dtype == dtype else p.copy_(z).sub_(peak)
        p.mul_(BITS_PER_NAT).exp2_()
        p.div_(p.sum(dim=1, keepdim=True))
    return _Piece(p, w, index, y)


def _weighed(values: Tensor, w: Tensor) -> Tensor:
    """Sums over the positions of values times their coefficients, (n, C)."""
    if w.shape[1] == 1:
        return torch.matmul(values, w.movedim(1, -1)).squeeze(2)
    return (values * w).sum(dim=2)


def _sums(piece: _Piece, scratch: Scratch, squares: bool) -> Iterator[Tensor]:
    p, w, index, y = piece.p, piece.w, piece.index, piece.y
    if index is not None:
        own = p.gather(1, index.unsqueeze(1))
        yield _per_class(own * w, index, p)
        yield _weighed(p, w)
        true = _per_class(w.expand(own.shape), index, p)
        yield true
        if squares:
            yield _weighed(torch.mul(p, p, out=scratch.take("squares", p, p.dtype)), w)
            yield true
    elif y is not None:
        product = scratch.take("product", p, p.dtype)
        yield _weighed(torch.mul(p, y, out=product), w)
        yield _weighed(p, w)
        yield _weighed(y, w)
        if squares:
            yield _weighed(torch.mul(p, p, out=product), w)
            yield _weighed(torch.mul(y, y, out=product), w)


def _per_class(values: Tensor, index: Tensor, p: Tensor) -> Tensor:
    """One value per position, (n, 1, s), added up by the class of the position, (n, C)."""
    kind = widest_dtype(values.device)
    total = torch.zeros(p.shape[0], p.shape[1], dtype=kind, device=p.device)
    return total.scatter_add_(1, index, values.squeeze(1).to(kind))


def _gradient(piece: _Piece, factors: Tensor, link: str, scratch: Scratch, into: Tensor) -> None:
    """dL/dz of a piece: dL/dp = w (a y + b + 2 c p), and back through the link."""
    p, w, index, y = piece.p, piece.w, piece.index, piece.y
    a, b = factors[0].unsqueeze(2), factors[1].unsqueeze(2)
    slope = scratch.take("slope", p, p.dtype)
    if len(factors) > 3:
        torch.mul(p, 2.0 * factors[3].unsqueeze(2), out=slope).add_(b)
    else:
        slope.copy_(b.expand(p.shape))
    if y is not None:
        slope.addcmul_(a.expand(p.shape), y)
    elif index is not None:
        hot = index.unsqueeze(1)
        slope.scatter_add_(1, hot, a.expand(p.shape).gather(1, hot))
    if link == "sigmoid":
        slope.mul_(w)
        rest = torch.sub(1.0, p, out=scratch.take("rest", p, p.dtype))
        into.copy_(slope.mul_(p).mul_(rest))
        return
    product = torch.mul(slope, p, out=scratch.take("product", p, p.dtype))
    mean = product.sum(dim=1, keepdim=True)
    into.copy_(slope.sub_(mean).mul_(p).mul_(w))
