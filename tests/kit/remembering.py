"""Everything that a training forward changes: losses with a state, and what counts beside a loss.

Found by asking: no list has to know a new loss.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from kit.cases import GENERATED
from kit.catalogued import CLASSIFICATION, VALUES
from kit.direct import drawn
from kit.parameters import fields_of, inside, module
from kit.traits import CLASSES, COUNTS
from taylored import CrossEntropyLoss, GradientRatio, Loss, catalog
from taylored.core.state.counting import Counting
from taylored.core.state.micro_batches import Gathering, MicroBatches
from taylored.modules.classification import parameters_of

State = dict[str, Tensor]


def batch(loss: nn.Module, seed: int, size: int) -> tuple[Tensor, Tensor]:
    """What a loss is called on, in float64: logits and class indices, or boxes."""
    generator = torch.Generator().manual_seed(seed)
    if getattr(loss, "takes", "logits") != "logits":
        first, second = drawn(loss.spec, (size,), generator)
        return first, second
    logits = torch.randn(size, CLASSES, generator=generator, dtype=torch.float64)
    return logits, torch.randint(CLASSES, (size,), generator=generator)


@dataclass(frozen=True)
class Remembering:
    """What is built, and how.

    Attributes:
        text: what it is called in a test's name.
        build: makes a new one, in training mode.
    """

    text: str
    build: Callable[[], nn.Module]

    @property
    def counts_afterwards(self) -> bool:
        """Whether its weights are those before the batch; others count it first."""
        return any(isinstance(part, Counting) for part in self.build().modules())


class OfItsLogits(Gathering):
    """A loss that takes features, called on logits and targets: they are its features, too."""

    def __init__(self, loss: nn.Module) -> None:
        super().__init__()
        self.loss = loss

    @property
    def process_group(self) -> object:
        return self.loss.process_group

    @process_group.setter
    def process_group(self, group: object) -> None:
        self.loss.process_group = group

    def forward(self, logits: Tensor, target: Tensor) -> Tensor:
        return self.loss(logits, target, logits.detach())


def of(text: str) -> Remembering:
    def build() -> nn.Module:
        loss = catalog.get(text, counts=COUNTS)
        return OfItsLogits(loss) if catalog.spec(text).call == "features" else loss

    return Remembering(text, build)


def variants(name: str) -> list[Remembering]:
    """A loss with one of its own parameters changed, in every way that the suites know."""
    given = [
        {field.name: value}
        for field in fields_of(name).values()
        if not field.about.shared
        for value in inside(field)
    ]
    return [
        Remembering(f"{name}({options})", functools.partial(module, name, **options))
        for options in given
    ]


def found_for(name: str) -> list[Remembering]:
    """Those examples of a loss that remember something; else the first variant that does."""
    spec = catalog.SPECS[name]
    texts = [text for text in spec.examples if text != f"{name}()"]
    if spec.inner != "required":
        texts.insert(0, name)
    examples = [of(text) for text in texts]
    found = [subject for subject in examples if remembers(subject)]
    return found or [subject for subject in variants(name) if remembers(subject)][:1]


def remembers(subject: Remembering) -> bool:
    """Whether a training forward changes the state of a loss."""
    try:
        loss = subject.build()
    except ValueError:  # a parameter that does not go with the default of another
        return False
    before = state_of(loss)
    if not before:
        return False
    logits, target = batch(loss, 0, 7)
    loss(logits.requires_grad_(), target)
    return any(not torch.equal(before[name], value) for name, value in state_of(loss).items())


def state_of(loss: nn.Module) -> State:
    return {name: value.clone() for name, value in loss.state_dict().items()}


def share_with(loss: nn.Module, group: object) -> None:
    """Give a process group to a loss, and to what it wraps."""
    for part in loss.modules():
        own = isinstance(part, Loss) and "process_group" in parameters_of(type(part))
        if own or isinstance(part, GradientRatio):
            part.process_group = group


def sums_of(loss: nn.Module) -> State:
    """The buffers themselves in which batches are added up, but for those of open groups."""
    open_groups = {id(part.sums) for part in loss.modules() if isinstance(part, MicroBatches)}
    persistent = loss.state_dict(keep_vars=True).items()
    return {k: v for k, v in persistent if v.dim() == 1 and id(v) not in open_groups}


FEATURED = tuple(name for name, spec in CLASSIFICATION.items() if spec.call == "features")
EXAMPLES = tuple(
    subject for name in (*GENERATED, *FEATURED, *VALUES) for subject in found_for(name)
)
"""The losses of the catalogue that remember something."""

WRAPPED = (of('class_balanced(sigmoid_eql(), weighting="class")'),)
BESIDE = (
    Remembering(
        "GradientRatio",
        lambda: GradientRatio(CrossEntropyLoss(reduction="sum"), num_classes=CLASSES, decay=0.9),
    ),
    Remembering(
        "GradientRatio of equalized_focal",
        lambda: GradientRatio(
            catalog.get('equalized_focal(reduction="sum")', counts=COUNTS), num_classes=CLASSES
        ),
    ),
)
REMEMBERING = (*EXAMPLES, *WRAPPED, *BESIDE)


def identified(found: tuple[Remembering, ...]) -> dict[str, object]:
    """Arguments of `parametrize`."""
    ids = [each.text.replace(" ", "") for each in found]
    return {"argnames": "subject", "argvalues": found, "ids": ids}
