"""Targets, sample weights and the values with a meaning of their own, for every loss."""

from __future__ import annotations

import pytest
import torch

from kit.cases import SHAPES, Case, cases, identified, target_kinds
from kit.catalogued import CLASSIFICATION
from kit.checks import targets as checks
from kit.checks.class_dim import has_function
from kit.executors import PATHS
from kit.traits import BATCHWISE, arguments_of, loss_of
from kit.turns import by_family
from taylored import (
    CrossEntropyLoss,
    DistributionFocalLoss,
    FocalLoss,
    GeneralizedJensenShannonLoss,
    LinearLogits,
    catalog,
    cross_entropy_loss,
    distribution_focal_loss,
    focal_loss,
)
from taylored.core.plan import prepare
from taylored.core.plan.options import Options, check_options
from taylored.modules import classification
from taylored.modules.vocabulary import BackgroundLoss

each_path = pytest.mark.parametrize("path", PATHS)
FEW = cases(SHAPES[1:2])
INDEX = [case for case in FEW if case.target == "index"]
BOTH = [(case, form) for case in INDEX for form in ("module", "function")]
FORMS = [(case, form) for case, form in BOTH if form == "module" or has_function(case)]
SOFT = [case for case in FEW if case.target == "probabilities"]
# Tracing takes a second: one example of each loss and link.
ONE_EACH = list({(case.call.name, case.call.link()): case for case in INDEX}.values())
SOFT_EACH = list({(case.call.name, case.call.link()): case for case in SOFT}.values())
SIGMOID = [(case, form) for case, form in FORMS if case.call.link() == "sigmoid"]


def both(pairs: list[tuple[Case, str]]) -> dict[str, object]:
    ids = [f"{case.id}-{form}" for case, form in pairs]
    return {"argnames": ("case", "form"), "argvalues": pairs, "ids": ids}


def dense_too(case: Case) -> bool:
    return len(target_kinds(case.call)) > 1


@pytest.mark.parametrize(**both(FORMS))
def test_index_targets_of_every_form(case: Case, form: str) -> None:
    checks.check_forms(case, form)


INDEX_ONLY = [case for case in ONE_EACH if catalog.spec(case.call.name).targets == ("index",)]


@pytest.mark.parametrize(**identified(INDEX_ONLY))
def test_a_loss_of_one_class_refuses_distributions(case: Case) -> None:
    """The largest of a mixed target would be taken without a word, and mixup have no effect."""
    z, y = case.logits(torch.float64), case.targets().clamp_min(0)
    hot = torch.zeros_like(z).scatter_(1, y.unsqueeze(1), 1.0)
    with pytest.raises(ValueError, match="target"):
        catalog.get(case.call.text())(z, 0.6 * hot + 0.4 * hot.roll(1, 1))


@pytest.mark.parametrize(**both([pair for pair in FORMS if dense_too(pair[0])]))
def test_one_hot_targets_of_every_dtype(case: Case, form: str) -> None:
    checks.check_one_hot_forms(case, form)


@pytest.mark.parametrize(**both(FORMS))
def test_sample_weights_of_every_form(case: Case, form: str) -> None:
    checks.check_weights(case, form)


@each_path
@pytest.mark.parametrize(**identified([c for c in SOFT if c.call.name not in BATCHWISE]))
def test_ignored_positions_of_soft_targets(case: Case, path: str) -> None:
    checks.check_soft_positions_ignored(case, path, 255, torch.float64)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("marker", [-100, 255, 1])
def test_ignored_values_of_every_dtype(marker: int, dtype: torch.dtype) -> None:
    case = Case("focal()", "probabilities", SHAPES[2])
    checks.check_soft_positions_ignored(case, "whole", marker, dtype)


@pytest.mark.parametrize(**identified(SOFT_EACH))
def test_positions_that_are_ignored_in_part(case: Case) -> None:
    checks.check_partly_ignored(case)


@by_family
@pytest.mark.parametrize(**identified(SOFT_EACH))
def test_positions_that_are_ignored_in_part_compiled(case: Case) -> None:
    checks.check_partly_ignored_compiled(case)


