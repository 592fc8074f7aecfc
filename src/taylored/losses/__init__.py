"""The table of the losses: one line for each, under its family.

A line makes the names in the file's `__all__` public (`from taylored import FocalLoss`) and puts
the loss into the catalogue (`taylored.get("focal")`), in this order.
"""

# ruff: noqa: F403
# isort: off
from typing import TYPE_CHECKING

from taylored.losses.classification.cross_entropy import *
from taylored.losses.classification.binary_cross_entropy import *
from taylored.losses.classification.balanced_cross_entropy import *
from taylored.losses.classification.focal import *
from taylored.losses.classification.poly import *
from taylored.losses.classification.taylor import *
from taylored.losses.classification.series import *
from taylored.losses.classification.term import *
from taylored.losses.classification.probability_power import *
from taylored.losses.classification.dft import *
from taylored.losses.classification.asymmetric_single_label import *
from taylored.losses.long_tail.class_balanced import *
from taylored.losses.long_tail.softmax_eql import *
from taylored.losses.long_tail.sigmoid_eql import *
from taylored.losses.long_tail.equalization import *
from taylored.losses.long_tail.equalized_focal import *
from taylored.losses.long_tail.equalized_quality_focal import *
from taylored.losses.margins.logit_adjusted import *
from taylored.losses.margins.balanced_softmax import *
from taylored.losses.margins.vector_scaling import *
from taylored.losses.margins.ldam import *
from taylored.losses.margins.kps import *
from taylored.losses.margins.gcl import *
from taylored.losses.long_tail.deferred import *
from taylored.losses.long_tail.seesaw import *
from taylored.losses.long_tail.influence_balanced import *
from taylored.losses.long_tail.ecm import *
from taylored.losses.long_tail.balanced_experts import *
from taylored.losses.difficulty.difficulty_balanced import *
from taylored.losses.difficulty.equilibrium import *
from taylored.losses.multi_label.asymmetric import *
from taylored.losses.multi_label.distribution_balanced import *
from taylored.losses.multi_label.hill import *
from taylored.losses.multi_label.splc import *
from taylored.losses.multi_label.zlpr import *
from taylored.losses.multi_label.two_way import *
from taylored.losses.multi_label.federated import *
from taylored.losses.multi_label.label_ranking import *
from taylored.losses.multi_label.multi_label_margin import *
from taylored.losses.ranking.auc_margin import *
from taylored.losses.ranking.partial_auc import *
from taylored.losses.ranking.smooth_ap import *
from taylored.losses.noisy_labels.generalized_cross_entropy import *
from taylored.losses.noisy_labels.symmetric_cross_entropy import *
from taylored.losses.noisy_labels.jensen_shannon import *
from taylored.losses.noisy_labels.generalized_jensen_shannon import *
from taylored.losses.detection_quality.quality_focal import *
from taylored.losses.detection_quality.varifocal import *
from taylored.losses.detection_quality.matchability_aware import *
from taylored.losses.detection_quality.distribution_focal import *
from taylored.losses.detection_quality.ghm import *
from taylored.losses.overlap.dice import *
from taylored.losses.overlap.generalized_dice import *
from taylored.losses.overlap.jaccard import *
from taylored.losses.overlap.tversky import *
from taylored.losses.overlap.focal_tversky import *
from taylored.losses.overlap.log_cosh_dice import *
from taylored.losses.overlap.mcc import *
from taylored.losses.overlap.lovasz_softmax import *
from taylored.losses.overlap.lovasz_hinge import *
from taylored.losses.overlap.cldice import *
from taylored.losses.overlap.boundary import *
from taylored.losses.overlap.hausdorff import *
from taylored.losses.overlap.unified_focal import *
from taylored.losses.reductions.hardest import *
from taylored.losses.reductions.tilted import *
from taylored.losses.calibration.dual_focal import *
from taylored.losses.calibration.flsd import *
from taylored.losses.calibration.inverse_focal import *
from taylored.losses.calibration.max_sup import *
from taylored.losses.calibration.mbls import *
from taylored.losses.calibration.logit_norm import *
from taylored.losses.calibration.z_loss import *
from taylored.losses.calibration.softcap import *
from taylored.losses.scores.brier import *
from taylored.losses.scores.multiclass_hinge import *
from taylored.losses.scores.hinge import *
from taylored.losses.scores.squared_hinge import *
from taylored.losses.scores.modified_huber import *
from taylored.losses.scores.logistic import *
from taylored.losses.scores.exponential import *
from taylored.losses.scores.perceptron import *
from taylored.losses.scores.zero_one import *
from taylored.losses.scores.margin_ranking import *
from taylored.losses.embedding.cosface import *
from taylored.losses.embedding.arcface import *
from taylored.losses.embedding.adaface import *
from taylored.losses.embedding.adacos import *
from taylored.losses.embedding.proxy_anchor import *
from taylored.losses.embedding.center import *
from taylored.losses.embedding.supervised_contrastive import *
from taylored.losses.embedding.contrastive import *
from taylored.losses.embedding.triplet import *
from taylored.losses.embedding.hinge_embedding import *
from taylored.losses.embedding.cosine_embedding import *
from taylored.losses.embedding.multi_similarity import *
from taylored.losses.embedding.circle import *
from taylored.losses.sequence.ctc import *
from taylored.losses.boxes.iou import *
from taylored.losses.boxes.giou import *
from taylored.losses.boxes.diou import *
from taylored.losses.boxes.ciou import *
from taylored.losses.boxes.eiou import *
from taylored.losses.boxes.focal_eiou import *
from taylored.losses.boxes.siou import *
from taylored.losses.boxes.mpdiou import *
from taylored.losses.boxes.inner_iou import *
from taylored.losses.boxes.shape_iou import *
from taylored.losses.boxes.wiou import *
from taylored.losses.boxes.nwd import *
from taylored.losses.boxes.bounded_iou import *
from taylored.losses.rotated_boxes.probiou import *
from taylored.losses.rotated_boxes.kfiou import *
from taylored.losses.boxes_3d.iou_3d import *
from taylored.losses.boxes_3d.giou_3d import *
from taylored.losses.boxes_3d.diou_3d import *
from taylored.losses.regression.l1 import *
from taylored.losses.regression.mse import *
from taylored.losses.regression.huber import *
from taylored.losses.regression.smooth_l1 import *
from taylored.losses.regression.log_cosh import *
from taylored.losses.regression.quantile import *
from taylored.losses.regression.charbonnier import *
from taylored.losses.regression.general_robust import *
from taylored.losses.regression.balanced_mse import *
from taylored.losses.likelihood.poisson_nll import *
from taylored.losses.likelihood.gaussian_nll import *
from taylored.losses.likelihood.kl_divergence import *
from taylored.losses.ordinal.corn import *
from taylored.losses.ordinal.coral import *
from taylored.losses.ordinal.emd import *

if not TYPE_CHECKING:  # type checkers read the lines above
    __all__ = [
        name
        for name, value in vars().items()
        if getattr(value, "__module__", "").startswith("taylored.losses.")
    ]
