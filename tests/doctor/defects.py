"""Losses with one fault each, most of them found in public code, and the diagnosis of each."""

from __future__ import annotations

import ctypes
import sys
import time

import torch
import torch.nn.functional as F
from torch import nn

DEFECTS: dict[str, tuple[object, str]] = {}
"""The loss and the name of the finding, by what is wrong."""

ENDING: dict[str, tuple[object, str]] = {}
"""The same for losses that do not come back."""


def planted(what, diagnosis, into=DEFECTS):
    def add(made):
        into[what] = (made() if isinstance(made, type) else made, diagnosis)
        return made

    return add


def p_true(logits, target):
    return torch.softmax(logits, 1).gather(1, target[:, None]).squeeze(1)


def reduced(values, reduction):
    return {"none": values, "sum": values.sum(), "mean": values.mean()}[reduction]


# Values and extremes.


@planted("exponentials without the largest logit taken away", "overflows")
def naive_softmax(logits, target):
    exp = logits.exp()
    return -(exp.gather(1, target[:, None]).squeeze(1) / exp.sum(1)).log().mean()


@planted("a softmax that sees a constant", "offset-changes-value")
def naive_log_sum(logits, target):
    return (logits.exp().sum(1).log() - logits.gather(1, target[:, None]).squeeze(1)).mean()


@planted("class-balanced focal: log(1 + exp(-x)) in the modulator", "wrong-at-extremes")
def balanced_focal(logits, target):
    bce = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    modulator = torch.exp(-2 * target * logits - 2 * torch.log(1 + torch.exp(-logits)))
    return (modulator * bce).sum()


@planted("EFL: the log of a sigmoid", "overflows")
def efl(logits, target):
    p = torch.sigmoid(logits)
    return -torch.log(target * p + (1 - target) * (1 - p)).mean()


@planted("a clamped probability", "stops-pushing")
def clamped(logits, target):
    return -p_true(logits, target).clamp(min=1e-8).log().mean()


@planted("gamma below 1 by pow", "gradient-overflows")
def low_gamma(logits, target):
    log_p = F.log_softmax(logits, 1).gather(1, target[:, None]).squeeze(1)
    return ((1 - log_p.exp()) ** 0.5 * -log_p).mean()


@planted("exp in half precision", "overflows-in-half")
def exp_in_half(logits, target):
    signed = (2 * target - 1) * logits
    return torch.where(signed > -20, torch.log1p(torch.exp(-signed)), -signed).mean()


@planted("a distance that is half precision's", "inaccurate-in-half")
def cancels_in_half(logits, target):
    return (F.cross_entropy(logits, target, reduction="none") + 1000 - 1000).mean()


@planted("the dtype is taken for granted", "no-half")
def float_constant(logits, target):
    hot = F.one_hot(target, logits.shape[1]).float()
    return -torch.einsum("nc,nc->n", hot.to(torch.promote_types(logits.dtype, torch.float32)),
                         F.log_softmax(logits, 1)).mean()  # fmt: skip


@planted("a matrix product in an indexed copy", "fails-under-autocast")
def mixed_dtypes(logits, target):
    other = torch.zeros_like(logits)
    other[:] = logits
    other.index_copy_(0, torch.arange(len(logits)), logits @ torch.eye(logits.shape[1]).to(logits))
    return F.cross_entropy(other, target)


@planted("SIoU of mmdet: the sign of a part", "rewards-mistakes")
def wrong_sign(logits, target):
    return F.log_softmax(logits, 1).gather(1, target[:, None]).mean()


@planted("PolyLoss with softmax=False: softmax twice", "softmax-twice")
def softmax_twice(logits, target):
    return F.cross_entropy(torch.softmax(logits, 1), target)


@planted("focal-loss-torch: probabilities are wanted", "takes-probabilities")
def probabilities(logits, target):
    return -torch.log(logits.gather(1, target[:, None])).mean()


