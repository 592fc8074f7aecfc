"""Options one by one: ignoring, denominators, sample weights, debug, and what each error says."""

from __future__ import annotations

import contextlib
import copy
import functools
import pickle

import pytest
import torch

import taylored
from kit import tolerances
from kit.executors import PATHS, running
from references.long_tail import class_balanced_weights
from taylored import (
    BinaryCrossEntropyLoss,
    ClassBalancedLoss,
    CrossEntropyLoss,
    FocalLoss,
    PolyLoss,
    TermLoss,
    binary_cross_entropy_loss,
    cross_entropy_loss,
    focal_loss,
    term_loss,
    terms,
)

each_path = pytest.mark.parametrize("path", PATHS)
LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
CLASSES = torch.tensor([0, 1, 2, 3, 0, 1])
HOT = torch.nn.functional.one_hot(CLASSES, 4)


close = functools.partial(tolerances.close, rtol=1e-10, atol=1e-13, check_dtype=True)


# --- ignore_index -------------------------------------------------------------------------------


@each_path
def test_ignore_index_none_keeps_every_class(path: str) -> None:
    with running(path):
        kept = cross_entropy_loss(LOGITS, CLASSES, ignore_index=None, reduction="none")
        close(kept, torch.nn.functional.cross_entropy(LOGITS, CLASSES, reduction="none"))
        with pytest.raises(ValueError, match=r"got the class -100"):
            cross_entropy_loss(LOGITS, torch.full((6,), -100), ignore_index=None)


@each_path
@pytest.mark.parametrize("marker", [0, 1, -1, 7])
@pytest.mark.parametrize("dtype", [torch.int64, torch.int8, torch.float64, torch.float32])
def test_single_elements_are_ignored_by_the_sigmoid_link(
    marker: int, dtype: torch.dtype, path: str
) -> None:
    target = HOT.clone().to(dtype)
    if marker not in (0, 1):
        target[0, 1] = target[3] = marker
    kept = target != marker
    with running(path):
        z = LOGITS.clone().requires_grad_()
        value = binary_cross_entropy_loss(z, target, ignore_index=marker)
        (gradient,) = torch.autograd.grad(value, z)
    safe = torch.where(kept, target, 0).double()
    each = torch.nn.functional.binary_cross_entropy_with_logits(LOGITS, safe, reduction="none")
    close(value, (each * kept).sum() / kept.sum())
    assert (gradient[~kept] == 0).all()
    assert (gradient[kept] != 0).all()


def test_batch_mean_counts_positions_with_something_left() -> None:
    target = HOT.clone()
    target[0, 1] = -100
    target[3] = -100
    summed = focal_loss(LOGITS, target, link="sigmoid", reduction="sum")
    mean = focal_loss(LOGITS, target, link="sigmoid", reduction="batch_mean")
    close(mean, summed / 5)


def test_large_logits_of_ignored_positions_leave_no_trace() -> None:
    logits = LOGITS.clone()
    logits[2] = 1e30
    target = CLASSES.clone()
    target[2] = -100
    for link in ("softmax", "sigmoid"):
        z = logits.clone().requires_grad_()
        value = focal_loss(z, target, link=link)
        value.backward()
        assert value.isfinite()
        assert z.grad.isfinite().all()
        assert (z.grad[2] == 0).all()


# --- denominators and weights -------------------------------------------------------------------


@pytest.mark.parametrize("link", ["softmax", "sigmoid"])
@each_path
def test_normalizer(link: str, path: str) -> None:
    with running(path):
        total = focal_loss(LOGITS, CLASSES, link=link, reduction="sum")
        for given in (4, 4.0, torch.tensor(4), torch.tensor([4.0]), torch.tensor(4.0).double()):
            close(focal_loss(LOGITS, CLASSES, link=link, normalizer=given), total / 4)
        for nothing in (0, 0.0, torch.tensor(0), torch.tensor([0.0])):
            assert focal_loss(LOGITS, CLASSES, link=link, normalizer=nothing) == 0.0


@pytest.mark.parametrize("wrong", [-1, float("nan"), torch.tensor(-2), torch.tensor(float("nan"))])
def test_no_amount(wrong: float | torch.Tensor) -> None:
    with pytest.raises(ValueError, match="`normalizer` must be a number >= 0"):
        FocalLoss()(LOGITS, CLASSES, normalizer=wrong)
    torch._dynamo.reset()
    compiled = torch.compile(FocalLoss(), backend="eager", fullgraph=True)
    if isinstance(wrong, torch.Tensor):
        assert compiled(LOGITS, CLASSES, normalizer=wrong).isnan()


