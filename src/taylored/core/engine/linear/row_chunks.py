"""The loss of features and weight, with the logits of a few rows at a time in memory.

The executor writes the gradient of a chunk over its logits. It is multiplied into the gradients of
features and weight, and the next chunk uses the memory again. The plan is that of all logits; each
chunk gets the part of its positions.
"""

from __future__ import annotations

import torch

from taylored.core.engine.executor import gradient_dtype
from taylored.core.engine.linear.evaluator import Evaluator
from taylored.core.engine.linear.head import Head, Walked, Wanted, cap_, form
from taylored.core.engine.linear.places import Losses, at, chunks, counted_rows, length
from taylored.core.engine.linear.products import Products
from taylored.core.engine.linear.sizes import chunk_rows
from taylored.core.plan.plan import Plan


def walk(head: Head, plan: Plan, wanted: Wanted, evaluator: Evaluator) -> Walked:
    """Process the positions with non-zero weight, chunk by chunk."""
    x = head.features.detach().reshape(-1, head.features.shape[-1])
    weight = head.weight.detach().to(head.dtype)
    bias = None if head.bias is None else head.bias.detach().to(head.dtype)
    count, classes = len(x), len(weight)
    places = chunks(plan, count, chunk_rows(classes, head.dtype, head.memory))
    longest = max((length(place) for place in places), default=0)
    z_buffer = x.new_empty((longest, classes), dtype=head.dtype)
    g_buffer = z_buffer
    if wanted.anything() and gradient_dtype(z_buffer) != head.dtype:
        g_buffer = torch.empty_like(z_buffer, dtype=torch.float32)
    products, losses = Products(head, weight, wanted), Losses(plan, z_buffer, len(places), count)
    if wanted.tap is not None:
        wanted.tap.begin(z_buffer)
    for place in places:
        piece, cut = x[place].to(head.dtype), at(plan, place)
        if wanted.weight:
            piece = counted_rows(piece, plan, cut)
        z = z_buffer[: len(piece)]
        form(piece, weight, bias, z)
        bend = None if head.softcap is None else cap_(z, head.softcap)
        executor = evaluator.executor(z, cut)
        if not wanted.anything():
            losses.add(executor.value(z, cut), place)
            continue
        g = g_buffer[: len(piece)]
        losses.add(executor.sweep(z, cut, sums=wanted.sums, into=g).loss, place)
        if wanted.tap is not None:
            wanted.tap.add(g, place)
        if bend is not None:
            g.mul_(bend)
        products.add(piece.to(g.dtype), g, place)
    return Walked(losses.found(), products.finished())