@planted("the norm of logits that are all equal", "no-finite-gradient-at-zero")
def by_norm(logits, target):
    return F.cross_entropy(logits / (logits.square().sum(1, keepdim=True).sqrt() + 1e-7), target)


@planted("infinite from the start", "not-finite")
def divides_by_zero(logits, target):
    return F.cross_entropy(logits, target) / (target - target).sum()


@planted("a part without the target", "ignores-target")
def regulariser(logits, target):
    return torch.logsumexp(logits, 1).square().mean()


# Gradients.


@planted("detached", "no-gradient")
def detached(logits, target):
    return F.cross_entropy(logits.detach(), target)


@planted("accuracy as a loss", "zero-gradient")
def accuracy(logits, target):
    return (logits.argmax(1) != target).float().mean() + 0 * logits.sum()


@planted("a number, not a tensor", "call-fails")
def number(logits, target):
    return F.cross_entropy(logits, target).item()


class _Handmade(torch.autograd.Function):
    """Half the gradient of the cross-entropy."""

    @staticmethod
    def forward(ctx, logits, target):
        ctx.save_for_backward(logits, target)
        return F.cross_entropy(logits, target)

    @staticmethod
    def backward(ctx, upstream):
        logits, target = ctx.saved_tensors
        hot = F.one_hot(target, logits.shape[1])
        return upstream * (torch.softmax(logits, 1) - hot) / (2 * len(logits)), None


@planted("half the gradient", "wrong-gradient")
def half_the_gradient(logits, target):
    return _Handmade.apply(logits, target)


class _Final(_Handmade):
    """Without the gradient of what comes after."""

    @staticmethod
    def backward(ctx, upstream):
        logits, target = ctx.saved_tensors
        hot = F.one_hot(target, logits.shape[1])
        return (torch.softmax(logits, 1) - hot) / len(logits), None


@planted("the last layer is taken for granted", "ignores-upstream-gradient")
def last_layer(logits, target):
    return _Final.apply(logits, target)


class _Stashed(torch.autograd.Function):
    """What backward needs is kept on the class."""

    kept = None

    @staticmethod
    def forward(ctx, logits, target):
        _Stashed.kept = (logits.detach(), target)
        return F.cross_entropy(logits, target)

    @staticmethod
    def backward(ctx, upstream):
        logits, target = _Stashed.kept
        hot = F.one_hot(target, logits.shape[1])
        return upstream * (torch.softmax(logits, 1) - hot) / len(logits), None


@planted("kept on the class until backward", "loses-held-gradient")
def stashed(logits, target):
    return _Stashed.apply(logits, target)


class _Overwriting(torch.autograd.Function):
    """The gradient is scaled where it is kept."""

    @staticmethod
    def forward(ctx, logits, target):
        hot = F.one_hot(target, logits.shape[1])
        ctx.slope = (torch.softmax(logits, 1) - hot) / len(logits)
        return F.cross_entropy(logits, target)

    @staticmethod
    def backward(ctx, upstream):
        kept = ctx.slope.clone()
        ctx.slope.mul_(0.5)
        return kept * upstream, None


@planted("scaled in place in backward", "second-backward-differs")
def overwriting(logits, target):
    return _Overwriting.apply(logits, target)


@planted("the slope is a constant to the second derivative", "no-double-backward")
class OnceOnly(nn.Module):
    def forward(self, logits, target):
        return _Once.apply(logits, target)


class _Once(_Handmade):
    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx, upstream):
        logits, target = ctx.saved_tensors
        hot = F.one_hot(target, logits.shape[1])
        return upstream * (torch.softmax(logits, 1) - hot) / len(logits), None


class _Frozen(_Handmade):
    @staticmethod
    def backward(ctx, upstream):
        logits, target = ctx.saved_tensors
        hot = F.one_hot(target, logits.shape[1])
        slope = (torch.softmax(logits.detach(), 1) - hot) / len(logits)
        return upstream * (slope + 0 * logits), None


@planted("a second derivative of zero", "wrong-second-derivative")
def frozen(logits, target):
    return _Frozen.apply(logits, target)


