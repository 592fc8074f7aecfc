"""Losses tailored to your task and data.

Drop-in `nn.Module`s and functions for classification on imbalanced and long-tailed data, in one
vocabulary and from one small algebra; `taylored.lab` and the `taylored` command compare them on
your own data.
"""

from taylored import catalog as catalog
from taylored import kernels as kernels
from taylored.catalog import get as get
from taylored.core import terms as terms
from taylored.core.checks import debug as debug
from taylored.core.donated import donate as donate
from taylored.core.indicator import GradientIndicator as GradientIndicator
from taylored.core.linear import LinearLogits as LinearLogits
from taylored.core.series import Series as Series
from taylored.core.series import terms_needed as terms_needed
from taylored.core.term import Term as Term
from taylored.core.weights import balance_alpha as balance_alpha
from taylored.core.weights import counts as counts
from taylored.core.weights import effective_number_weights as effective_number_weights
from taylored.core.weights import inverse_frequency_weights as inverse_frequency_weights
from taylored.layers import CosineClassifier as CosineClassifier
from taylored.losses.asymmetric import AsymmetricLoss as AsymmetricLoss
from taylored.losses.asymmetric import asymmetric_loss as asymmetric_loss
from taylored.losses.asymmetric_single_label import (
    AsymmetricSingleLabelLoss as AsymmetricSingleLabelLoss,
)
from taylored.losses.asymmetric_single_label import (
    asymmetric_single_label_loss as asymmetric_single_label_loss,
)
from taylored.losses.balanced_cross_entropy import (
    BalancedCrossEntropyLoss as BalancedCrossEntropyLoss,
)
from taylored.losses.balanced_cross_entropy import (
    balanced_cross_entropy_loss as balanced_cross_entropy_loss,
)
from taylored.losses.balanced_softmax import BalancedSoftmaxLoss as BalancedSoftmaxLoss
from taylored.losses.balanced_softmax import balanced_softmax_loss as balanced_softmax_loss
from taylored.losses.binary_cross_entropy import BinaryCrossEntropyLoss as BinaryCrossEntropyLoss
from taylored.losses.binary_cross_entropy import (
    binary_cross_entropy_loss as binary_cross_entropy_loss,
)
from taylored.losses.class_balanced import ClassBalancedLoss as ClassBalancedLoss
from taylored.losses.class_balanced import class_balanced as class_balanced
from taylored.losses.cross_entropy import CrossEntropyLoss as CrossEntropyLoss
from taylored.losses.cross_entropy import cross_entropy_loss as cross_entropy_loss
from taylored.losses.deferred import DeferredReweightingLoss as DeferredReweightingLoss
from taylored.losses.distribution_balanced import (
    DistributionBalancedLoss as DistributionBalancedLoss,
)
from taylored.losses.distribution_balanced import (
    distribution_balanced_loss as distribution_balanced_loss,
)
from taylored.losses.distribution_focal import DistributionFocalLoss as DistributionFocalLoss
from taylored.losses.distribution_focal import distribution_focal_loss as distribution_focal_loss
from taylored.losses.equalization import EqualizationLoss as EqualizationLoss
from taylored.losses.equalization import equalization_loss as equalization_loss
from taylored.losses.equalized_focal import EqualizedFocalLoss as EqualizedFocalLoss
from taylored.losses.equalized_quality_focal import (
    EqualizedQualityFocalLoss as EqualizedQualityFocalLoss,
)
from taylored.losses.focal import FocalLoss as FocalLoss
from taylored.losses.focal import focal_loss as focal_loss
from taylored.losses.generalized_cross_entropy import (
    GeneralizedCrossEntropyLoss as GeneralizedCrossEntropyLoss,
)
from taylored.losses.generalized_cross_entropy import (
    generalized_cross_entropy_loss as generalized_cross_entropy_loss,
)
from taylored.losses.generalized_jensen_shannon import (
    GeneralizedJensenShannonLoss as GeneralizedJensenShannonLoss,
)
from taylored.losses.generalized_jensen_shannon import (
    generalized_jensen_shannon_loss as generalized_jensen_shannon_loss,
)
from taylored.losses.ghm import GHMLoss as GHMLoss
from taylored.losses.influence_balanced import InfluenceBalancedLoss as InfluenceBalancedLoss
from taylored.losses.influence_balanced import influence_balanced_loss as influence_balanced_loss
from taylored.losses.jensen_shannon import JensenShannonLoss as JensenShannonLoss
from taylored.losses.jensen_shannon import jensen_shannon_loss as jensen_shannon_loss
from taylored.losses.ldam import LDAMLoss as LDAMLoss
from taylored.losses.ldam import ldam_loss as ldam_loss
from taylored.losses.logit_adjusted import LogitAdjustedLoss as LogitAdjustedLoss
from taylored.losses.logit_adjusted import adjust_logits as adjust_logits
from taylored.losses.logit_adjusted import logit_adjusted_loss as logit_adjusted_loss
from taylored.losses.poly import PolyLoss as PolyLoss
from taylored.losses.poly import poly_loss as poly_loss
from taylored.losses.quality_focal import QualityFocalLoss as QualityFocalLoss
from taylored.losses.quality_focal import quality_focal_loss as quality_focal_loss
from taylored.losses.seesaw import SeesawLoss as SeesawLoss
from taylored.losses.series import SeriesLoss as SeriesLoss
from taylored.losses.series import series_loss as series_loss
from taylored.losses.sigmoid_eql import SigmoidEQLLoss as SigmoidEQLLoss
from taylored.losses.softmax_eql import SoftmaxEQLLoss as SoftmaxEQLLoss
from taylored.losses.symmetric_cross_entropy import (
    SymmetricCrossEntropyLoss as SymmetricCrossEntropyLoss,
)
from taylored.losses.symmetric_cross_entropy import (
    symmetric_cross_entropy_loss as symmetric_cross_entropy_loss,
)
from taylored.losses.taylor import TaylorLoss as TaylorLoss
from taylored.losses.taylor import taylor_loss as taylor_loss
from taylored.losses.term import TermLoss as TermLoss
from taylored.losses.term import term_loss as term_loss
from taylored.losses.varifocal import VarifocalLoss as VarifocalLoss
from taylored.losses.varifocal import varifocal_loss as varifocal_loss
from taylored.losses.vector_scaling import VectorScalingLoss as VectorScalingLoss
from taylored.losses.vector_scaling import vector_scaling_loss as vector_scaling_loss
from taylored.losses.views import series as series
from taylored.monitor import GradientRatio as GradientRatio

__version__ = "0.1.0"
