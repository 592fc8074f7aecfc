"""The checks every loss has to pass. The suites call them; the negative controls must fail them."""

from __future__ import annotations

import copy
import io
import math
import pickle

import torch
from torch import Tensor, nn

from kit.cases import IGNORED, Case, build, permuted, resized, target_kinds
from kit.executors import PATHS, running
from kit.tolerances import ATOL, GRADIENT_ATOL, GRADIENT_RTOL, RTOL, close
from kit.turns import FAST
from references import Call, is_index, reference_loss
from taylored import catalog

REDUCTIONS = ("none", "sum", "mean", "batch_mean")


def value_and_gradient(
    loss: nn.Module, logits: Tensor, target: Tensor, path: str, **call: object
) -> tuple[Tensor, Tensor]:
    """The loss along one path and the gradient of its sum."""
    z = logits.detach().clone().requires_grad_()
    with running(path):
        value = loss(z, target, **call)
        (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient


def reference_value_and_gradient(
    call: Call, logits: Tensor, target: Tensor, **arguments: Tensor
) -> tuple[Tensor, Tensor]:
    z = logits.detach().double().requires_grad_()
    value = reference_loss(call, z, target, **arguments)
    (gradient,) = torch.autograd.grad(value.sum(), z)
    return value.detach(), gradient


def check_value(case: Case, path: str = "whole", dtype: torch.dtype = torch.float64) -> None:
    """Value against the reference; half precision gives a float32 loss."""
    loss, target = build(case.call), case.targets()
    logits = case.logits(dtype)
    value, _ = value_and_gradient(loss, logits, target, path)
    assert value.dtype == (dtype if dtype == torch.float64 else torch.float32)
    expected, _ = reference_value_and_gradient(case.call, logits, target)
    close(value, expected, RTOL[dtype], ATOL[dtype])


def check_gradient(case: Case, path: str = "whole", dtype: torch.dtype = torch.float64) -> None:
    """Gradient against autograd of the reference, in the dtype of the logits."""
    loss, target = build(case.call.having(reduction="sum")), case.targets()
    logits = case.logits(dtype)
    _, gradient = value_and_gradient(loss, logits, target, path)
    assert gradient.dtype == dtype
    _, expected = reference_value_and_gradient(case.call.having(reduction="sum"), logits, target)
    close(gradient, expected, GRADIENT_RTOL[dtype], GRADIENT_ATOL[dtype])


def check_derivatives(case: Case) -> None:
    """Numerical first and second derivatives; backward, forward and batched modes."""
    loss, target = build(case.call), case.targets()
    logits = case.logits().requires_grad_()

    def function(z: Tensor) -> Tensor:
        return loss(z, target)

    assert torch.autograd.gradcheck(
        function, (logits,), check_forward_ad=True, check_batched_grad=True
    )
    assert torch.autograd.gradgradcheck(function, (logits,), fast_mode=FAST)


def check_upstream(case: Case, path: str = "whole") -> None:
    """The loss need not be the last layer, nor the logits a leaf."""
    for reduction in ("mean", "none"):
        call = case.call.having(reduction=reduction)
        loss, target = build(call), case.targets()
        factors: Tensor | float = 1.0
        found = []
        for function in (loss, lambda z, y, call=call: reference_loss(call, z, y)):
            leaf = case.logits().requires_grad_()
            with running(path):
                value = function(torch.tanh(leaf) * 3, target)
            if reduction == "none":
                factors = torch.linspace(-2, 3, value.numel()).reshape(value.shape).double()
            final = (factors * value).sum() ** 2 * 3.7
            found.append(torch.autograd.grad(final, leaf)[0])
        close(*found)


def check_reductions(case: Case, path: str = "whole") -> None:
    """Every reduction, with and without sample weights; a normalizer replaces the mean's."""
    target, logits = case.targets(), case.logits()
    positions = case.shape[:1] + case.shape[2:]
    weights = [None, torch.linspace(0, 2, case.shape[0]).double()]
    weights.append(torch.linspace(0.5, 2, math.prod(positions)).reshape(positions).double())
    if case.call.link() == "sigmoid":
        weights.append(torch.linspace(0, 2, logits.numel()).reshape(logits.shape).double())
    for reduction in REDUCTIONS:
        call = case.call.having(reduction=reduction)
        loss = build(call)
        for weight in weights:
            _agree(loss, call, logits, target, path, sample_weight=weight)
    loss = build(case.call.having(reduction="mean"))
    for normalizer in (3.5, torch.tensor(2.0), torch.tensor([7]), torch.tensor(0)):
        call = case.call.having(reduction="mean")
        _agree(loss, call, logits, target, path, normalizer=normalizer)


def _agree(
    loss: nn.Module, call: Call, logits: Tensor, target: Tensor, path: str, **arguments: object
) -> None:
    value, gradient = value_and_gradient(loss, logits, target, path, **arguments)
    one = {name: v.reshape(()) if name == "normalizer" and isinstance(v, Tensor) else v
           for name, v in arguments.items()}  # fmt: skip
    expected, expected_gradient = reference_value_and_gradient(call, logits, target, **one)
    assert value.shape == expected.shape
    close(value, expected)
    close(gradient, expected_gradient)


def check_ignored(case: Case, path: str = "whole") -> None:
    """Ignored positions: exactly zero loss and gradient, and the same numbers as without them."""
    target = case.targets()
    assert (target == IGNORED).any()
    for marker in (IGNORED, -1, 255, 1):
        marked = torch.where(target == IGNORED, marker, target)
        logits = case.logits()
        ignored = marked == marker
        keep = ~ignored
        for reduction in ("none", "sum", "mean"):
            loss = build(case.call.having(reduction=reduction, ignore_index=marker))
            value, gradient = value_and_gradient(loss, logits, marked, path)
            gone = ignored if ignored.shape == logits.shape else ignored.unsqueeze(1)
            assert (gradient * gone == 0).all()
            if reduction == "none":
                gone = gone if value.shape == logits.shape else ignored
                assert (value * gone == 0).all()
                continue
            if not is_index(target, logits):
                if reduction == "mean":  # weighted by hand: single elements cannot be dropped
                    each = build(case.call.having(reduction="none", ignore_index=None))
                    safe = torch.where(ignored, 0, marked)
                    with running(path):
                        kept_losses = each(logits, safe)[keep]
                    close(value, kept_losses.sum() / keep.sum())
                continue
            rows = logits.movedim(1, -1)[keep]
            plain = build(case.call.having(reduction=reduction, ignore_index=None))
            dropped, dropped_gradient = value_and_gradient(plain, rows, marked[keep], path)
            close(value, dropped)
            close(gradient.movedim(1, -1)[keep], dropped_gradient)


def check_weight(case: Case, path: str = "whole") -> None:
    """Weights multiply after the term: linear, per class, never inside p_t."""
    target, logits = case.targets(), case.logits()
    plain = build(case.call.having(reduction="none", weight=None))
    base, base_gradient = value_and_gradient(plain, logits, target, path)
    tripled = build(case.call.having(reduction="none", weight=[3.0] * case.shape[1]))
    value, gradient = value_and_gradient(tripled, logits, target, path)
    close(value, 3 * base)
    close(gradient, 3 * base_gradient)
    # Not weights of 0: what counts for nothing may change the loss of the others (GHM).
    pieces = [
        build(case.call.having(reduction="none", weight=(1.0 + row).tolist()))
        for row in torch.eye(case.shape[1])
    ]
    found = [value_and_gradient(piece, logits, target, path) for piece in pieces]
    found = [(v - base, g - base_gradient) for v, g in found]
    close(torch.stack([v for v, _ in found]).sum(0), base)
    close(torch.stack([g for _, g in found]).sum(0), base_gradient)
    weight = torch.linspace(0.2, 3, case.shape[1]).double()
    mixed = build(case.call.having(reduction="none", weight=weight.tolist()))
    value, gradient = value_and_gradient(mixed, logits, target, path)
    close(value, sum(w * v for w, (v, _) in zip(weight, found, strict=True)))
    close(gradient, sum(w * g for w, (_, g) in zip(weight, found, strict=True)))


def check_permutations(case: Case, path: str = "whole") -> None:
    """Neither the order of the batch nor the names of the classes matter."""
    generator = case.generator()
    target, logits = case.targets(), case.logits()
    call = case.call.having(reduction="none")
    value, gradient = value_and_gradient(build(call), logits, target, path)
    batch = torch.randperm(case.shape[0], generator=generator)
    moved, moved_gradient = value_and_gradient(build(call), logits[batch], target[batch], path)
    close(moved, value[batch])
    close(moved_gradient, gradient[batch])
    classes = torch.randperm(case.shape[1], generator=generator)
    if is_index(target, logits):
        place = torch.argsort(classes)
        inside = target != IGNORED
        renamed = torch.where(inside, place[torch.where(inside, target, 0)], IGNORED)
    else:
        renamed = target[:, classes]
    other = build(permuted(call, classes.tolist()))
    moved, moved_gradient = value_and_gradient(other, logits[:, classes], renamed, path)
    close(moved, value if moved.dim() < logits.dim() else value[:, classes])
    close(moved_gradient, gradient[:, classes])


def check_one_hot(case: Case, path: str = "whole") -> None:
    """Hard targets written as probabilities are the same targets."""
    target, logits = case.targets(ignored=False), case.logits()
    assert case.target == "index"
    hot = nn.functional.one_hot(target, case.shape[1]).movedim(-1, 1)
    for reduction in ("none", "sum"):
        loss = build(case.call.having(reduction=reduction))
        value, gradient = value_and_gradient(loss, logits, target, path)
        for soft in (hot.double(), hot.float(), hot, hot.bool(), hot.to(torch.int8)):
            again, again_gradient = value_and_gradient(loss, logits, soft, path)
            close(again, value)
            close(again_gradient, gradient)


def check_finite(loss: nn.Module, logits: Tensor, target: Tensor, path: str = "whole") -> None:
    """No NaN and no inf in value, gradient and Hessian-vector product."""
    z = logits.detach().clone().requires_grad_()
    with running(path):
        value = loss(z, target)
        assert value.isfinite().all(), f"value {value} at {logits.tolist()}"
        (plain,) = torch.autograd.grad(value.sum(), z, retain_graph=True)
        (gradient,) = torch.autograd.grad(value.sum(), z, create_graph=True)
        assert plain.isfinite().all(), f"gradient {plain} at {logits.tolist()}"
        assert gradient.isfinite().all(), f"composed gradient {gradient} at {logits.tolist()}"
        if not gradient.requires_grad:
            return None
        direction = torch.linspace(-1, 1, z.numel(), dtype=z.dtype).reshape(z.shape)
        (curved,) = torch.autograd.grad((gradient * direction).sum(), z, allow_unused=True)
    if curved is not None and logits.dtype == torch.float16 and not curved.isfinite().all():
        return check_finite(loss, logits.float(), target, path)  # too large a number for float16
    assert curved is None or curved.isfinite().all(), f"Hessian at {logits.tolist()}"


def check_nothing_left(case: Case, path: str = "whole") -> None:
    """Empty and all-ignored batches: zero, with zero gradients, connected to the graph."""
    call = case.call
    empty = torch.zeros((0, *case.shape[1:]), dtype=torch.float64)
    for reduction in REDUCTIONS:
        loss = build(call.having(reduction=reduction))
        value, gradient = value_and_gradient(loss, empty, case.targets()[:0], path)
        assert gradient.shape == empty.shape
        assert value.numel() == 0 if reduction == "none" else value.item() == 0.0
        if case.target == "probabilities":
            continue
        target = torch.full_like(case.targets(), IGNORED)
        value, gradient = value_and_gradient(loss, case.logits(), target, path)
        assert (value == 0).all()
        assert (gradient == 0).all()


def check_one_class(case: Case, path: str = "whole") -> None:
    """One column: an ordinary question for sigmoid; no class for indices, or for softmax at all."""
    call = resized(case.call, 1)
    logits = case.logits()[:, :1]
    target = torch.zeros_like(case.targets()) if case.target == "index" else case.targets()[:, :1]
    if case.target == "probabilities":
        target = torch.ones_like(target)
    if call.link() == "softmax" or case.target == "index":
        word = "sigmoid" if call.link() == "softmax" else "target.unsqueeze(1).float()"
        try:
            value_and_gradient(build(call), logits, target, path)
        except ValueError as error:
            assert word in str(error), error
            return
        raise AssertionError("one column was taken for a class")
    value, gradient = value_and_gradient(build(call), logits, target, path)
    expected, expected_gradient = reference_value_and_gradient(call, logits, target)
    close(value, expected)
    close(gradient, expected_gradient)


def check_strides(case: Case, path: str = "whole") -> None:
    """Views of any layout give the numbers of their contiguous copies."""
    target, logits = case.targets(), case.logits()
    value, gradient = value_and_gradient(build(case.call), logits, target, path)
    swapped = logits.movedim(1, -1).contiguous().movedim(-1, 1)
    wide = torch.stack([logits, logits + 1], dim=-1)[..., 0]
    y = torch.stack([target, target], dim=-1)[..., 0]
    assert not swapped.is_contiguous()
    assert not wide.is_contiguous()
    for view in (swapped, wide):
        leaf = view.detach().requires_grad_()
        with running(path):
            again = build(case.call)(leaf, y)
            (again_gradient,) = torch.autograd.grad(again, leaf)
        close(again, value)
        close(again_gradient, gradient)
    expanded = logits[:1].expand(case.shape)
    same, same_gradient = value_and_gradient(build(case.call), logits[:1].repeat(
        case.shape[0], *[1] * (len(case.shape) - 1)), target, path)  # fmt: skip
    leaf = expanded.detach().requires_grad_()
    with running(path):
        again = build(case.call)(leaf, y)
        (again_gradient,) = torch.autograd.grad(again, leaf)
    close(again, same)
    close(again_gradient, same_gradient)


def check_vmap(case: Case) -> None:
    """One loss per sample by vmap, and one gradient per sample."""
    target, logits = case.targets(), case.logits()
    loss = build(case.call.having(reduction="sum"))

    def single(z: Tensor, y: Tensor) -> Tensor:
        return loss(z.unsqueeze(0), y.unsqueeze(0))

    losses = torch.func.vmap(single)(logits, target)
    gradients = torch.func.vmap(torch.func.grad(single))(logits, target)
    expected, expected_gradient = reference_value_and_gradient(
        case.call.having(reduction="none"), logits, target
    )
    close(losses, expected.flatten(1).sum(1) if expected.dim() > 1 else expected)
    close(gradients, expected_gradient)


def check_written_form(text: str, counts: list[int]) -> None:
    """repr, pickle, deepcopy and the state dict all give the loss back."""
    loss = catalog.get(text, counts=counts).eval()  # losses with state stay in it
    written = repr(loss)
    again = catalog.get(written).eval()
    assert repr(again) == written
    assert type(again) is type(loss)
    buffer = io.BytesIO()
    torch.save(loss.state_dict(), buffer)
    buffer.seek(0)
    again.load_state_dict(torch.load(buffer, weights_only=True))
    # Not opened from elsewhere: written two lines above.
    pickled = pickle.loads(pickle.dumps(loss))  # noqa: S301
    logits, target = torch.randn(4, len(counts)), torch.tensor([0, 1, 2, 1])
    expected = loss(logits, target)
    for other in (again, pickled, copy.deepcopy(loss)):
        assert repr(other) == written
        assert torch.equal(other(logits, target), expected)


def accepted(call: Call) -> set[str]:
    """Options that the innermost loss takes."""
    name = call.having().innermost().name
    return {parameter.name for parameter in catalog.SPECS[name].accepted}


def check_identity(left: Call, right: Call) -> None:
    """Two calls that must give the same numbers, whatever the options."""
    assert left.link() == right.link()
    kinds = ["index", "probabilities" if left.link() == "softmax" else "soft"]
    smoothings = [0.0, 0.1]
    if target_kinds(left) == ("index",):  # defined for a single, certain truth
        kinds = kinds[:1]
    if not all("label_smoothing" in accepted(call) for call in (left, right)):
        smoothings = smoothings[:1]
    for kind in kinds:
        case = Case(left.text(), kind, (6, 5))
        for reduction in ("none", "mean"):
            for smoothing in smoothings:
                options = {"reduction": reduction}
                if smoothing:
                    options["label_smoothing"] = smoothing
                found = [
                    value_and_gradient(
                        build(call.having(**options)), case.logits(), case.targets(), path
                    )
                    for call in (left, right)
                    for path in PATHS
                ]
                for value, gradient in found[1:]:
                    close(value, found[0][0])
                    close(gradient, found[0][1])