@planted("a modulator without gradient", "detached-factor")
def modulated(logits, target):
    values = F.cross_entropy(logits, target, reduction="none")
    return ((1 - torch.exp(-values.detach())) * values).mean()


# Batches.


@planted("EQLV2 of mmdet: reduction is ignored", "reduction-ignored")
def ignores_reduction(logits, target, reduction="mean"):
    return F.binary_cross_entropy_with_logits(logits, target)


@planted("a sum of means", "sum-is-no-sum")
def sum_of_means(logits, target, reduction="mean"):
    values = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return values.mean(1).sum() if reduction == "sum" else reduced(values, reduction)


@planted("a misspelt reduction", "accepts-any-reduction")
def any_reduction(logits, target, reduction="mean"):
    values = F.cross_entropy(logits, target, reduction="none")
    return values.mean() if reduction == "mean" else values


@planted("kornia: the mean over classes", "mean-over-classes")
def mean_over_classes(logits, target, reduction="mean"):
    hot = F.one_hot(target, logits.shape[1])
    return reduced(-hot * F.log_softmax(logits, 1), reduction)


@planted("MaxSup of torch-uncertainty: one part is a mean", "samples-coupled")
def coupled(logits, target, reduction="mean"):
    values = F.cross_entropy(logits, target) + (logits.amax(1) - logits.mean(1))
    return reduced(values, reduction)


@planted("weights by position in the batch", "order-matters")
def by_position(logits, target):
    weight = torch.linspace(0, 1, len(logits), dtype=logits.dtype, device=logits.device)
    return (weight * F.cross_entropy(logits, target, reduction="none")).sum()


@planted("a fixed batch size", "depends-on-batch-size")
def square_root(logits, target):
    return F.cross_entropy(logits, target, reduction="sum") / len(logits) ** 0.5


@planted("a sum over the batch", "sums-over-batch")
def summed(logits, target):
    return F.cross_entropy(logits, target, reduction="sum")


@planted("classes on the last axis", "maps-differ-from-rows")
def last_axis(logits, target):
    hot = F.one_hot(target, logits.shape[-1]).to(logits.dtype)
    return -(hot * F.log_softmax(logits, -1)).sum(-1).mean()


@planted("view on transposed logits", "needs-contiguous")
def flat_views(logits, target):
    return F.binary_cross_entropy_with_logits(logits.view(-1), target.view(-1))


# Masks.


def masked_values(logits, target, ignore_index):
    keep = target != ignore_index
    safe = target.where(keep, target * 0)
    return keep, F.cross_entropy(logits, safe, reduction="none")


@planted("SoftCrossEntropyLoss of smp: ignored positions in the mean", "ignored-in-denominator")
def ignored_counted(logits, target, ignore_index=-100):
    keep, values = masked_values(logits, target, ignore_index)
    return (values * keep).mean()


@planted("one_hot of the ignore_index", "ignore-index-fails")
def one_hot_of_ignored(logits, target, ignore_index=-100):
    hot = F.one_hot(target, logits.shape[1])
    return -(hot * F.log_softmax(logits, 1)).sum(1)[target != ignore_index].mean()


@planted("ignored in one part only", "ignored-have-gradient")
def ignored_in_one_part(logits, target, ignore_index=-100):
    part = F.cross_entropy(logits, target, ignore_index=ignore_index)
    return part + 0.1 * torch.logsumexp(logits, 1).square().mean()