def test_normalizer_makes_gradient_accumulation_exact() -> None:
    whole = cross_entropy_loss(LOGITS, CLASSES)
    parts = [
        cross_entropy_loss(LOGITS[i : i + 2], CLASSES[i : i + 2], normalizer=6) for i in (0, 2, 4)
    ]
    close(sum(parts), whole)


def test_retina_net_divides_by_the_number_of_positives() -> None:
    loss = FocalLoss(link="sigmoid", alpha=0.25)
    close(
        loss(LOGITS, HOT, normalizer=HOT.sum()),
        FocalLoss(link="sigmoid", alpha=0.25, reduction="sum")(LOGITS, HOT) / 6,
    )


def test_sample_weights_of_zero_still_count_in_the_denominator() -> None:
    weights = torch.tensor([1.0, 1, 1, 0, 0, 0])
    each = cross_entropy_loss(LOGITS, CLASSES, reduction="none")
    close(cross_entropy_loss(LOGITS, CLASSES, sample_weight=weights), each[:3].sum() / 6)


@each_path
def test_sample_weights_per_sample_position_and_element(path: str) -> None:
    logits = torch.stack([LOGITS, -LOGITS, LOGITS / 2], dim=2)
    target = torch.stack([CLASSES, CLASSES, CLASSES], dim=1)
    sample = torch.linspace(0, 2, 6).double()
    position = torch.linspace(0, 2, 18).double().reshape(6, 3)
    element = torch.linspace(0, 2, 72).double().reshape(6, 4, 3)
    for link in ("softmax", "sigmoid"):
        with running(path):
            each = focal_loss(logits, target, link=link, reduction="none")
            for weight in (sample, position):
                full = weight if weight.dim() == 2 else weight.unsqueeze(1)
                full = full if link == "softmax" else full.unsqueeze(1)
                found = focal_loss(logits, target, link=link, reduction="sum", sample_weight=weight)
                close(found, (each * full).sum())
    with running(path):
        found = focal_loss(logits, target, link="sigmoid", reduction="sum", sample_weight=element)
    close(found, (each * element).sum())


# --- class-balanced -----------------------------------------------------------------------------

COUNTS = [900, 60, 7, 1]


def test_class_balanced_weights_are_the_official_ones() -> None:
    loss = ClassBalancedLoss(CrossEntropyLoss(), counts=COUNTS, beta=0.99)
    expected = class_balanced_weights(COUNTS, 0.99)
    torch.testing.assert_close(loss.weights.double(), expected, rtol=1e-6, atol=0)
    assert loss.weights.sum().item() == pytest.approx(4)
    plain = torch.nn.functional.cross_entropy(LOGITS, CLASSES, weight=expected)
    torch.testing.assert_close(loss(LOGITS, CLASSES), plain, rtol=1e-6, atol=0)


def test_class_balanced_copies_what_it_wraps() -> None:
    inner = CrossEntropyLoss()
    loss = ClassBalancedLoss(inner, counts=COUNTS)
    assert inner.weight is None
    assert loss.loss is not inner
    assert repr(loss) == (
        "ClassBalancedLoss(CrossEntropyLoss(), beta=0.999, counts=[900, 60, 7, 1])"
    )


def test_class_balanced_sample_weights_multiply() -> None:
    extra = torch.linspace(0.5, 2, 6).double()
    for weighting, inner in (
        ("sample", FocalLoss(link="sigmoid")),
        ("class", FocalLoss(link="sigmoid")),
        ("sample", FocalLoss()),
    ):
        each = ClassBalancedLoss(copy.deepcopy(inner), counts=COUNTS, weighting=weighting)
        each.loss.reduction = "none"
        plain = each(LOGITS, CLASSES)
        scaled = each(LOGITS, CLASSES, sample_weight=extra)
        close(scaled, plain * (extra if plain.dim() == 1 else extra.unsqueeze(1)))


def test_class_balanced_by_sample_skips_ignored_rows() -> None:
    loss = ClassBalancedLoss(FocalLoss(link="sigmoid", ignore_index=255), counts=COUNTS)
    target = CLASSES.clone()
    target[1] = 255
    kept = torch.arange(6) != 1
    close(loss(LOGITS, target), loss(LOGITS[kept], CLASSES[kept]))


