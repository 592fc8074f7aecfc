"""How logits become probabilities: softmax for one class, sigmoid for any number of labels."""

import re
from collections.abc import Callable, Sequence

from torch import Tensor

from taylored.lab.data import TaskName
from taylored.lab.errors import UsageError
from taylored.lab.trial.user_code import is_reference

Loss = Callable[[Tensor, Tensor], Tensor]

_OPTION = 'link="sigmoid"'


def link_of(loss: Loss, task: TaskName) -> str:
    """The loss's `link` attribute; without one, what is usual for the task."""
    link = getattr(loss, "link", "softmax" if task == "single-label" else "sigmoid")
    if link not in ("softmax", "sigmoid"):
        raise UsageError(f"loss {loss!r}: link must be 'softmax' or 'sigmoid', got {link!r}.")
    return str(link)


def require_sigmoid(name: str, loss: Loss, build: Callable[[str], Loss]) -> None:
    """Refuse a loss that lets labels compete, and name the form of it that does not.

    `build` makes a loss from its name: a suggestion that cannot be built is not made.
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


def _independent(name: str, loss: Loss) -> bool:
    from taylored import catalog

    possible: Sequence[str] = ("sigmoid",) if is_reference(name) else catalog.spec(name).links
    return "sigmoid" in possible and link_of(loss, "multi-label") == "sigmoid"


def _works(form: str, build: Callable[[str], Loss]) -> bool:
    try:
        return _independent(form, build(form))
    except UsageError:
        return False


def _sigmoid_forms(name: str) -> list[str]:
    """Ways to write a loss with the sigmoid link; not all of them exist for every loss."""
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
