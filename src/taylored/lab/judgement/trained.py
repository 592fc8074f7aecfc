"""A loss after its trainings, before anything is concluded from it."""

from dataclasses import dataclass

from torch import Tensor

from taylored.lab.measures import Tested
from taylored.lab.results import GainCurve
from taylored.lab.trial_result import Role, TrialResult


@dataclass(frozen=True, eq=False)
class Heads:
    """Lengths of the weight vectors of the last layers, and biases, of every model.

    Shape:
        norm and bias (R, K, C).
    """

    norm: Tensor
    bias: Tensor


@dataclass(frozen=True, eq=False)
class Trained:
    """A loss with its trials and what its models said about every row.

    ``tested`` is None where a training diverged or failed, because the rows of the other folds are
    a selection. ``heads`` is None for models without a linear last layer.
    """

    name: str
    role: Role
    gain: GainCurve | None
    formula: str | None
    learning_rate: float | None
    trials: tuple[TrialResult, ...]
    tested: Tested | None
    heads: Heads | None = None
