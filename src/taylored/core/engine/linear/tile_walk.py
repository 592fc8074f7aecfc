"""The loss of features and weight, with the logits of a few rows and classes at a time in memory.

For the softmax link a tile is formed twice: once for the sums over the classes, and again for the
gradient, which needs all of the sums. Only the last tile of the first time is still there. That is
up to a third more multiplications than rows with all their classes take. In return the weight is
read once for several hundred rows, however little memory there is.
"""

from __future__ import annotations

from collections.abc import Sequence

from taylored.core.engine.linear.evaluator import OF_TERM, Evaluator
from taylored.core.engine.linear.head import Head, Walked, Wanted
from taylored.core.engine.linear.places import Losses, at, chunks, counted_rows, length
from taylored.core.engine.linear.products import Products
from taylored.core.engine.linear.sigmoid_tiles import of_sigmoid
from taylored.core.engine.linear.sizes import few_rows, tile_shape
from taylored.core.engine.linear.softmax_tiles import of_softmax
from taylored.core.engine.linear.tile import Room, Sink, Tiles, sums_for
from taylored.core.links.softmax import single_truth
from taylored.core.plan.plan import Plan

_BY_LINK = {"softmax": of_softmax, "sigmoid": of_sigmoid}


def serves(head: Head, plan: Plan, wanted: Wanted, evaluator: Evaluator) -> bool:
    """Whether the classes are better taken a few at a time, and can be.

    A distribution over the classes, values of a loss's own and a tap need all of them at once.
    """
    count, classes = head.features.shape[:-1].numel(), len(head.weight)
    if evaluator is not OF_TERM or wanted.tap is not None:
        return False
    if plan.link == "softmax" and not single_truth(plan):
        return False
    return few_rows(count, classes, head.dtype, head.memory)


def walk(head: Head, plan: Plan, wanted: Wanted) -> Walked:
    """Process the positions with non-zero weight, tile by tile."""
    x = head.features.detach().reshape(-1, head.features.shape[-1])
    weight = head.weight.detach().to(head.dtype)
    bias = None if head.bias is None else head.bias.detach().to(head.dtype)
    count, classes = len(x), len(weight)
    rows, columns = tile_shape(count, classes, Room.element_bytes(head), head.memory)
    places = chunks(plan, count, rows)
    longest = max((length(place) for place in places), default=0)
    room = Room.of(head, longest * columns)
    products, losses = Products(head, weight, wanted), Losses(plan, room.wide, len(places), count)
    counted = sums_for(wanted, weight)
    cuts = _cuts(classes, columns)
    for place in places:
        cut = at(plan, place)
        piece = counted_rows(x[place].to(head.dtype), plan, cut)
        tiles = Tiles(piece, weight, bias, head.softcap, cuts, room)
        sink = Sink(products, piece, place, counted) if wanted.anything() else None
        losses.add(_BY_LINK[plan.link](tiles, cut, sink), place)
        if sink is not None:
            sink.end()
    if wanted.sums is not None and counted is not None:
        wanted.sums.add(counted)
    return Walked(losses.found(), products.finished())


def _cuts(classes: int, columns: int) -> Sequence[slice]:
    return [slice(start, min(start + columns, classes)) for start in range(0, classes, columns)]