@pytest.mark.parametrize(**identified(ONE_EACH))
def test_classes_without_a_column(case: Case) -> None:
    checks.check_out_of_range(case)


@by_family
@pytest.mark.parametrize(**identified(ONE_EACH))
def test_classes_without_a_column_compiled(case: Case) -> None:
    checks.check_out_of_range_compiled(case)


@pytest.mark.parametrize(**both([pair for pair in SIGMOID if dense_too(pair[0])]))
def test_background(case: Case, form: str) -> None:
    for path in PATHS:
        checks.check_background(case, form, path)


def test_every_sigmoid_loss_knows_background() -> None:
    for name, spec in CLASSIFICATION.items():
        loss = loss_of(name)
        inner = type(getattr(loss, "inner", loss))
        assert issubclass(inner, BackgroundLoss) == ("sigmoid" in inner.spec.links), name
        if "sigmoid" not in spec.links and spec.inner == "none":
            assert "background_index" not in {p.name for p in spec.accepted}
    with pytest.raises(ValueError, match='`background_index` must be left out with link="softmax"'):
        FocalLoss(background_index=3)


def test_background_of_a_class_balanced_loss_has_weight_one() -> None:
    z = torch.randn(3, 4)
    text = 'class_balanced(focal(link="sigmoid", background_index=4, reduction="none"))'
    loss = catalog.get(text, counts=[9, 5, 2, 1])
    plain = FocalLoss(link="sigmoid", reduction="none")
    row = loss(z, torch.tensor([4, 4, 4]))
    torch.testing.assert_close(row, plain(z, torch.zeros(3, 4)))


@pytest.mark.parametrize(**both([pair for pair in SIGMOID if dense_too(pair[0])]))
def test_one_column(case: Case, form: str) -> None:
    checks.check_one_column(case, form)


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_softmax_over_one_column_is_refused(name: str) -> None:
    loss = loss_of(name)
    if loss.link != "softmax" or catalog.SPECS[name].needs or hasattr(loss, "inner"):
        pytest.skip("the generated suites resize it")
    logits, target, further = arguments_of(name)
    axis = loss.class_dim
    with pytest.raises(ValueError, match=r"`input` must be"):
        loss(logits.narrow(axis, 0, 1), target * 0, *further)


def test_one_class_of_features_and_weight() -> None:
    input = LinearLogits(torch.randn(4, 3), torch.randn(1, 3))
    y = torch.tensor([0, 1, 0, 1])
    with pytest.raises(ValueError, match='link="sigmoid"'):
        CrossEntropyLoss()(input, y)
    with pytest.raises(ValueError, match=r"target\.unsqueeze\(1\)\.float\(\)"):
        FocalLoss(link="sigmoid")(input, y)
    loss = FocalLoss(link="sigmoid")
    expected = loss(input.logits(), y.unsqueeze(1).float())
    torch.testing.assert_close(loss(input, y.float()), expected)
    with pytest.raises(ValueError, match="sigmoid"):
        cross_entropy_loss(torch.zeros(1), torch.tensor(0))
    one = FocalLoss(link="sigmoid", background_index=1)(input.logits(), y)
    torch.testing.assert_close(one, loss(input.logits(), 1.0 - y.unsqueeze(1)))


def test_what_has_several_readings_names_the_call() -> None:
    soft = Case("cross_entropy()", "index", (4, 3, 5))
    yes = Case('focal(link="sigmoid")', "index", (4, 3, 5))
    indices = soft.targets(ignored=False)
    last = torch.zeros(4, 5, 3)
    for case in (soft, yes):
        checks.refused(case, indices.float(), r"target\.long\(\)")
        checks.refused(case, indices.unsqueeze(1).float(), r"target\.squeeze\(1\)\.long\(\)")
        checks.refused(case, indices, "class_dim=-1", logits=last)
        checks.refused(case, last, r"target\.movedim\(-1, 1\)")
    flat = Case("cross_entropy()", "index", (4, 3))
    checks.refused(flat, torch.tensor([True, False, True, True]), r"target\.long\(\)")


