"""Losses tailored to your task and data.

Drop-in `nn.Module`s and functions for classification on imbalanced and long-tailed data, in one
vocabulary and from one small algebra; `taylored.lab` and the `taylored` command compare them on
your own data.
"""

from types import ModuleType as _ModuleType

from taylored import catalog as catalog
from taylored import kernels as _kernels  # noqa: F401 - registers the native executor
from taylored import terms as terms
from taylored.catalog import get as get
from taylored.catalog.certificates import certify as certify
from taylored.catalog.power_series_of import series as series
from taylored.core.checks import debug as debug
from taylored.core.class_counts import class_counts as class_counts
from taylored.core.class_weights import balance_alpha as balance_alpha
from taylored.core.class_weights import effective_number_weights as effective_number_weights
from taylored.core.class_weights import inverse_frequency_weights as inverse_frequency_weights
from taylored.core.inputs.donated_logits import donate as donate
from taylored.core.inputs.linear_logits import LinearLogits as LinearLogits
from taylored.core.inputs.sharded_logits import ShardedLogits as ShardedLogits
from taylored.core.label_density import lds_weights as lds_weights
from taylored.core.posterior.invertible import NoPosteriorError as NoPosteriorError
from taylored.core.state.class_scores import ClassScores as ClassScores
from taylored.core.state.gradient_indicator import GradientIndicator as GradientIndicator
from taylored.core.terms.power_series import Series as Series
from taylored.core.terms.power_series import terms_needed as terms_needed
from taylored.core.terms.term import Term as Term
from taylored.deploy.tau import tune_tau as tune_tau
from taylored.deploy.temperature import tune_temperature as tune_temperature
from taylored.deploy.threshold import tune_threshold as tune_threshold
from taylored.deploy.tuned import Tuned as Tuned
from taylored.layers import CosineClassifier as CosineClassifier
from taylored.layers import LinearHead as LinearHead
from taylored.layers import RankClassifier as RankClassifier
from taylored.losses import *  # noqa: F403 - the table says what is public
from taylored.modules.base import Loss as Loss
from taylored.modules.classification import ClassificationLoss as ClassificationLoss
from taylored.modules.loss_sum import LossSum as LossSum
from taylored.monitor import GradientRatio as GradientRatio

__version__ = "0.1.0"

_MODULES = {"catalog", "terms"}


def __dir__() -> list[str]:
    """What a user is offered: losses and tools, not the rooms that they come from."""
    rooms = {name for name, value in globals().items() if isinstance(value, _ModuleType)}
    return sorted({name for name in globals() if not name.startswith("_")} - rooms | _MODULES)