@planted("TopKLoss of nnU-Net: the share of all voxels", "ignoring-is-not-dropping")
def top_share_of_all(logits, target, ignore_index=-100):
    _, values = masked_values(logits, target, ignore_index)
    values = values * (target != ignore_index)
    return values.topk(max(len(values) // 2, 1)).values.mean()


@planted("0 * NaN", "nan-at-ignored")
def zero_times_nan(logits, target, ignore_index=-100):
    keep, values = masked_values(logits, target, ignore_index)
    return (values * keep).sum() / keep.sum()


@planted("0 / 0", "all-ignored-nan")
def zero_by_zero(logits, target, ignore_index=-100):
    keep, values = masked_values(logits, target, ignore_index)
    return values[keep].mean()


@planted("the largest of nothing", "all-ignored-fails")
def largest_of_nothing(logits, target, ignore_index=-100):
    keep, values = masked_values(logits, target, ignore_index)
    return values[keep].max()


@planted("a constant for nothing", "empty-batch-no-graph")
def constant_for_nothing(logits, target):
    return F.cross_entropy(logits, target) if len(target) else torch.zeros(())


@planted("-1 is the last class", "accepts-wrong-classes")
def minus_one(logits, target):
    rows = torch.arange(len(target), device=logits.device)
    return -F.log_softmax(logits, 1)[rows, target].mean()


# Weights and targets.


@planted("fastai: p_t from the weighted cross-entropy", "weight-leaks-into-probability")
def weighted_p_t(logits, target, weight=None, reduction="mean"):
    weight = None if weight is None else weight.to(logits)
    values = F.cross_entropy(logits, target, weight, reduction="none")
    return reduced((1 - torch.exp(-values)) ** 2 * values, reduction)


@planted("weights that are not used", "weight-ignored")
def weight_unused(logits, target, weight=None, reduction="mean"):
    return F.cross_entropy(logits, target, reduction=reduction)


@planted("MaxSup of torch-uncertainty: (B, 1) times (C,)", "weight-changes-shape")
def weight_broadcast(logits, target, weight=None, reduction="mean"):
    values = F.cross_entropy(logits, target, reduction="none")
    if weight is not None:
        values = values[:, None] * weight.to(logits)
    return reduced(values, reduction)


@planted("smp: weights that are normalised", "weights-normalised")
def weight_normalised(logits, target, weight=None, reduction="mean"):
    weight = None if weight is None else (weight / weight.sum()).to(logits)
    return F.cross_entropy(logits, target, weight, reduction=reduction)


@planted("PolyBCE: target == 1", "soft-targets-misread")
def target_is_one(logits, target):
    p = torch.sigmoid(logits)
    p_t = torch.where(target == 1, p, 1 - p)
    return (-torch.log(p_t) + (1 - p_t)).mean()


@planted("truths above 0.5", "soft-targets-rounded")
def above_half(logits, target):
    return F.binary_cross_entropy_with_logits(logits, (target > 0.5).to(logits.dtype))


@planted("PolyLoss: the largest of a soft target", "soft-targets-rounded")
def soft_argmax(logits, target):
    return F.cross_entropy(logits, target.argmax(1) if target.dim() > 1 else target)


@planted("one-hot targets that count twice", "one-hot-differs-from-index")
def one_hot_twice(logits, target):
    if target.dim() > 1:
        return F.cross_entropy(logits, target) + F.cross_entropy(logits, target.argmax(1))
    return F.cross_entropy(logits, target)


def smoothed(logits, target, on, off):
    hot = F.one_hot(target, logits.shape[1])
    return -((off + (on - off) * hot) * F.log_softmax(logits, 1)).sum(1).mean()


@planted("the seed's LabelSmoothing: the mass that is kept", "smoothing-reversed")
def kept_mass(logits, target, label_smoothing=1.0):
    share = (1 - label_smoothing) / logits.shape[1]
    return smoothed(logits, target, label_smoothing + share, share)


@planted("CoinCheung: 1 - s without s / C", "smoothing-loses-mass")
def lost_mass(logits, target, label_smoothing=0.0):
    return smoothed(logits, target, 1 - label_smoothing, label_smoothing / logits.shape[1])


@planted("s / (C - 1) on the others", "smoothing-convention")
def other_smoothing(logits, target, label_smoothing=0.0):
    share = label_smoothing / (logits.shape[1] - 1)
    return smoothed(logits, target, 1 - label_smoothing, share)


@planted("2 y - 1 of bytes", "target-dtype-matters")
def bytes_wrap(logits, target):
    return F.softplus(-(2 * target - 1) * logits).mean()


@planted("SoftTargetCrossEntropy of timm: minus bytes", "target-dtype-matters")
def minus_bytes(logits, target):
    return torch.sum(-target * F.log_softmax(logits, 1), 1).mean()


@planted("kornia: alpha makes class 0 the background", "class-is-special")
def background(logits, target, alpha=0.25):
    weight = torch.full((logits.shape[1],), alpha, dtype=logits.dtype, device=logits.device)
    weight[0] = 1 - alpha
    return (weight[target] * F.cross_entropy(logits, target, reduction="none")).mean()


# Manners.


@planted("masked in place", "changes-logits")
def in_place(logits, target):
    return F.cross_entropy(logits.clamp_(-1, 1) if not logits.requires_grad else logits, target)


@planted("targets in place", "changes-target")
def target_in_place(logits, target):
    return F.binary_cross_entropy_with_logits(logits, target.mul_(0.9))


@planted("AsymmetricLossMultiLabel of timm: gradients on again", "changes-grad-mode")
def grad_on(logits, target):
    torch.set_grad_enabled(False)
    weight = (torch.sigmoid(logits) - target).abs()
    torch.set_grad_enabled(True)
    return (weight * F.binary_cross_entropy_with_logits(logits, target, reduction="none")).sum()


@planted("a seed of its own", "reseeds")
def reseeding(logits, target):
    torch.manual_seed(0)
    return F.cross_entropy(logits + 0.01 * torch.rand_like(logits), target)


@planted("random numbers in evaluation", "not-deterministic")
def noisy(logits, target):
    return F.cross_entropy(logits + torch.randn_like(logits), target)


@planted("the default dtype", "changes-settings")
def sets_dtype(logits, target):
    torch.set_default_dtype(torch.float64)
    return F.cross_entropy(logits, target)


@planted("a print", "prints")
def printing(logits, target):
    value = F.cross_entropy(logits, target)
    print("loss", value)
    return value


@planted("a gradient inside of the forward", "fails-in-inference-mode")
def inner_gradient(logits, target):
    with torch.enable_grad():
        inside = logits.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(F.cross_entropy(inside, target), inside)
    return F.cross_entropy(logits, target) + 0 * slope.sum()


@planted("JsdCrossEntropy of timm: __call__", "hooks-never-run")
class OwnCall(nn.Module):
    def __call__(self, logits, target):
        return F.cross_entropy(logits, target)


# State.


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("seen", torch.zeros(5))

    def weight(self):
        return 1 / (1 + self.seen)

    def forward(self, logits, target):
        if self.counts():
            self.seen = self.seen + F.one_hot(target, 5).sum(0)
        return F.cross_entropy(logits, target, self.weight().to(logits))

    def counts(self):
        return self.training and torch.is_grad_enabled()


@planted("AsymmetricLossSingleLabel of timm: the last targets on self", "keeps-last-batch")
class KeepsTargets(nn.Module):
    def forward(self, logits, target):
        self.targets_classes = F.one_hot(target, logits.shape[1])
        return -(self.targets_classes * F.log_softmax(logits, 1)).sum(1).mean()


@planted("EQLV2 of mmdet: sums that move in evaluation", "learns-in-evaluation")
class CountsAlways(Counting):
    def counts(self):
        return True


@planted("a batch that counts twice", "counts-twice-under-checkpointing")
class CountsForwards(Counting):
    pass


@planted("EQLV2 of its authors: sums that are no buffers", "state-not-saved")
class Unsaved(Counting):
    def __init__(self):
        super().__init__()
        del self.seen
        self.seen = torch.zeros(5)


@planted("a buffer that is made in the first call", "state-does-not-load")
class Late(nn.Module):
    def forward(self, logits, target):
        if not hasattr(self, "seen"):
            self.register_buffer("seen", torch.ones(5))
        self.seen = self.seen + 1
        return F.cross_entropy(logits, target, self.seen.to(logits))


@planted("the seed's focal: alpha is a plain tensor", "tensor-is-no-buffer")
class PlainTensor(nn.Module):
    def __init__(self):
        super().__init__()
        self.alpha = torch.ones(5)

    def forward(self, logits, target):
        return F.cross_entropy(logits, target, self.alpha.to(logits))


@planted("focal-loss-torch: torch.ones on the CPU", "wrong-device")
def ones_on_the_cpu(logits, target):
    values = F.cross_entropy(logits, target, reduction="none")
    return (torch.ones(len(logits)) * values).mean()


@planted("PolyLoss: the last value with its graph", "keeps-graph")
class Keeps(nn.Module):
    def forward(self, logits, target):
        self.ce_loss = F.cross_entropy(logits, target)
        return self.ce_loss


@planted("intermediate values on self", "not-thread-safe")
class SharesSelf(nn.Module):
    def forward(self, logits, target):
        self.logits = logits.detach()
        time.sleep(1e-4)
        return F.cross_entropy(logits, target) + self.logits.square().mean()


@planted("a lambda in an attribute", "not-copyable")
class WithLambda(nn.Module):
    def __init__(self):
        super().__init__()
        self.activation = lambda x: x

    def forward(self, logits, target):
        return F.cross_entropy(self.activation(logits), target)


# Compilers.


@planted("a Python branch on a value", "breaks-graph")
def branches(logits, target):
    value = F.cross_entropy(logits, target)
    return value * 2 if value.item() > 1 else value


@planted("a value read in Python", "reads-values")
def reads(logits, target):
    return F.cross_entropy(logits, target) / max(logits.abs().max().item(), 1)


@planted("samples one by one", "no-functorch")
def by_item(logits, target):
    return sum(
        -F.log_softmax(row, 0)[int(label)] for row, label in zip(logits, target, strict=True)
    )


@planted("a step counter in the forward", "recompiles")
class CountsSteps(nn.Module):
    def __init__(self):
        super().__init__()
        self.kind = "a"

    def forward(self, logits, target):
        self.kind = self.kind + "a"
        return F.cross_entropy(logits, target) * len(self.kind) / len(self.kind)


# What it is.


@planted("a focal loss", "recognised")
def is_focal(logits, target):
    log_p = F.log_softmax(logits, 1).gather(1, target[:, None]).squeeze(1)
    return ((1 - log_p.exp()) ** 2.3 * -log_p).mean()


@planted("forty passes", "costs-more")
def slow(logits, target):
    for _ in range(40):
        logits = logits * 1.0
    return F.cross_entropy(logits, target)


# Losses that do not come back.


@planted("sys.exit", "exits", ENDING)
def exits(logits, target):
    sys.exit(3)


@planted("a segmentation fault", "crashes", ENDING)
def crashes(logits, target):
    if not torch.is_grad_enabled() or len(logits) == 6:
        ctypes.string_at(0)
    return F.cross_entropy(logits, target)


@planted("a loop without an end", "hangs", ENDING)
def hangs(logits, target):
    while True:
        time.sleep(0.05)


# Gradient accumulation.


@planted("weights by how hard a sample is beside the others", "micro-batches-differ")
def by_hardest(logits, target):
    values = F.cross_entropy(logits, target, reduction="none")
    return (values * values / values.max().detach()).mean()


@planted("a mean over the sum of its weights", "denominator-per-batch")
class OwnWeights(nn.Module):
    def forward(self, logits, target):
        weight = torch.arange(1.0, 6.0, dtype=logits.dtype)
        return F.cross_entropy(logits, target, weight=weight)


@planted("a mean that is followed from call to call", "state-per-call")
class Followed(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("level", torch.ones(()))

    def forward(self, logits, target):
        value = F.cross_entropy(logits, target)
        if self.training:
            self.level = 0.9 * self.level + 0.1 * value.detach()
        return value / self.level
