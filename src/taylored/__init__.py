"""Losses tailored to your task and data.

Drop-in `nn.Module`s and functions for classification on imbalanced and long-tailed data, in one
vocabulary and from one small algebra; `taylored.lab` and the `taylored` command compare them on
your own data.
"""

from taylored import catalog as catalog
from taylored import kernels as kernels
from taylored.catalog import get as get
from taylored.catalog.power_series_of import series as series
from taylored.core.checks import debug as debug
from taylored.core.class_counts import balance_alpha as balance_alpha
from taylored.core.class_counts import class_counts as class_counts
from taylored.core.class_counts import effective_number_weights as effective_number_weights
from taylored.core.class_counts import inverse_frequency_weights as inverse_frequency_weights
from taylored.core.inputs.donated_logits import donate as donate
from taylored.core.inputs.linear_logits import LinearLogits as LinearLogits
from taylored.core.state.gradient_indicator import GradientIndicator as GradientIndicator
from taylored.core.terms import vocabulary as terms  # noqa: F401 - replaced below
from taylored.core.terms.power_series import Series as Series
from taylored.core.terms.power_series import terms_needed as terms_needed
from taylored.core.terms.term import Term as Term
from taylored.layers import CosineClassifier as CosineClassifier
from taylored.losses.classification.asymmetric_single_label import (
    AsymmetricSingleLabelLoss as AsymmetricSingleLabelLoss,
)
from taylored.losses.classification.asymmetric_single_label import (
    asymmetric_single_label_loss as asymmetric_single_label_loss,
)
from taylored.losses.classification.balanced_cross_entropy import (
    BalancedCrossEntropyLoss as BalancedCrossEntropyLoss,
)
from taylored.losses.classification.balanced_cross_entropy import (
    balanced_cross_entropy_loss as balanced_cross_entropy_loss,
)
from taylored.losses.classification.binary_cross_entropy import (
    BinaryCrossEntropyLoss as BinaryCrossEntropyLoss,
)
from taylored.losses.classification.binary_cross_entropy import (
    binary_cross_entropy_loss as binary_cross_entropy_loss,
)
from taylored.losses.classification.cross_entropy import CrossEntropyLoss as CrossEntropyLoss
from taylored.losses.classification.cross_entropy import cross_entropy_loss as cross_entropy_loss
from taylored.losses.classification.focal import FocalLoss as FocalLoss
from taylored.losses.classification.focal import focal_loss as focal_loss
from taylored.losses.classification.poly import PolyLoss as PolyLoss
from taylored.losses.classification.poly import poly_loss as poly_loss
from taylored.losses.classification.series import SeriesLoss as SeriesLoss
from taylored.losses.classification.series import series_loss as series_loss
from taylored.losses.classification.taylor import TaylorLoss as TaylorLoss
from taylored.losses.classification.taylor import taylor_loss as taylor_loss
from taylored.losses.classification.term import TermLoss as TermLoss
from taylored.losses.classification.term import term_loss as term_loss
from taylored.losses.detection_quality.distribution_focal import (
    DistributionFocalLoss as DistributionFocalLoss,
)
from taylored.losses.detection_quality.distribution_focal import (
    distribution_focal_loss as distribution_focal_loss,
)
from taylored.losses.detection_quality.ghm import GHMLoss as GHMLoss
from taylored.losses.detection_quality.quality_focal import QualityFocalLoss as QualityFocalLoss
from taylored.losses.detection_quality.quality_focal import quality_focal_loss as quality_focal_loss
from taylored.losses.detection_quality.varifocal import VarifocalLoss as VarifocalLoss
from taylored.losses.detection_quality.varifocal import varifocal_loss as varifocal_loss
from taylored.losses.long_tail.balanced_softmax import BalancedSoftmaxLoss as BalancedSoftmaxLoss
from taylored.losses.long_tail.balanced_softmax import (
    balanced_softmax_loss as balanced_softmax_loss,
)
from taylored.losses.long_tail.class_balanced import ClassBalancedLoss as ClassBalancedLoss
from taylored.losses.long_tail.deferred import DeferredReweightingLoss as DeferredReweightingLoss
from taylored.losses.long_tail.equalization import EqualizationLoss as EqualizationLoss
from taylored.losses.long_tail.equalization import equalization_loss as equalization_loss
from taylored.losses.long_tail.equalized_focal import EqualizedFocalLoss as EqualizedFocalLoss
from taylored.losses.long_tail.equalized_quality_focal import (
    EqualizedQualityFocalLoss as EqualizedQualityFocalLoss,
)
from taylored.losses.long_tail.influence_balanced import (
    InfluenceBalancedLoss as InfluenceBalancedLoss,
)
from taylored.losses.long_tail.influence_balanced import (
    influence_balanced_loss as influence_balanced_loss,
)
from taylored.losses.long_tail.ldam import LDAMLoss as LDAMLoss
from taylored.losses.long_tail.ldam import ldam_loss as ldam_loss
from taylored.losses.long_tail.logit_adjusted import LogitAdjustedLoss as LogitAdjustedLoss
from taylored.losses.long_tail.logit_adjusted import adjust_logits as adjust_logits
from taylored.losses.long_tail.logit_adjusted import logit_adjusted_loss as logit_adjusted_loss
from taylored.losses.long_tail.seesaw import SeesawLoss as SeesawLoss
from taylored.losses.long_tail.sigmoid_eql import SigmoidEQLLoss as SigmoidEQLLoss
from taylored.losses.long_tail.softmax_eql import SoftmaxEQLLoss as SoftmaxEQLLoss
from taylored.losses.long_tail.vector_scaling import VectorScalingLoss as VectorScalingLoss
from taylored.losses.long_tail.vector_scaling import vector_scaling_loss as vector_scaling_loss
from taylored.losses.multi_label.asymmetric import AsymmetricLoss as AsymmetricLoss
from taylored.losses.multi_label.asymmetric import asymmetric_loss as asymmetric_loss
from taylored.losses.multi_label.distribution_balanced import (
    DistributionBalancedLoss as DistributionBalancedLoss,
)
from taylored.losses.multi_label.distribution_balanced import (
    distribution_balanced_loss as distribution_balanced_loss,
)
from taylored.losses.noisy_labels.generalized_cross_entropy import (
    GeneralizedCrossEntropyLoss as GeneralizedCrossEntropyLoss,
)
from taylored.losses.noisy_labels.generalized_cross_entropy import (
    generalized_cross_entropy_loss as generalized_cross_entropy_loss,
)
from taylored.losses.noisy_labels.generalized_jensen_shannon import (
    GeneralizedJensenShannonLoss as GeneralizedJensenShannonLoss,
)
from taylored.losses.noisy_labels.generalized_jensen_shannon import (
    generalized_jensen_shannon_loss as generalized_jensen_shannon_loss,
)
from taylored.losses.noisy_labels.jensen_shannon import JensenShannonLoss as JensenShannonLoss
from taylored.losses.noisy_labels.jensen_shannon import jensen_shannon_loss as jensen_shannon_loss
from taylored.losses.noisy_labels.symmetric_cross_entropy import (
    SymmetricCrossEntropyLoss as SymmetricCrossEntropyLoss,
)
from taylored.losses.noisy_labels.symmetric_cross_entropy import (
    symmetric_cross_entropy_loss as symmetric_cross_entropy_loss,
)
from taylored.monitor import GradientRatio as GradientRatio

__version__ = "0.1.0"
