"""Checks of what every loss owes to its declared fields: keywords, errors, state, assignment."""

from __future__ import annotations

import contextlib
import copy
import inspect
import io
import pickle
import re

import pytest
import torch
from torch import Tensor, nn

import taylored
from kit.parameters import (
    Outcome,
    blamed,
    fields_of,
    function,
    inside,
    links,
    module,
    needed,
    outcome,
    outside,
    per_class_values,
    same_outcome,
)
from kit.traits import CLASSES, arguments_of
from references.call import default_inner
from taylored import CrossEntropyLoss, FocalLoss, catalog
from taylored.modules.fields.parameter import REQUIRED

CALL = ("sample_weight", "normalizer")
"""Keywords of a call, which belong to no module."""


def forms_of(name: str) -> list[str]:
    return ["module"] if catalog.SPECS[name].function is None else ["module", "function"]


def attempt(form: str, name: str, /, **options: object) -> BaseException | None:
    """The error of building, or calling, a loss with these options, if there is one."""
    try:
        module(name, **options) if form == "module" else function(name, **options)
    except (ValueError, TypeError) as error:
        return error
    return None


def told(error: BaseException | None) -> str:
    """What a message says was expected, without what it got."""
    return str(error).split(", got ")[0]


def called(form: str, name: str) -> str:
    spec = catalog.SPECS[name]
    return (spec.module if form == "module" else spec.function).__name__


# --- keywords ---------------------------------------------------------------------------------


def check_wrong_keyword(form: str, name: str) -> None:
    """A misspelt keyword: the message names the loss and the keyword that was meant."""
    for keyword in fields_of(name):
        error = attempt(form, name, **{f"{keyword}s": 1})
        assert isinstance(error, TypeError), error
        message = str(error)
        assert called(form, name) in message
        assert f"Did you mean '{keyword}'?" in message


def check_position(form: str, name: str) -> None:
    """A parameter by position: the message names the keyword that was meant."""
    spec = catalog.SPECS[name]
    if form == "module":
        first: tuple[object, ...] = () if spec.inner == "none" else (CrossEntropyLoss(),)
    else:
        logits, target, further = arguments_of(name)
        first = (logits, target, *further)
    ask = spec.module if form == "module" else spec.function
    with pytest.raises(TypeError) as caught:
        ask(*first, 0.5, **needed(name))
    message = str(caught.value)
    assert f"{called(form, name)} takes its parameters by keyword, got 0.5" in message
    keyword = _first_that_takes(name, 0.5)
    if keyword is not None:
        assert re.search(rf"Did you mean {called(form, name)}\((.*, )?{keyword}=0.5\)", message)


def _first_that_takes(name: str, value: object) -> str | None:
    """The keyword that a value is probably meant for: one without a default comes first."""
    for keyword, field in sorted(
        fields_of(name).items(), key=lambda x: x[1].default is not REQUIRED
    ):
        with contextlib.suppress(ValueError):
            field.check(value)
            return keyword
    return None


def check_signature(form: str, name: str) -> None:
    """help(), editors and Sphinx see every keyword, with the defaults of SPEC."""
    spec = catalog.SPECS[name]
    found = inspect.signature(spec.module if form == "module" else spec.function).parameters
    keywords = {key: p for key, p in found.items() if p.kind is p.KEYWORD_ONLY}
    extra = CALL if form == "function" else ()
    assert sorted(keywords) == sorted([*(p.name for p in spec.accepted), *extra])
    for parameter in spec.accepted:
        default = spec.links[0] if parameter.name == "link" else parameter.default
        expected = inspect.Parameter.empty if default is REQUIRED else default
        assert keywords[parameter.name].default == expected, parameter.name
        assert keywords[parameter.name].annotation is not inspect.Parameter.empty
    assert all(keywords[key].default is None for key in extra)
    assert all(p.kind is not p.VAR_KEYWORD for p in found.values())


# --- domains ----------------------------------------------------------------------------------


def check_refused(form: str, name: str) -> None:
    """A value outside the domain is refused, and the message names the parameter as written."""
    for keyword, field in fields_of(name).items():
        for what, value in outside(field).items():
            for link in links(name) if form == "module" or "link" in fields_of(name) else [{}]:
                options = {**({} if keyword == "link" else link), keyword: value}
                error = attempt(form, name, **options)
                assert error is not None, f"{keyword}={value!r} ({what}) was taken"
                assert blamed(error) == keyword, f"{keyword}={value!r} ({what}): {error}"
                assert "must be" in str(error)
                assert "Fix: " in str(error)