def test_no_copies_of_what_is_fine_already() -> None:
    from taylored.core.inputs.given import read_target, read_weight

    y, soft, weight = torch.tensor([0, 1]), torch.rand(2, 3), torch.ones(2)
    shape = torch.Size((2, 3))
    assert read_target(y, shape, "softmax") is y or read_target(y, shape, "softmax").data_ptr() == (
        y.data_ptr()
    )
    for link in ("softmax", "sigmoid"):
        assert read_target(soft, shape, link) is soft
    assert read_weight(weight, shape) is weight


def test_stacked_predictions_and_distances() -> None:
    views, y = torch.randn(2, 3, 4, 5), torch.randint(4, (3, 5))
    loss = GeneralizedJensenShannonLoss()
    expected = loss(views, y)
    hot = torch.nn.functional.one_hot(y, 4).movedim(-1, 1)
    for given in (y.to(torch.uint8), y.unsqueeze(1), hot, hot.bool(), hot.double()):
        torch.testing.assert_close(loss(views, given), expected)
    soft = hot.float()
    soft[0] = 255.0
    gone = GeneralizedJensenShannonLoss(ignore_index=255)
    views[:, 0] = torch.inf
    torch.testing.assert_close(gone(views, soft), loss(views[:, 1:], y[1:]))
    z, distance = torch.randn(3, 4), torch.tensor([0.5, 2.0, 3.0])
    expected = DistributionFocalLoss()(z, distance)
    weighted = DistributionFocalLoss()(z, distance, sample_weight=[1.0, 1.0, 1.0])
    torch.testing.assert_close(weighted, expected)
    for wrong in (3.5, -0.25, 1000.0):
        beyond = torch.tensor([0.5, 2.0, wrong])
        with pytest.raises(ValueError, match="numbers in"):
            DistributionFocalLoss()(z, beyond)
        torch._dynamo.reset()
        run = torch.compile(distribution_focal_loss, backend="eager")
        assert run(z, beyond).isnan()


def test_meta_and_vmap_look_at_no_values() -> None:
    z, y = torch.zeros(3, 4, device="meta"), torch.zeros(3, dtype=torch.long, device="meta")
    for link in ("softmax", "sigmoid"):
        assert focal_loss(z, y, link=link).shape == ()
        soft = torch.zeros(3, 4, device="meta")
        assert focal_loss(z, soft, link=link).shape == ()
    batch, soft = torch.randn(2, 3, 4), torch.rand(2, 3, 4)
    soft[0, 1] = 255.0
    loss = FocalLoss(ignore_index=255)
    torch.testing.assert_close(
        torch.vmap(loss)(batch, soft), torch.stack(list(map(loss, batch, soft)))
    )


def test_background_that_is_ignored_is_refused() -> None:
    with pytest.raises(ValueError, match="`background_index`"):
        check_options(Options(link="sigmoid", background_index=-100))


# Negative controls: each check fails where its fault is planted.


def test_control_targets_as_they_come(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case("focal()", "index", SHAPES[1])
    checks.check_forms(case, "module")
    checks.check_weights(case, "module")
    monkeypatch.setattr(classification, "read_target", lambda target, shape, link: target)
    monkeypatch.setattr(classification, "read_weight", lambda weight, shape: weight)
    with pytest.raises((AssertionError, ValueError, RuntimeError)):
        checks.check_forms(case, "module")
    with pytest.raises((AssertionError, ValueError)):
        checks.check_weights(case, "module")


def test_control_nothing_is_ignored_or_impossible(monkeypatch: pytest.MonkeyPatch) -> None:
    soft = Case("focal()", "probabilities", SHAPES[1])
    index = Case('focal(link="sigmoid")', "index", SHAPES[1])
    checks.check_soft_positions_ignored(soft, "whole", 255, torch.float64)
    checks.check_out_of_range_compiled(index)
    monkeypatch.setattr(prepare, "rows_of_masses", lambda target, ignore: None)
    monkeypatch.setattr(prepare, "impossible", lambda rows, index, classes: rows)
    with pytest.raises(AssertionError):
        checks.check_soft_positions_ignored(soft, "whole", 255, torch.float64)
    with pytest.raises(AssertionError):
        checks.check_out_of_range_compiled(index)
