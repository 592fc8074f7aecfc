"""References of the overlap losses: one region at a time, from the paper's sums over its positions.

A region is one class in one sample, or in all, or all classes together. `region_losses` gives what
each costs, `region_loss` the reduced loss.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from references.call import Call
from references.formulas import Parameters, is_index, one_hot, sigmoid, softmax
from references.registry import reference


@dataclass(frozen=True)
class Region:
    """Some samples of one class, or of all classes: each (n, c, d1, ...).

    Attributes:
        z: logits.
        p: probabilities.
        y: truths.
        w: weights of the positions, 0 where ignored; class weights too where classes are together.
    """

    z: Tensor
    p: Tensor
    y: Tensor
    w: Tensor

    def total(self, values: Tensor) -> Tensor:
        return (self.w * values).sum()


RegionCost = Callable[[Region, Parameters], Tensor]


def spread(weight: Tensor, logits: Tensor) -> Tensor:
    """Weights of samples, positions or elements, for every element."""
    weight = weight.double()
    if weight.shape == logits.shape:
        return weight
    if weight.dim() == logits.dim() - 1 and logits.dim() > 1:
        return weight.unsqueeze(1).expand(logits.shape)
    return weight.reshape(-1, *[1] * (logits.dim() - 1)).expand(logits.shape)


def mask_of(logits: Tensor, target: Tensor, parameters: Parameters, link: str) -> Tensor:
    ignore = parameters.get("ignore_index", -100)
    if ignore is None or target.dtype == torch.bool:
        return torch.ones_like(logits)
    if is_index(target, logits):
        return (target != ignore).double().unsqueeze(1).expand(logits.shape)
    if link == "softmax":
        return (target != ignore).any(dim=1, keepdim=True).double().expand(logits.shape)
    return (target != ignore).double()


@dataclass(frozen=True)
class Found:
    """What the ratios cost, (G, C) or (G, 1), and what they count in a mean."""

    cost: Tensor
    weight: Tensor
    counted: Tensor


def found_of(
    name: str,
    logits: Tensor,
    target: Tensor,
    parameters: Parameters,
    sample_weight: Tensor | None = None,
) -> Found:
    from taylored import catalog  # for defaults alone

    spec = catalog.SPECS[name]
    defaults = {p.name: p.default for p in spec.accepted}
    link = parameters.get("link", spec.links[0])
    average = parameters.get("average", defaults["average"])
    empty = parameters.get("empty", defaults["empty"])
    classes = logits.shape[1]
    given = parameters.get("weight")
    weights = (
        [1.0] * classes if given is None else torch.as_tensor(given, dtype=torch.float64).tolist()
    )
    mask = mask_of(logits, target, parameters, link)
    y = one_hot(target, classes) if is_index(target, logits) else target.double()
    y = torch.where(mask > 0, y, 0.0)
    p = softmax(logits) if link == "softmax" else sigmoid(logits)
    w, samples = mask, torch.ones(len(logits), dtype=torch.float64)
    by_sample, together = average.startswith("sample"), average.endswith("micro")
    if sample_weight is not None:
        if by_sample and sample_weight.shape == logits.shape[:1]:
            samples = sample_weight.double()
        else:
            w = w * spread(sample_weight, logits)
    groups = [slice(n, n + 1) for n in range(len(logits))] if by_sample else [slice(None)]
    members = [list(range(classes))] if together else [[c] for c in range(classes)]
    own = {**parameters, "weights": weights, "empty": empty, "link": link}
    cost, counted = [], []
    for group in groups:
        for columns in members:
            part = w[group][:, columns]
            if together:
                part = part * torch.tensor(
                    [weights[c] for c in columns], dtype=torch.float64
                ).reshape(1, -1, *[1] * (logits.dim() - 2))
            region = Region(*(each[group][:, columns] for each in (logits, p, y)), part)
            counts = bool(part.sum() > 0)
            one = COSTS[name](region, {**own, "columns": columns}) if counts else logits.sum() * 0.0
            if empty != "keep" and bool(region.total(region.y) == 0):
                one, counts = one * 0.0, counts and empty == "perfect"
            cost.append(one)
            counted.append(float(counts))
    shape = (len(groups), len(members))
    weight = torch.ones(shape, dtype=torch.float64)
    if not together:
        weight = weight * torch.tensor(weights, dtype=torch.float64)
    factor = samples.reshape(-1, 1) if by_sample else torch.ones(1, 1, dtype=torch.float64)
    costs = torch.stack(cost).reshape(shape) if cost else torch.zeros(shape).double()
    return Found(costs * weight * factor, weight, torch.tensor(counted).double().reshape(shape))


def region_loss(
    call: Call,
    logits: Tensor,
    target: Tensor,
    *,
    sample_weight: Tensor | None = None,
    normalizer: float | Tensor | None = None,
) -> Tensor:
    """The whole loss in float64."""
    parameters = call.arguments
    found = found_of(call.name, logits.double(), target, parameters, sample_weight)
    cost = found.cost * found.counted
    reduction = parameters.get("reduction", "mean")
    if reduction == "none":
        return in_shape(cost, call)
    if reduction == "sum":
        return cost.sum()
    if normalizer is not None:
        return cost.sum() / float(normalizer) if float(normalizer) else cost.sum() * 0.0
    amount = found.counted if reduction == "batch_mean" else found.counted * found.weight
    return cost.sum() / amount.sum() if amount.sum() else cost.sum() * 0.0


def in_shape(cost: Tensor, call: Call) -> Tensor:
    from taylored import catalog

    defaults = {p.name: p.default for p in catalog.SPECS[call.name].accepted}
    average = call.arguments.get("average", defaults["average"])
    cost = cost if average.startswith("sample") else cost[0]
    return cost[..., 0] if average.endswith("micro") else cost


COSTS: dict[str, RegionCost] = {}


def reference_of_regions(name: str) -> Callable[[RegionCost], RegionCost]:
    """The reference is what one region costs."""

    def register(cost: RegionCost) -> RegionCost:
        COSTS[name] = cost

        @reference(name)
        def losses(logits: Tensor, target: Tensor, parameters: Parameters) -> Tensor:
            call = Call(name, None, {**parameters, "reduction": "none"})
            return region_loss(call, logits, target)

        return cost

    return register


def smoothed(over: Tensor, under: Tensor, parameters: Parameters) -> Tensor:
    over = over + parameters.get("smooth_numerator", 0.0)
    under = under + parameters.get("smooth_denominator", 0.0)
    return over / under if bool(under != 0) else under * 0 + 1.0


# --- sums ---------------------------------------------------------------------------------------


@reference_of_regions("dice")
def dice(region: Region, parameters: Parameters) -> Tensor:
    """Milletari et al. 2016: 2 sum p g / (sum p^2 + sum g^2), or without the squares."""
    a = parameters.get("exponent", 1)
    over = 2 * region.total(region.p * region.y)
    return 1 - smoothed(over, region.total(region.p**a) + region.total(region.y**a), parameters)


@reference_of_regions("jaccard")
def jaccard(region: Region, parameters: Parameters) -> Tensor:
    """Rahman and Wang 2016: intersection over union of soft sets."""
    shared = region.total(region.p * region.y)
    union = region.total(region.p + region.y - region.p * region.y)
    return 1 - smoothed(shared, union, parameters)


@reference_of_regions("tversky")
def tversky(region: Region, parameters: Parameters) -> Tensor:
    """Salehi et al. 2017, equation 2."""
    hit = region.total(region.p * region.y)
    wrong = region.total(region.p * (1 - region.y))
    missed = region.total((1 - region.p) * region.y)
    alpha, beta = parameters.get("alpha", 0.3), parameters.get("beta", 0.7)
    return 1 - smoothed(hit, hit + alpha * wrong + beta * missed, parameters)


@reference_of_regions("focal_tversky")
def focal_tversky(region: Region, parameters: Parameters) -> Tensor:
    """Abraham and Khan 2019, equation 4."""
    cost = tversky(region, parameters)
    return cost ** (1 / parameters.get("gamma", 4 / 3)) if bool(cost > 0) else cost * 0


@reference_of_regions("log_cosh_dice")
def log_cosh_dice(region: Region, parameters: Parameters) -> Tensor:
    """Jadon 2020."""
    return torch.log(torch.cosh(dice(region, parameters)))


@reference_of_regions("mcc")
def mcc(region: Region, parameters: Parameters) -> Tensor:
    """Abhishek and Hamarneh 2021, equation 4, from the four cells of the confusion matrix."""
    p, y = region.p, region.y
    tp, tn = region.total(p * y), region.total((1 - p) * (1 - y))
    fp, fn = region.total(p * (1 - y)), region.total((1 - p) * y)
    if bool(fp == 0) and bool(fn == 0):
        return tp * 0
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    product = product + parameters.get("smooth_denominator", 0.0)
    if bool(product <= 1e-30):
        return tp * 0 + 1
    over = tp * tn - fp * fn + parameters.get("smooth_numerator", 0.0)
    return 1 - over / torch.sqrt(product)


@reference_of_regions("generalized_dice")
def generalized_dice(region: Region, parameters: Parameters) -> Tensor:
    """Sudre et al. 2017, equation 4; the class weights are in the weights of the positions."""
    rarity, own = parameters.get("rarity", 2.0), parameters["weights"]
    volumes = []
    for c in range(region.y.shape[1]):
        bare = region.w[:, c] / own[c] if own[c] else region.w[:, c] * 0
        volumes.append(float((bare * region.y[:, c]).sum()))
    present = [volume**-rarity for volume in volumes if volume > 0]
    absent = max(present, default=1.0) if parameters["empty"] == "keep" else 0.0
    over, under = region.p.sum() * 0, region.p.sum() * 0
    for c, volume in enumerate(volumes):
        weight = volume**-rarity if volume > 0 else absent
        w, p, y = region.w[:, c], region.p[:, c], region.y[:, c]
        over = over + 2 * weight * (w * p * y).sum()
        under = under + weight * (w * (p + y)).sum()
    return 1 - smoothed(over, under, parameters)


# --- sorted errors --------------------------------------------------------------------------------


def extension(errors: Tensor, region: Region) -> Tensor:
    """Berman et al. 2018, equation 8: errors times growths of the Jaccard loss, largest first."""
    flat = [each.reshape(-1) for each in (errors, region.y, region.w)]
    order = sorted(range(flat[0].numel()), key=lambda i: -float(flat[0][i].detach()))
    truths, weights = flat[1].tolist(), flat[2].tolist()
    whole = sum(w * y for w, y in zip(weights, truths, strict=True))
    missed = wrong = before = 0.0
    total = errors.sum() * 0.0
    for i in order:
        missed += weights[i] * truths[i]
        wrong += weights[i] * (1 - truths[i])
        union = whole + wrong
        jaccard = 1 - (whole - missed) / union if union > 0 else 0.0
        total = total + flat[0][i] * (jaccard - before)
        before = jaccard
    return total


@reference_of_regions("lovasz_softmax")
def lovasz_softmax(region: Region, parameters: Parameters) -> Tensor:
    """Equation 9: errors 1 - p where the class is true, p elsewhere."""
    return extension((region.y - region.p).abs(), region)


@reference_of_regions("lovasz_hinge")
def lovasz_hinge(region: Region, parameters: Parameters) -> Tensor:
    """Equation 10."""
    return extension((1 - region.z * (2 * region.y - 1)).clamp(min=0), region)


# --- places ---------------------------------------------------------------------------------------


def shifted(volume: Tensor, steps: tuple[int, ...], outside: float) -> Tensor:
    """The neighbours of every position of (n, c, d1, ...)."""
    for axis, step in enumerate(steps, start=2):
        if step:
            edge = torch.full_like(volume.narrow(axis, 0, 1), outside)
            rest = volume.narrow(axis, max(0, step), volume.shape[axis] - abs(step))
            volume = torch.cat([rest, edge] if step > 0 else [edge, rest], dim=axis)
    return volume


def eroded(volume: Tensor) -> Tensor:
    axes = volume.dim() - 2
    cross = [tuple(s if a == axis else 0 for a in range(axes))
             for axis in range(axes) for s in (-1, 0, 1)]  # fmt: skip
    return torch.stack([shifted(volume, step, math.inf) for step in cross]).min(dim=0).values


def dilated(volume: Tensor) -> Tensor:
    square = itertools.product((-1, 0, 1), repeat=volume.dim() - 2)
    return torch.stack([shifted(volume, step, -math.inf) for step in square]).max(dim=0).values


def skeleton(volume: Tensor, iterations: int) -> Tensor:
    """Shit et al. 2021, algorithm 1, with max(0, a - a b) for the part that is new."""
    found = torch.relu(volume - dilated(eroded(volume)))
    for _ in range(iterations):
        volume = eroded(volume)
        ridge = torch.relu(volume - dilated(eroded(volume)))
        found = found + torch.relu(ridge - found * ridge)
    return found


@reference_of_regions("cldice")
def cldice(region: Region, parameters: Parameters) -> Tensor:
    """Shit et al. 2021, equations 1 and 2."""
    kept = region.w > 0
    p, y = torch.where(kept, region.p, 0.0), torch.where(kept, region.y, 0.0)
    n = parameters.get("iterations", 3)
    lines, true_lines = skeleton(p, n), skeleton(y, n)
    precision = smoothed(region.total(lines * y), region.total(lines), parameters)
    sensitivity = smoothed(region.total(true_lines * p), region.total(true_lines), parameters)
    if bool(precision + sensitivity == 0):
        return precision * 0 + 1
    return 1 - 2 * precision * sensitivity / (precision + sensitivity)


def distances(mask: Tensor) -> Tensor:
    """To the nearest position on the other side, by looking at all of them; (n, 1, d1, ...)."""
    found = torch.zeros(mask.shape, dtype=torch.float64)
    for n in range(len(mask)):
        inside, outside = mask[n, 0].nonzero().double(), (~mask[n, 0]).nonzero().double()
        if len(inside) and len(outside):
            apart = torch.cdist(inside, outside)
            found[n, 0][mask[n, 0]] = apart.min(dim=1).values
            found[n, 0][~mask[n, 0]] = apart.min(dim=0).values
    return found


@reference_of_regions("boundary")
def boundary(region: Region, parameters: Parameters) -> Tensor:
    """Kervadec et al. 2019, equation 5; inside, distances are one less as in the authors' code."""
    mask = torch.where(region.w > 0, region.y, 0.0).detach() > 0.5
    away = distances(mask)
    signed = torch.where(mask & (away > 0), 1 - away, away)
    return region.total(region.p * signed) / region.w.sum()