def check_agreement(name: str) -> None:
    """Module and function take the same values, and refuse the same with the same words."""
    for keyword, field in fields_of(name).items():
        for value in [*inside(field), *outside(field).values()]:
            built = attempt("module", name, **{keyword: value})
            ran = attempt("function", name, **{keyword: value})
            of_the_call = keyword == "class_dim" or keyword != blamed(ran)
            if built is None and isinstance(ran, ValueError) and of_the_call:
                # Refused with other arguments of the call, as only the module's call can be.
                logits, target, further = arguments_of(name)
                with pytest.raises(ValueError, match=r"^`") as caught:
                    module(name, **{keyword: value})(logits, target, *further)
                built = caught.value
            # A list may be shown as the tensor that a module has made of it.
            assert told(built) == told(ran), f"{keyword}={value!r}"


def check_lengths(form: str, name: str) -> None:
    """Per-class values of another number of classes: the message names what the user wrote."""
    for keyword, field in fields_of(name).items():
        for link in links(name) if form == "module" or "link" in fields_of(name) else [{}]:
            right, wrong = per_class_values(field, CLASSES), per_class_values(field, CLASSES - 1)
            if right is None or attempt(form, name, **{**link, keyword: right}) is not None:
                continue  # not per class, or an option of the other link
            error = attempt(form, name, **{**link, keyword: wrong})
            if error is None:  # nothing to compare it with before there are logits
                assert form == "module", keyword
                error = refused_by(module(name, **{**link, keyword: wrong}), arguments_of(name))
            # Where the user also gave counts or a number of classes, either may be wrong.
            assert blamed(error) in {keyword, *needed(name)}, error
            assert "must be" in str(error)
            assert "Fix: " in str(error)


def check_data_of_other_logits(form: str, name: str) -> None:
    """Counts and numbers of classes that do not fit the logits are blamed, whatever they fill."""
    if catalog.SPECS[name].takes != "logits":
        return
    for keyword in needed(name):
        if form == "module":
            error = refused_by(module(name), arguments_of(name, CLASSES + 1))
        else:
            error = attempt(form, name, classes=CLASSES + 1)
        assert isinstance(error, ValueError), keyword
        assert blamed(error) == keyword, error


def refused_by(loss: nn.Module, arguments: tuple[Tensor, Tensor, tuple[Tensor, ...]]) -> ValueError:
    """The error of calling a loss."""
    logits, target, further = arguments
    with pytest.raises(ValueError, match=r"^`\w+` must be .*, got .*Fix: ") as caught:
        loss(logits, target, *further)
    return caught.value


# --- writing ----------------------------------------------------------------------------------


def check_repr_is_python(text: str) -> None:
    """The repr is the Python call that rebuilds the loss, and the catalogue reads it too."""
    loss = catalog.get(text, counts=[5, 4, 3, 2, 1])
    again = eval(repr(loss), dict(vars(taylored)))  # noqa: S307 - our own repr
    assert type(again) is type(loss)
    assert repr(again) == repr(loss) == repr(catalog.get(repr(loss)))
    assert repr(loss).startswith(f"{type(loss).__name__}(")
    name = catalog.spec(text).name
    assert torch.equal(value_of(name, again), value_of(name, loss))


# --- state ------------------------------------------------------------------------------------


def trained(name: str, loss: nn.Module, steps: int = 2) -> nn.Module:
    """After a few training steps, and with its schedule at the end."""
    logits, target, further = arguments_of(name)
    loss.train()
    torch.manual_seed(0)
    for step in range(steps):
        loss((logits * (step + 1)).requires_grad_(), target, *further)
    if hasattr(loss, "adapt"):  # on validation data, after an epoch
        loss.adapt(torch.cat([logits * 0.3 * size for size in range(8)]), target.repeat(8))
    loss.set_progress(1.0)
    return loss


def value_of(name: str, loss: nn.Module) -> Tensor:
    logits, target, further = arguments_of(name)
    was = loss.training
    torch.manual_seed(0)  # some losses leave out elements at random
    value = loss.eval()(logits, target, *further)
    loss.train(was)
    return value


def _state(loss: nn.Module) -> dict[str, Tensor]:
    return {key: value.clone() for key, value in loss.state_dict().items()}


def check_state(name: str) -> None:
    """The state dict holds what training changes, and nothing that follows from arguments."""
    for link in links(name):
        for keyword, field in fields_of(name).items():
            for value in inside(field):
                try:
                    loss = module(name, **{**link, keyword: value})
                    before = _state(loss)
                    loss = trained(name, loss)
                    loss.accumulate(2)  # an open group of micro-batches is state, too
                    after = _state(trained(name, loss, 1))
                except ValueError:  # an option of the other link
                    continue
                # Parameters are changed by an optimiser.
                own = before.keys() - dict(loss.named_parameters()).keys()
                still = [k for k in own if before[k].numel() and torch.equal(before[k], after[k])]
                assert still == [], f"{keyword}={value!r}: not changed by training: {still}"


