"""The link of a loss: softmax for one class per sample, sigmoid for any number of labels."""

import re
from collections.abc import Callable, Sequence

from torch import Tensor

from taylored import catalog
from taylored.lab.data import TaskName
from taylored.lab.errors import UsageError
from taylored.lab.own.code import is_own

LossFunction = Callable[[Tensor, Tensor], Tensor]

_OPTION = 'link="sigmoid"'


def link_of(loss: LossFunction, task: TaskName) -> str:
    """The `link` attribute of the loss; for a loss without one, the usual link of the task."""
    link = getattr(loss, "link", "softmax" if task == "single-label" else "sigmoid")
    if link not in ("softmax", "sigmoid"):
        raise UsageError(f"loss {loss!r}: link must be 'softmax' or 'sigmoid', got {link!r}.")
    return str(link)


def require_sigmoid(name: str, loss: LossFunction, build: Callable[[str], LossFunction]) -> None:
    """Refuse a loss in which labels compete, and suggest the same loss with the sigmoid link.

    `build` makes a loss from its name. A form of the loss is suggested only if it can be built.
    """
    if _independent(name, loss):
        return
    fix = next(
        (form for form in _sigmoid_forms(name) if _works(form, build)),
        "a loss of that link, such as " + 'focal(gamma=2, link="sigmoid")',
    )
    raise UsageError(
        f"loss {name!r} has the softmax link, in which labels compete for one probability; "
        f"multi-label data need the sigmoid link. Use {fix}."
    )


def _independent(name: str, loss: LossFunction) -> bool:
    possible: Sequence[str] = ("sigmoid",) if is_own(name) else catalog.links(name)
    return "sigmoid" in possible and link_of(loss, "multi-label") == "sigmoid"


def _works(form: str, build: Callable[[str], LossFunction]) -> bool:
    try:
        return _independent(form, build(form))
    except UsageError:
        return False


def _sigmoid_forms(name: str) -> list[str]:
    """Ways to write the loss with the sigmoid link; for some losses some of them do not exist."""
    forms = [
        re.sub(r"(?<!\w)cross_entropy\b(\(\))?", "binary_cross_entropy", name),
        re.sub(r"""link=["']softmax["']""", _OPTION, name),
        f"{name}({_OPTION})",
    ]
    if call := re.search(r"\w+\(([^()]*)\)", name):
        arguments = ", ".join(filter(None, [call[1], _OPTION]))
        forms.append(name[: call.start(1)] + arguments + name[call.end(1) :])
    if name.startswith("class_balanced(") and "weighting" not in name:
        forms = [f'{form[:-1]}, weighting="class")' for form in forms if form.endswith(")")]
    return [form for form in forms if form != name]
