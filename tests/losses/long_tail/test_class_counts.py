"""Losses from class counts: values by hand, published code, state, schedule, and errors."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn

from kit.cases import default_dtype
from kit.checks import class_counts as checks
from kit.checks.class_counts import (
    COUNTS,
    USING_COUNTS,
    C,
    classes,
    draw,
    value_and_gradient,
    with_counts,
)
from kit.collectives import Collectives, counted_all_reduce
from kit.ranks import copied
from kit.tolerances import close
from taylored import (
    BalancedSoftmaxLoss,
    CosineClassifier,
    CrossEntropyLoss,
    DeferredReweightingLoss,
    FocalLoss,
    LDAMLoss,
    LogitAdjustedLoss,
    SeesawLoss,
    VectorScalingLoss,
    adjust_logits,
    balanced_softmax_loss,
    catalog,
    cross_entropy_loss,
    ldam_loss,
    logit_adjusted_loss,
    series,
    vector_scaling_loss,
)

each_loss = pytest.mark.parametrize("name", USING_COUNTS)

BY_ITSELF = [
    checks.check_logit_adjusted_by_hand,
    checks.check_balanced_softmax_by_hand,
    checks.check_vector_scaling_by_hand,
    checks.check_ldam_by_hand,
    checks.check_seesaw_by_hand,
    checks.check_seesaw_floor,
    checks.check_post_hoc_undoes_training,
    checks.check_counts_before_use,
    checks.check_seesaw_untouched,
    checks.check_seesaw_resumes,
    checks.check_schedule,
    checks.check_deferred_follows_the_module,
    checks.check_deferred_resumes,
    checks.check_no_recompilation,
    checks.check_cosine_zeros,
    checks.check_cosine_lengths,
]


@pytest.mark.parametrize("check", BY_ITSELF, ids=[check.__name__[6:] for check in BY_ITSELF])
def test_one_by_one(check: Callable[[], None]) -> None:
    torch._dynamo.reset()
    check()


@pytest.mark.parametrize("text", ["logit_adjusted", "balanced_softmax"])
def test_nothing_to_learn(text: str) -> None:
    checks.check_nothing_to_learn(text)


@each_loss
def test_zero_counts(name: str) -> None:
    checks.check_zero_counts(name)


# --- what they are for --------------------------------------------------------------------------


def recall_of_the_rare(loss: nn.Module) -> tuple[float, nn.Linear]:
    """Two overlapping normal distributions, 980 : 20, a line between them; recall of the 20."""
    grid = torch.special.ndtri(torch.linspace(0.0005, 0.9995, 980))
    few = torch.special.ndtri(torch.linspace(0.025, 0.975, 20)) + 1.5
    features = torch.cat([grid, few]).unsqueeze(1)
    target = torch.cat([torch.zeros(980), torch.ones(20)]).long()
    model = nn.Linear(1, 2)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        value: Tensor = loss(model(features), target)
        value.backward()
        return value

    optimizer.step(closure)
    with torch.no_grad():
        return float((model(few.unsqueeze(1)).argmax(1) == 1).float().mean()), model


@pytest.mark.parametrize(
    "text", ["logit_adjusted", "balanced_softmax", "deferred(cross_entropy, start=0)"]
)
def test_the_rare_class_is_found(text: str) -> None:
    plain, model = recall_of_the_rare(CrossEntropyLoss())
    assert plain < 0.15
    found, _ = recall_of_the_rare(catalog.get(text, counts=[980, 20]))
    assert 0.6 < found < 0.95
    few = torch.special.ndtri(torch.linspace(0.025, 0.975, 20)) + 1.5
    with torch.no_grad():
        after = adjust_logits(model(few.unsqueeze(1)), counts=[980, 20]).argmax(1)
    assert 0.6 < float((after == 1).float().mean()) < 0.95


# --- published code -----------------------------------------------------------------------------


def agree(ours: Callable[[Tensor], Tensor], theirs: Callable[[Tensor], Tensor], z: Tensor) -> None:
    found = [value_and_gradient(lambda x, _, f=f: f(x), z, z) for f in (ours, theirs)]
    for left, right in zip(*found, strict=True):
        close(left, right, rtol=1e-9)


@pytest.mark.parametrize("scale", [1.0, 30.0])
def test_ldam_on_cosines_is_the_official_formula(scale: float) -> None:
    """kaidic/LDAM-DRW: off the true logit where a mask says so, times s, weighted cross-entropy."""
    margins = 1 / torch.tensor(COUNTS).double().sqrt().sqrt()
    margins = margins * (0.5 / margins.max())
    weight, target = torch.tensor([0.5, 1.0, 2.0, 3.0]).double(), classes(20)
    hot = F.one_hot(target, C).bool()
    agree(
        lambda z: ldam_loss(z, target, counts=COUNTS, scale=scale, weight=weight),
        lambda z: F.cross_entropy(
            scale * torch.where(hot, z - margins[target].unsqueeze(1), z), target, weight=weight
        ),
        torch.tanh(draw(20, C)),
    )


@pytest.mark.parametrize("gamma", [0.0, 0.3])
@pytest.mark.parametrize("tau", [0.0, 1.25])
def test_vector_scaling_is_the_official_formula(gamma: float, tau: float) -> None:
    """orparask/VS-Loss; tau = 0 is CDT."""
    n, target = torch.tensor(COUNTS).double(), classes(20)
    temperature = (1 / n) ** gamma
    temperature = temperature / temperature.min()
    iota = tau * torch.log(n / n.sum())
    agree(
        lambda z: vector_scaling_loss(z, target, counts=COUNTS, gamma=gamma, tau=tau),
        lambda z: F.cross_entropy(z / temperature + iota, target),
        draw(20, C),
    )


def test_seesaw_is_the_published_formula() -> None:
    """mmdetection: ratios as powers, times an index of where they hold, their log on the rivals."""
    n, target = torch.tensor(COUNTS).double(), classes(20)
    hot = F.one_hot(target, C)

    def published(z: Tensor) -> Tensor:
        ratio = n[None, :] / n[:, None]
        below = (ratio < 1).double()
        factors = (ratio**0.8 * below + 1 - below)[target]
        scores = torch.softmax(z.detach(), dim=1)
        relative = scores / scores.gather(1, target[:, None]).clamp(min=1e-2)
        above = (relative > 1).double()
        factors = factors * (relative**2.0 * above + 1 - above)
        return F.cross_entropy(z + torch.log(factors) * (1 - hot), target)

    with default_dtype(torch.float64):
        loss = SeesawLoss(num_classes=C, counts=COUNTS)
    agree(lambda z: loss(z, target), published, draw(20, C))


# --- modules and functions ----------------------------------------------------------------------

PAIRS = [
    (LogitAdjustedLoss(counts=COUNTS, tau=1.5), logit_adjusted_loss, {"tau": 1.5}),
    (BalancedSoftmaxLoss(counts=COUNTS), balanced_softmax_loss, {}),
    (VectorScalingLoss(counts=COUNTS, gamma=0.2), vector_scaling_loss, {"gamma": 0.2}),
    (LDAMLoss(counts=COUNTS, scale=4.0), ldam_loss, {"scale": 4.0}),
]


@pytest.mark.parametrize(("module", "function", "options"), PAIRS, ids=range(len(PAIRS)))
def test_functions_are_their_modules(module: nn.Module, function: Callable, options: dict) -> None:
    for shape in ((7, C), (7, C, 2, 3), (C,)):
        logits, target = draw(*shape), classes(*shape[:1], *shape[2:])
        if shape == (C,):
            target = torch.tensor(2)
        found = function(logits, target, counts=COUNTS, **options)
        close(found, module(logits, target), rtol=1e-6)
        weighted = {"sample_weight": torch.linspace(0, 1, 7), "normalizer": 3.0}
        weighted = weighted if shape != (C,) else {"normalizer": 3.0}
        found = function(logits, target, counts=torch.tensor(COUNTS), **options, **weighted)
        close(found, module(logits, target, **weighted), rtol=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_the_published_reading_is_the_softmax_of_plain_logits(dtype: torch.dtype) -> None:
    for name in ("logit_adjusted", "balanced_softmax", "vector_scaling", "seesaw"):
        loss = with_counts(name, COUNTS)
        for logits in (draw(5, C, dtype=dtype), draw(5, C, 2, 3, dtype=dtype)):
            found = loss.posterior(logits, prior=None)
            assert loss.predict(logits).equal(logits.argmax(dim=1))
            assert found.dtype == torch.float32
            close(found, torch.softmax(logits.double(), dim=1), rtol=1e-5, atol=1e-7)
    scaled = LDAMLoss(counts=COUNTS, scale=30.0)
    cosines = torch.tanh(draw(5, C, dtype=dtype))
    expected = torch.softmax(30 * cosines.double(), dim=1)
    close(scaled.posterior(cosines, prior=None), expected, rtol=1e-4, atol=1e-7)


def test_adjusted_logits_of_any_shape_and_precision() -> None:
    prior = torch.log(torch.tensor(COUNTS).double() / sum(COUNTS))
    for shape, along in (((6, C), prior), ((C,), prior), ((6, C, 2), prior.reshape(C, 1))):
        logits = draw(*shape)
        close(adjust_logits(logits, counts=COUNTS, tau=0.5), logits - 0.5 * along)
        assert torch.equal(adjust_logits(logits, counts=COUNTS, tau=0.0), logits)
    half = draw(6, C, dtype=torch.float16)
    found = adjust_logits(half, counts=COUNTS)
    assert found.dtype == torch.float32
    close(found, half.double() - prior, rtol=1e-6)


def test_soft_targets_of_ldam_are_the_expected_loss() -> None:
    """Each class takes its own margin where it is the truth."""
    logits, loss = draw(6, C), LDAMLoss(counts=COUNTS, scale=3.0, reduction="none").double()
    mixture = torch.softmax(draw(6, C, seed=3), dim=1)
    each = torch.stack([loss(logits, torch.full((6,), c)) for c in range(C)], dim=1)
    close(loss(logits, mixture), (mixture * each).sum(dim=1))


def test_ldam_says_that_it_has_no_series() -> None:
    with pytest.raises(ValueError, match=r"`term` must be one with a power series"):
        series(LDAMLoss(counts=COUNTS), 3)


@each_loss
def test_logits_and_targets_are_not_changed(name: str) -> None:
    logits, target = checks.outputs(name, 6), classes(6)
    target[0] = -100
    kept, kept_target = logits.clone(), target.clone()
    value_and_gradient(with_counts(name, COUNTS), logits, target)
    assert torch.equal(logits, kept)
    assert torch.equal(target, kept_target)


WRONG = [
    ("logit_adjusted(tau=-1)", "tau"),
    ("logit_adjusted(counts=[])", "counts"),
    ("logit_adjusted(counts=[1, -1])", "counts"),
    ("balanced_softmax(weight=[1, -2])", "weight"),
    ("vector_scaling(gamma=-0.1)", "gamma"),
    ("vector_scaling(tau=-1)", "tau"),
    ("ldam(max_m=-0.5)", "max_m"),
    ("ldam(scale=0)", "scale"),
    ("deferred(focal(weight=[1, 2]))", "loss"),
    ("deferred(class_balanced(focal))", "loss"),
    ("deferred(focal, beta=1.5)", "beta"),
    ("deferred(focal, start=-0.1)", "start"),
    ("seesaw(p=-1)", "p"),
    ("seesaw(q=-1)", "q"),
    ("seesaw(num_classes=0)", "num_classes"),
    ("seesaw(num_classes=2.5)", "num_classes"),
    ("seesaw(num_classes=3, counts=[1, 2])", "counts"),
    ("seesaw(counts=[1, 2, 3, -4])", "counts"),
    ("seesaw(ignore_index=0.5)", "ignore_index"),
]


@pytest.mark.parametrize(("text", "name"), WRONG)
def test_parameters_out_of_their_domain(text: str, name: str) -> None:
    with pytest.raises(ValueError, match=rf"^`{name}` must be .*got .*Fix: "):
        catalog.get(text, counts=COUNTS)


def test_seesaw_refuses_mixed_targets() -> None:
    loss = SeesawLoss(num_classes=C)
    with pytest.raises(ValueError, match=r"^`target` must be class indices .*Fix: use balanced_so"):
        loss(draw(6, C), torch.softmax(draw(6, C), 1))
    with pytest.raises(ValueError, match=r"^`target` must be .*got the class 7"):
        loss(draw(6, C), torch.full((6,), 7))
    with pytest.raises(ValueError, match=r"^`target` must be a tensor, got list"):
        loss(draw(1, C), [0])
    assert loss.seen.sum() == 0


# --- deferred -----------------------------------------------------------------------------------


def test_deferred_copies_what_it_wraps() -> None:
    inner = FocalLoss(gamma=1.0)
    loss = DeferredReweightingLoss(inner, counts=COUNTS)
    assert inner.weight is None
    assert repr(loss) == (
        "DeferredReweightingLoss(FocalLoss(gamma=1), beta=0.9999, start=0.8, "
        "counts=[800, 90, 12, 2])"
    )


def test_deferred_pickles_with_its_progress() -> None:
    loss = DeferredReweightingLoss(CrossEntropyLoss(), counts=COUNTS)
    loss.set_progress(0.9)
    again = pickle.loads(pickle.dumps(loss))  # noqa: S301
    assert torch.equal(again(draw(6, C), classes(6)), loss(draw(6, C), classes(6)))
    again.set_progress(0.0)
    close(again(draw(6, C), classes(6)), cross_entropy_loss(draw(6, C), classes(6)))


@pytest.mark.parametrize("fraction", [-0.1, 1.1, float("nan")])
def test_progress_is_a_share(fraction: float) -> None:
    loss = DeferredReweightingLoss(CrossEntropyLoss(), counts=COUNTS)
    with pytest.raises(ValueError, match=r"^`fraction` must be in \[0, 1\].*epoch / epochs"):
        loss.set_progress(fraction)


def test_ldam_drw_is_the_official_training() -> None:
    """Weighted LDAM from 80 % on, divided by the sum of the weights."""
    loss = catalog.get("deferred(ldam(), beta=0.999)", counts=COUNTS)
    cosines, target = torch.tanh(draw(20, C)), classes(20)
    close(loss(cosines, target), ldam_loss(cosines, target, counts=COUNTS), rtol=1e-6)
    loss.set_progress(160 / 200)
    weight = checks.official_weights(0.999)
    expected = ldam_loss(cosines, target, counts=COUNTS, weight=weight)
    close(loss(cosines, target), expected, rtol=1e-5)


# --- seesaw, counting by itself -----------------------------------------------------------------


def test_seesaw_counts_positions_and_skips_ignored_ones() -> None:
    loss = SeesawLoss(num_classes=C, ignore_index=2)
    target = torch.tensor([[[0, 1], [2, 2]], [[3, 3], [3, 0]]])
    loss(draw(2, C, 2, 2).requires_grad_(), target)
    assert loss.seen.tolist() == [2, 1, 0, 3]
    loss(draw(0, C, 2, 2), target[:0])
    loss(draw(2, C, 2, 2), torch.full_like(target, 2))
    assert loss.seen.tolist() == [2, 1, 0, 3]
    loss(draw(C), torch.tensor(1))
    assert loss.seen.tolist() == [2, 2, 0, 3]


def test_seesaw_without_anything_seen_mitigates_nothing() -> None:
    loss, logits, target = SeesawLoss(num_classes=C, q=0.0).eval(), draw(6, C), classes(6)
    close(loss(logits, target), cross_entropy_loss(logits, target))


def test_seesaw_counts_beyond_what_float32_resolves() -> None:
    loss = SeesawLoss(num_classes=2).half()
    loss.seen.fill_(2**24)
    loss(draw(1, 2), torch.tensor([0]))
    assert loss.seen.tolist() == [2**24 + 1, 2**24]


def test_seesaw_given_counts_are_not_counted_on() -> None:
    loss = SeesawLoss(num_classes=C, counts=COUNTS)
    first = loss(draw(6, C), classes(6))
    assert torch.equal(loss(draw(6, C), classes(6)), first)
    assert loss.state_dict() == {}
    assert repr(loss) == "SeesawLoss(p=0.8, q=2, num_classes=4, counts=[800, 90, 12, 2])"
    counting = repr(catalog.get("seesaw", counts=COUNTS))
    assert counting == "SeesawLoss(p=0.8, q=2, num_classes=4)"


def test_seesaw_compiles_and_counts_without_recompiling() -> None:
    torch._dynamo.reset()
    plain, loss = SeesawLoss(num_classes=C), SeesawLoss(num_classes=C)
    # The backend that recomputes in backward what it can, as inductor does.
    compiled = torch.compile(loss, fullgraph=True, backend="aot_eager_decomp_partition")
    with torch._dynamo.config.patch(error_on_recompile=True):
        for step in range(4):
            logits, target = draw(9, C, seed=step), classes(9, seed=step)
            found = value_and_gradient(compiled, logits, target)
            for left, right in zip(found, value_and_gradient(plain, logits, target), strict=True):
                close(left, right)
            assert torch.equal(loss.seen, plain.seen)
    assert loss.seen.sum() == 36


def test_seesaw_says_how_to_use_it_inside_functional_transforms() -> None:
    loss, logits, target = SeesawLoss(num_classes=C), draw(6, C), classes(6)
    loss(logits, target)
    gradient = torch.func.grad(lambda z: loss(z, target))
    with pytest.raises(ValueError, match=r"`loss` must be in eval mode.*Fix: call loss.eval\(\)"):
        gradient(logits)
    loss.eval()
    close(gradient(logits), value_and_gradient(loss, logits, target)[1])


def test_nothing_is_sent_by_one_process() -> None:
    calls: list[int] = []
    loss = SeesawLoss(num_classes=C)
    with Collectives() as sent, counted_all_reduce(calls):
        value_and_gradient(loss, draw(6, C), classes(6))
    assert sent.seen == calls == []


# --- the cosine classifier ----------------------------------------------------------------------


def test_cosine_classifier_derivatives() -> None:
    layer = CosineClassifier(3, 4).double()

    def function(x: Tensor, w: Tensor) -> Tensor:
        return torch.func.functional_call(layer, {"weight": w}, (x,))

    inputs = (draw(5, 3).requires_grad_(), layer.weight.detach().clone().requires_grad_())
    assert torch.autograd.gradcheck(function, inputs)
    assert torch.autograd.gradgradcheck(function, inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cosine_classifier_computes_in_float32(dtype: torch.dtype) -> None:
    layer, features = CosineClassifier(3, 4).to(dtype), 300 * draw(5, 3, dtype=dtype)
    found = layer(features)
    assert found.dtype == torch.float32
    wide = CosineClassifier(3, 4)
    wide.load_state_dict(layer.state_dict())
    close(found, wide(features.float()), rtol=1e-6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        close(wide(features.float()), found, rtol=1e-6)
    found.sum().backward()
    assert layer.weight.grad.dtype == dtype
    assert layer.weight.grad.isfinite().all()


def test_cosine_classifier_is_an_ordinary_layer() -> None:
    layer = CosineClassifier(3, 4)
    assert repr(layer) == "CosineClassifier(in_features=3, out_features=4)"
    close(layer.weight.norm(dim=1), torch.ones(4), rtol=1e-6)
    many = draw(2, 5, 3, dtype=torch.float32)
    assert layer(many).shape == (2, 5, 4)
    assert layer(many).abs().max() <= 1 + 1e-6
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    close(compiled(many), layer(many), rtol=1e-6)
    again = CosineClassifier(3, 4)
    again.load_state_dict(layer.state_dict())
    assert torch.equal(again(many), layer(many))


# --- seesaw over several processes --------------------------------------------------------------


def check_one_state(ranks: list[list[dict]]) -> None:
    """All ranks have counted the targets of all, and each loss is that of these counts."""
    total = torch.zeros(C, dtype=torch.long)
    for step in zip(*ranks, strict=True):
        total = total + sum(torch.bincount(r["batch"][1], minlength=C) for r in step)
        given = SeesawLoss(num_classes=C, counts=total.clamp(min=1))
        for record in step:
            assert torch.equal(record["seen"], total)
            for left, right in zip(
                record["values"], value_and_gradient(given, *record["batch"]), strict=True
            ):
                close(left, right, rtol=1e-6)


@pytest.mark.skipif(
    not (dist.is_available() and dist.is_gloo_available()), reason="torch is built without gloo"
)
def test_seesaw_counts_over_all_ranks(tmp_path: Path) -> None:
    copied(2, Path(__file__).with_name("worker_seesaw.py"), tmp_path)
    found = [torch.load(tmp_path / f"seesaw-{rank}.pt") for rank in range(2)]
    check_one_state([record["steps"] for record in found])
    for record in found:
        assert record["silent"] == []
        for step in record["steps"]:
            assert step["sent"] == ["c10d::allreduce_"]
            assert step["calls"] == [C]
    with pytest.raises(AssertionError):
        check_one_state([record["fault"] for record in found])