def check_other_criterion(name: str) -> None:
    """A checkpoint of a model with another loss without state loads strictly."""

    def saved(criterion: nn.Module) -> dict[str, Tensor]:
        return nn.ModuleDict({"model": nn.Linear(3, 2), "criterion": criterion}).state_dict()

    for loss in (module(name), *_with_per_class_values(name)):
        if loss.state_dict():
            continue
        for other in (CrossEntropyLoss(), FocalLoss(gamma=[1.0] * CLASSES)):
            for kept, given in ((loss, other), (other, loss)):
                whole = nn.ModuleDict({"model": nn.Linear(3, 2), "criterion": given})
                whole.load_state_dict(saved(kept), strict=True)


def _with_per_class_values(name: str) -> list[nn.Module]:
    found = []
    for link in links(name):
        for keyword, field in fields_of(name).items():
            for value in inside(field):
                if isinstance(value, list):
                    try:
                        found.append(module(name, **{**link, keyword: value}))
                    except ValueError:  # an option of the other link
                        continue
    return found


def check_loading(name: str) -> None:
    """After loading, a loss has the state that was saved and says what it is."""
    for link in links(name):
        for keyword, field in fields_of(name).items():
            for value in inside(field):
                try:
                    first = trained(name, module(name, **{**link, keyword: value}))
                    second = module(name, **link)
                except ValueError:  # an option of the other link
                    continue
                if {k: v.shape for k, v in first.state_dict().items()} != {
                    k: v.shape for k, v in second.state_dict().items()
                }:
                    continue  # an option that decides whether there is state
                second.load_state_dict(_through_a_file(first.state_dict()))
                third = eval(repr(second), dict(vars(taylored)))  # noqa: S307 - our own repr
                third.load_state_dict(first.state_dict())
                assert torch.equal(value_of(name, second), value_of(name, third)), keyword
                twin = module(name, **{**link, keyword: value})
                twin.load_state_dict(first.state_dict())
                assert repr(twin) == repr(first)
                assert torch.equal(value_of(name, twin), value_of(name, first)), keyword


def _through_a_file(state: dict[str, Tensor]) -> dict[str, Tensor]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


def check_copies(name: str) -> None:
    """Pickle and deepcopy give the same loss: parameters, state, values, and its behaviour."""
    for loss in (module(name), *_with_per_class_values(name)):
        trained(name, loss)
        # Not opened from elsewhere: written in this line.
        for other in (pickle.loads(pickle.dumps(loss)), copy.deepcopy(loss)):  # noqa: S301
            assert repr(other) == repr(loss)
            assert torch.equal(value_of(name, other), value_of(name, loss))
            assert other.state_dict().keys() == loss.state_dict().keys()
            for key, kept in loss.state_dict().items():
                assert torch.equal(other.state_dict()[key], kept)
            for keyword, field in fields_of(name).items():
                if not field.about.fixed:
                    with pytest.raises(ValueError, match=rf"^`{keyword}` must be"):
                        setattr(other, keyword, [[1.0], [2.0]])


# --- assignment -------------------------------------------------------------------------------


def assigned(name: str, keyword: str, value: object, **options: object) -> nn.Module:
    """A loss that is given a parameter afterwards."""
    loss = module(name, **options)
    setattr(loss, keyword, value)
    return loss


def check_assignment(name: str) -> None:
    """Assigning a parameter acts as if the loss had been built with it."""
    for link in links(name):
        for keyword, field in fields_of(name).items():
            if (keyword == "link" and link) or field.about.fixed:
                continue
            for value in inside(field):
                built = outcome(name, lambda: module(name, **{**link, keyword: value}))  # noqa: B023
                later = outcome(name, lambda: assigned(name, keyword, value, **link))  # noqa: B023
                assert same_outcome(built, later), f"{keyword}={value!r}: {built} and {later}"
                if built[0] != "refused":
                    _check_later(name, keyword, value, link)


def _check_later(name: str, keyword: str, value: object, link: dict[str, str]) -> None:
    """The same in the middle of a training: the state stays."""
    loss = trained(name, module(name, **link))
    before = _state(loss)
    setattr(loss, keyword, value)
    twin = module(name, **{**link, keyword: value})
    if before.keys() == twin.state_dict().keys():  # or the parameter decides whether there is one
        twin.load_state_dict(before)
        assert repr(twin) == repr(loss)
        assert torch.equal(value_of(name, twin), value_of(name, loss)), f"{keyword}={value!r}"


def check_bad_assignment(name: str) -> None:
    """A value outside the domain is refused by name, and the loss is as it was."""
    for keyword, field in fields_of(name).items():
        for what, value in outside(field).items():
            loss = module(name)
            before: Outcome = (repr(loss), value_of(name, loss))
            with pytest.raises(ValueError, match=rf"^`{keyword}") as caught:
                setattr(loss, keyword, value)
            assert blamed(caught.value) == keyword, what
            assert same_outcome(before, (repr(loss), value_of(name, loss))), what


def check_default_inner(name: str) -> None:
    """A wrapper that may be built without a loss wraps a new one each time."""
    first, second = module(name).loss, module(name).loss
    assert type(first) is catalog.SPECS[default_inner(name)].module
    assert first is not second