def test_class_balanced_by_sample_refuses_multi_hot_targets() -> None:
    loss = ClassBalancedLoss(FocalLoss(link="sigmoid"), counts=COUNTS)
    with pytest.raises(ValueError, match=r'`target` must be class indices.*Fix: use weighting="cl'):
        loss(LOGITS, HOT.double())


def test_class_balanced_with_the_wrong_number_of_counts() -> None:
    loss = ClassBalancedLoss(CrossEntropyLoss(), counts=[3, 2])
    with pytest.raises(ValueError, match=r"^`counts` must be one number per class: 4 columns"):
        loss(LOGITS, CLASSES)


def test_class_balanced_takes_torch_s_losses() -> None:
    for theirs, ours in (
        (torch.nn.CrossEntropyLoss(label_smoothing=0.1), CrossEntropyLoss(label_smoothing=0.1)),
        (torch.nn.BCEWithLogitsLoss(), BinaryCrossEntropyLoss(ignore_index=None)),
    ):
        found, expected = (ClassBalancedLoss(loss, counts=COUNTS) for loss in (theirs, ours))
        assert repr(found) == repr(expected)
        close(found(LOGITS, CLASSES), expected(LOGITS, CLASSES))


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        (torch.nn.CrossEntropyLoss(weight=torch.ones(4)), "a loss that takes `weight`, and has no"),
        (torch.nn.Linear(2, 2), "a loss of taylored, torch.nn.CrossEntropyLoss or torch.nn.BCEWi"),
    ],
)
def test_class_balanced_refuses_other_losses(inner: torch.nn.Module, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^`loss` must be {expected}.*Fix: "):
        ClassBalancedLoss(inner, counts=COUNTS)


# --- modules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_per_class_values_follow_the_module_and_keep_their_digits(dtype: torch.dtype) -> None:
    loss = FocalLoss(gamma=[0.5, 1.0, 2.0, 0.25], weight=torch.tensor([1.0, 2.0, 0.5, 4.0]))
    moved = copy.deepcopy(loss).to(dtype)
    assert moved.gamma.dtype == torch.float64  # a list has all digits of its numbers
    assert moved.weight.dtype == torch.promote_types(dtype, torch.float32)
    close(moved(LOGITS, CLASSES), loss(LOGITS, CLASSES))
    assert repr(moved) == repr(loss)
    balanced = ClassBalancedLoss(FocalLoss(), counts=COUNTS).to(dtype)
    assert balanced.weights.dtype == torch.float64
    assert "counts=[900, 60, 7, 1]" in repr(balanced)


def test_term_loss_pickles_and_shows_its_formula() -> None:
    loss = TermLoss(terms.power(2) * terms.nll + 1.5 * terms.power(3), logit_bias=[0.0, 1, 2, 3])
    again = pickle.loads(pickle.dumps(loss))  # noqa: S301
    close(again(LOGITS, CLASSES), loss(LOGITS, CLASSES))
    assert repr(loss) == ("TermLoss(power(2) * nll + 1.5 * power(3), logit_bias=[0, 1, 2, 3])")
    close(copy.deepcopy(loss)(LOGITS, CLASSES), loss(LOGITS, CLASSES))


def test_term_loss_is_the_named_loss() -> None:
    named = PolyLoss(epsilon=2.0)
    close(TermLoss(named.term)(LOGITS, CLASSES), named(LOGITS, CLASSES))
    close(term_loss(LOGITS, CLASSES, named.term), named(LOGITS, CLASSES))


def test_modules_run_hooks() -> None:
    seen = []
    loss = FocalLoss()
    loss.register_forward_hook(lambda *_: seen.append(1))
    loss(LOGITS, CLASSES)
    assert seen == [1]


def test_inputs_are_not_changed() -> None:
    logits, target, weight = LOGITS.clone(), CLASSES.clone(), torch.ones(4).double()
    z = logits.clone().requires_grad_()
    for link in ("softmax", "sigmoid"):
        focal_loss(z, target, link=link, weight=weight, label_smoothing=0.1).backward()
        focal_loss(z, HOT.double(), link=link, weight=weight).backward()
    assert torch.equal(z.detach(), LOGITS)
    assert torch.equal(target, CLASSES)
    assert torch.equal(weight, torch.ones(4).double())


# --- debug --------------------------------------------------------------------------------------


def test_debug_checks_probabilities() -> None:
    over = torch.full((6, 4), 0.5, dtype=torch.float64)
    assert cross_entropy_loss(LOGITS, over).isfinite()
    with taylored.debug():
        with pytest.raises(ValueError, match=r"sum to one along axis 1.*sums from 2 to 2.*Fix"):
            cross_entropy_loss(LOGITS, over)
        with pytest.raises(ValueError, match=r"probabilities in \[0, 1\], got 9"):
            binary_cross_entropy_loss(LOGITS, torch.full((6, 4), 9.0))
        with pytest.raises(ValueError, match=r"probabilities in \[0, 1\], got -1"):
            binary_cross_entropy_loss(LOGITS, torch.full((6, 4), -1))
        binary_cross_entropy_loss(LOGITS, torch.full((6, 4), -1), ignore_index=-1)
        cross_entropy_loss(LOGITS, over / 2)
        cross_entropy_loss(LOGITS, CLASSES)
        binary_cross_entropy_loss(LOGITS, HOT.bool())
    assert cross_entropy_loss(LOGITS, over).isfinite()


def test_debug_ends_with_its_context_and_nests() -> None:
    from taylored.core.checks import debugging

    with taylored.debug():
        with taylored.debug():
            assert debugging()
        assert debugging()
    assert not debugging()
    with contextlib.suppress(KeyError), taylored.debug():
        raise KeyError
    assert not debugging()


# --- errors -------------------------------------------------------------------------------------

HALF = LOGITS.sigmoid()
ERRORS = {
    "input whole": (lambda: cross_entropy_loss(CLASSES, CLASSES), "input", "int64"),
    "input list": (lambda: cross_entropy_loss([[1.0]], CLASSES), "input", "list"),
    "input scalar": (lambda: cross_entropy_loss(torch.tensor(1.0), CLASSES), "input", "a scalar"),
    "target list": (lambda: cross_entropy_loss(LOGITS, [0] * 6), "target", "list"),
    "target bool": (lambda: cross_entropy_loss(LOGITS, CLASSES > 1), "target", "torch.bool"),
    "target one-hot": (lambda: cross_entropy_loss(LOGITS, HOT[:, 1:]), "target", r"\(6, 3\)"),
    "target float": (lambda: cross_entropy_loss(LOGITS, CLASSES.double()), "target", r"\(6,\)"),
    "target short": (lambda: cross_entropy_loss(LOGITS, CLASSES[:5]), "target", r"\(5,\)"),
    "target column": (
        lambda: cross_entropy_loss(LOGITS, CLASSES[:, None].double()),
        "target",
        r"\(6, 1\)",
    ),
    "target last axis": (
        lambda: cross_entropy_loss(torch.zeros(2, 3, 5), torch.zeros(2, 3, dtype=torch.long)),
        "target",
        r"\(2, 3\)",
    ),
    "target range": (lambda: cross_entropy_loss(LOGITS, CLASSES + 1), "target", "the class 4"),
    "target negative": (lambda: cross_entropy_loss(LOGITS, CLASSES - 1), "target", "the class -1"),
    "target sigmoid": (
        lambda: binary_cross_entropy_loss(LOGITS, HALF[:5]),
        "target",
        r"\(5, 4\)",
    ),
    "target sigmoid range": (
        lambda: binary_cross_entropy_loss(LOGITS, CLASSES + 1),
        "target",
        "the class 4",
    ),
    "target sigmoid float": (
        lambda: binary_cross_entropy_loss(LOGITS, CLASSES.float()),
        "target",
        r"\(6,\)",
    ),
    "target complex": (
        lambda: binary_cross_entropy_loss(LOGITS, HOT.to(torch.complex64)),
        "target",
        "complex64",
    ),
    "weight": (lambda: cross_entropy_loss(LOGITS, CLASSES, weight=[1.0, 2]), "weight", "2"),
    "weight element": (
        lambda: binary_cross_entropy_loss(LOGITS, HALF, weight=HALF),
        "weight",
        r"\(6, 4\)",
    ),
    "gamma": (lambda: focal_loss(LOGITS, CLASSES, gamma=[1.0, 2.0]), "gamma", "2"),
    "gamma negative": (lambda: focal_loss(LOGITS, CLASSES, gamma=-1.0), "gamma", "-1"),
    "alpha": (
        lambda: focal_loss(LOGITS, HALF, link="sigmoid", alpha=[0.1] * 3),
        "alpha",
        "3",
    ),
    "alpha range": (lambda: focal_loss(LOGITS, HALF, link="sigmoid", alpha=2.0), "alpha", "2.0"),
    "alpha softmax": (lambda: focal_loss(LOGITS, CLASSES, alpha=0.25), "alpha", "0.25"),
    "pos_weight": (
        lambda: BinaryCrossEntropyLoss(pos_weight=-1.0),
        "pos_weight",
        "-1",
    ),
    "bias": (
        lambda: term_loss(LOGITS, CLASSES, terms.nll, logit_bias=[1.0, 2.0]),
        "logit_bias",
        "2",
    ),
    "temperature": (
        lambda: TermLoss(terms.nll, temperature=0.0),
        "temperature",
        "0.0",
    ),
    "link": (lambda: focal_loss(LOGITS, CLASSES, link="tanh"), "link", "'tanh'"),
    "reduction": (lambda: CrossEntropyLoss(reduction="avg"), "reduction", "'avg'"),
    "smoothing": (lambda: CrossEntropyLoss(label_smoothing=9), "label_smoothing", "9"),
    "smoothing nan": (
        lambda: CrossEntropyLoss(label_smoothing=float("nan")),
        "label_smoothing",
        "nan",
    ),
    "sample_weight": (
        lambda: cross_entropy_loss(LOGITS, CLASSES, sample_weight=torch.ones(4)),
        "sample_weight",
        r"\(4,\)",
    ),
    "sample_weight element": (
        lambda: cross_entropy_loss(LOGITS, CLASSES, sample_weight=HALF),
        "sample_weight",
        r"\(6, 4\)",
    ),
    "sample_weight balanced": (
        lambda: ClassBalancedLoss(FocalLoss(link="sigmoid"), counts=COUNTS)(
            LOGITS, CLASSES, sample_weight=torch.ones(4)
        ),
        "sample_weight",
        r"\(4,\)",
    ),
    "normalizer sum": (
        lambda: cross_entropy_loss(LOGITS, CLASSES, normalizer=3.0, reduction="sum"),
        "normalizer",
        "reduction='sum'",
    ),
    "normalizer none": (
        lambda: cross_entropy_loss(LOGITS, CLASSES, normalizer=3.0, reduction="none"),
        "normalizer",
        "reduction='none'",
    ),
    "normalizer negative": (
        lambda: cross_entropy_loss(LOGITS, CLASSES, normalizer=-1),
        "normalizer",
        "-1",
    ),
    "normalizer nan": (
        lambda: cross_entropy_loss(LOGITS, CLASSES, normalizer=float("nan")),
        "normalizer",
        "nan",
    ),
    "normalizer shape": (
        lambda: cross_entropy_loss(LOGITS, CLASSES, normalizer=torch.ones(2)),
        "normalizer",
        r"\(2,\)",
    ),
}


@pytest.mark.parametrize("name", ERRORS)
def test_error_names_argument_expected_got_and_fix(name: str) -> None:
    call, argument, got = ERRORS[name]
    with pytest.raises(ValueError, match=rf"^`{argument}` must be .*, got .*{got}.* Fix: \S+"):
        call()


def test_alpha_error_explains_the_trap() -> None:
    with pytest.raises(ValueError, match="rescale the learning rate.*one number per class"):
        FocalLoss(alpha=0.25)


def test_a_background_row_is_a_row_of_negatives_and_nothing_else_is_one() -> None:
    loss = taylored.get("equalized_focal(num_classes=4, background_index=9)").eval()
    plain = taylored.get("equalized_focal(num_classes=4)").eval()
    target = torch.tensor([0, 9, 3, -100])
    hot = torch.zeros(4, 4).scatter(1, target.clamp(0, 3)[:, None], 1.0)
    hot[1] = 0.0
    hot[3] = -100.0
    logits = torch.linspace(-2, 2, 16, dtype=torch.float64).reshape(4, 4)
    close(loss(logits, target), plain(logits, hot.double()))
    for stray in (-1, -7, 4):
        with pytest.raises(ValueError, match=rf"the class {stray}\."):
            loss(logits, torch.tensor([0, 9, 3, stray]))
