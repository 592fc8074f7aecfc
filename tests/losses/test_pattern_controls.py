"""Planted faults in the pattern of the losses: every check of it must be able to fail."""

from __future__ import annotations

import dataclasses
import functools
import inspect

import pytest
import torch
from torch import Tensor, nn

from kit.checks import pattern as checks
from kit.faults import Faults
from taylored import FocalLoss, LDAMLoss, SoftmaxEQLLoss, catalog
from taylored.modules import classification, function, logits_call
from taylored.modules.classification import ClassificationLoss
from taylored.modules.fields import arguments, field

# Beside failed comparisons: pytest.raises that sees nothing, and errors of another kind.
fault = Faults(pytest.fail.Exception, RuntimeError, NameError, TypeError)


def replaced(name: str, **changes: object) -> object:
    """A SPEC with something else in it; frozen, so that the original stays as it is."""
    return dataclasses.replace(catalog.SPECS[name], **changes)


@fault(checks.check_wrong_keyword, "module", "focal")
@fault(checks.check_wrong_keyword, "function", "focal")
def no_nearest_keyword(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(arguments, "nearest", lambda name, known: "")


@fault(checks.check_position, "module", "poly")
def python_s_own_words_for_a_position(patch: pytest.MonkeyPatch) -> None:
    def refuse(owner: str, fields: object, extra: object) -> None:
        raise TypeError(f"{owner}() takes 1 positional argument but 2 were given")

    patch.setattr(arguments, "refuse_position", refuse)


@fault(checks.check_position, "function", "poly")
def the_second_keyword_for_the_first(patch: pytest.MonkeyPatch) -> None:
    original = function.refuse_position
    patch.setattr(
        function,
        "refuse_position",
        lambda owner, fields, *given: original(owner, dict(list(fields.items())[1:]), *given),
    )


@fault(checks.check_signature, "function", "focal")
def a_function_of_any_keywords(patch: pytest.MonkeyPatch) -> None:
    called = catalog.SPECS["focal"].function
    patch.setattr(called, "__signature__", inspect.signature(called.__wrapped__))


@fault(checks.check_signature, "module", "focal")
def another_default(patch: pytest.MonkeyPatch) -> None:
    found = inspect.signature(FocalLoss)
    parameters = [
        p.replace(default=1.5) if p.name == "gamma" else p for p in found.parameters.values()
    ]
    patch.setattr(FocalLoss, "__signature__", found.replace(parameters=parameters))


@fault(checks.check_refused, "module", "focal")
@fault(checks.check_bad_assignment, "focal")
@fault(checks.check_copies, "ldam")
def nothing_is_checked(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(field.Field, "check", lambda self, value: None)


@fault(checks.check_refused, "function", "poly")
@fault(checks.check_refused, "function", "vector_scaling")
def another_name_is_blamed(patch: pytest.MonkeyPatch) -> None:
    original = field.Field._refuse

    def refuse(self: field.Field, got: object, fix: str = "") -> None:
        original(self if self.about.shared else _renamed(self), got, fix)

    patch.setattr(field.Field, "_refuse", refuse)


def _renamed(found: field.Field) -> field.Field:
    return dataclasses.replace(found, name="exponent")


@fault(checks.check_agreement, "focal")
def a_function_that_takes_anything(patch: pytest.MonkeyPatch) -> None:
    called = catalog.SPECS["focal"].function

    def lenient(*given: object, **named: object) -> Tensor:
        named.pop("gamma", None)
        return called(*given, **named)

    patch.setitem(catalog.SPECS, "focal", replaced("focal", function=lenient))


@fault(checks.check_lengths, "module", "focal")
@fault(checks.check_data_of_other_logits, "module", "ldam")
def lengths_are_left_to_the_engine(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(classification, "check_lengths", lambda found, classes: None)
    patch.setattr(
        ClassificationLoss,
        "forward",
        functools.partialmethod(_renaming, original=ClassificationLoss.forward),
    )


@fault(checks.check_lengths, "function", "focal")
@fault(checks.check_data_of_other_logits, "function", "ldam")
def lengths_of_a_function_are_left_to_the_engine(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(logits_call, "check_lengths", lambda *given: None)
    for name in ("focal", "ldam"):
        called = functools.partial(_renaming, original=catalog.SPECS[name].function)
        patch.setitem(catalog.SPECS, name, replaced(name, function=called))


def _renaming(*given: object, original: object, **named: object) -> Tensor:
    """What the engine says is about its own slots."""
    try:
        return original(*given, **named)
    except (ValueError, RuntimeError) as error:
        raise ValueError(f"`logit_bias` must be of another length, got 4. Fix: {error}") from error


@fault(checks.check_repr_is_python, "focal(gamma=1.5)")
def a_repr_for_the_catalogue_only(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClassificationLoss, "__repr__", lambda self: "focal(gamma=1.5)")


@fault(checks.check_repr_is_python, "focal(gamma=0.123456789)")
def a_repr_that_rounds(patch: pytest.MonkeyPatch) -> None:
    original = ClassificationLoss.__repr__
    patch.setattr(
        ClassificationLoss, "__repr__", lambda self: original(self).replace("0.123456789", "0.1")
    )


@fault(checks.check_state, "focal")
@fault(checks.check_other_criterion, "focal")
def arguments_in_the_state_dict(patch: pytest.MonkeyPatch) -> None:
    def keep(self: ClassificationLoss, name: str, value: object) -> None:
        self.__dict__.pop(name, None)
        self._buffers.pop(name, None)
        if isinstance(value, Tensor):
            self.register_buffer(name, value)
        elif isinstance(value, nn.Module):
            self.register_module(name, value)
        else:
            self.__dict__[name] = value

    patch.setattr(ClassificationLoss, "_keep", keep)


@fault(checks.check_state, "ldam")
def derived_numbers_in_the_state_dict(patch: pytest.MonkeyPatch) -> None:
    original = LDAMLoss.derive

    def derive(self: LDAMLoss) -> None:
        original(self)
        self._non_persistent_buffers_set.clear()

    patch.setattr(LDAMLoss, "derive", derive)


@fault(checks.check_loading, "seesaw")
@fault(checks.check_loading, "softmax_eql")
def a_state_that_is_not_loaded(patch: pytest.MonkeyPatch) -> None:
    original = ClassificationLoss.load_state_dict

    def load(self: ClassificationLoss, state: dict[str, Tensor], **options: object) -> object:
        return original(self, {key: torch.zeros_like(value) for key, value in state.items()})

    # The last of the twins is loaded otherwise than the first.
    patch.setattr(ClassificationLoss, "load_state_dict", load)


@fault(checks.check_copies, "ldam")
@fault(checks.check_copies, "softmax_eql")
def a_copy_that_is_built_anew(patch: pytest.MonkeyPatch) -> None:
    def rebuild(self: ClassificationLoss, memo: object) -> ClassificationLoss:
        return type(self)(**{name: getattr(self, name) for name in self._fields if name in DATA})

    patch.setattr(ClassificationLoss, "__deepcopy__", rebuild, raising=False)


DATA = ("counts", "num_classes")


@fault(checks.check_assignment, "ldam")
@fault(checks.check_assignment, "logit_adjusted")
def derived_numbers_of_before(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClassificationLoss, "_derive_again", lambda self: None)


@fault(checks.check_bad_assignment, "focal")
@fault(checks.check_assignment, "ldam")
def attributes_like_any_others(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ClassificationLoss, "__setattr__", nn.Module.__setattr__)


@fault(checks.check_default_inner, "softmax_eql")
def one_default_for_all(patch: pytest.MonkeyPatch) -> None:
    original, shared = field.Field.kept, SoftmaxEQLLoss(num_classes=5).loss
    patch.setattr(
        field.Field,
        "kept",
        lambda self, value: shared if self.by_position else original(self, value),
    )


@fault.each
def test_the_fault_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fault.must_be_noticed(name, monkeypatch)


def test_every_check_has_a_fault_that_it_notices() -> None:
    assert fault.not_noticing(checks) == set()