@reference_of_regions("hausdorff")
def hausdorff(region: Region, parameters: Parameters) -> Tensor:
    """Karimi and Salcudean 2020, equation 8."""
    kept, alpha = region.w > 0, parameters.get("alpha", 2.0)
    p, y = torch.where(kept, region.p, 0.0), torch.where(kept, region.y, 0.0)
    away = distances(p.detach() > 0.5) ** alpha + distances(y.detach() > 0.5) ** alpha
    return region.total((p - y) ** 2 * away) / region.w.sum()


@reference_of_regions("unified_focal")
def unified_focal(region: Region, parameters: Parameters) -> Tensor:
    """Yeung et al. 2022, the asymmetric losses of section 3.3; class 0 is the background."""
    balance, delta = parameters.get("balance", 0.5), parameters.get("delta", 0.6)
    gamma, p, y = parameters.get("gamma", 0.5), region.p, region.y
    nll = -y * torch.log(p)
    hit = region.total(p * y)
    missed, wrong = region.total((1 - p) * y), region.total(p * (1 - y))
    under = hit + delta * missed + (1 - delta) * wrong
    cost = 1 - hit / under if bool(under > 0) else under
    if parameters["columns"] == [0]:
        entropy = (1 - delta) * (1 - p) ** gamma * nll
    else:
        entropy = delta * nll
        cost = cost ** (1 - gamma) if bool(cost > 0) else cost * 0
    return balance * region.total(entropy) / region.w.sum() + (1 - balance) * cost
