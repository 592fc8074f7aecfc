"""The same losses from other libraries, each called in the fastest way it offers.

A peer that is not installed is skipped. "hand-written" is what one would write from torch's own
parts: cross-entropy per position, p = exp(-nll), and the formula of p.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

import torch.nn.functional as F
from torch import Tensor

Loss = Callable[[Tensor, Tensor], Tensor]
DISTRIBUTIONS = ("torch", "torchvision", "timm", "kornia", "monai", "segmentation-models-pytorch")


@dataclass(frozen=True)
class Peer:
    """A loss of another library.

    Attributes:
        library: as shown in the tables.
        build: imports the library and makes the loss.
        rows_only: it takes logits (N, C) alone.
    """

    library: str
    build: Callable[[], Loss]
    rows_only: bool = False

    @property
    def distribution(self) -> str:
        """What has to be installed."""
        return {"hand-written": "torch", "smp": "segmentation-models-pytorch"}.get(
            self.library, self.library
        )


def installed(distribution: str) -> str | None:
    """The version, or None."""
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def torchvision_focal() -> Loss:
    from torchvision.ops import sigmoid_focal_loss

    return lambda x, y: sigmoid_focal_loss(x, y, alpha=0.25, gamma=2.0, reduction="mean")


def timm_sigmoid(epsilon: float) -> Callable[[], Loss]:
    def build() -> Loss:
        from timm.loss import PolyBinaryCrossEntropy

        return PolyBinaryCrossEntropy(epsilon=epsilon, gamma=2.0, alpha=0.25)

    return build


def timm_poly() -> Loss:
    from timm.loss import PolyCrossEntropy

    return PolyCrossEntropy(epsilon=2.0)


def timm_smoothing() -> Loss:
    from timm.loss import LabelSmoothingCrossEntropy

    return LabelSmoothingCrossEntropy(smoothing=0.1)


def kornia_sigmoid_focal() -> Loss:
    from kornia.losses import binary_focal_loss_with_logits

    return lambda x, y: binary_focal_loss_with_logits(x, y, alpha=0.25, gamma=2.0, reduction="mean")


def kornia_focal() -> Loss:
    from kornia.losses import focal_loss

    # Not reduction="none": the sum has a path of its own that skips the full-size buffers.
    return lambda x, y: focal_loss(x, y, alpha=None, gamma=2.0, reduction="sum") / y.numel()


def monai_sigmoid_focal() -> Loss:
    from monai.losses import FocalLoss

    return FocalLoss(gamma=2.0, alpha=0.25)


def monai_focal() -> Loss:
    from monai.losses import FocalLoss

    loss = FocalLoss(gamma=2.0, use_softmax=True, to_onehot_y=True)
    return lambda x, y: loss(x, y.unsqueeze(1)) * x.shape[1]  # its mean divides by classes too


def smp_sigmoid_focal() -> Loss:
    from segmentation_models_pytorch.losses import FocalLoss

    # "multilabel" is the same in a loop over the classes.
    return FocalLoss(mode="binary", gamma=2.0, alpha=0.25)


def smp_smoothing() -> Loss:
    from segmentation_models_pytorch.losses import SoftCrossEntropyLoss

    return SoftCrossEntropyLoss(smooth_factor=0.1, ignore_index=None)


def smp_binary() -> Loss:
    from segmentation_models_pytorch.losses import SoftBCEWithLogitsLoss

    return SoftBCEWithLogitsLoss(ignore_index=None)


def torch_smoothing() -> Loss:
    return lambda x, y: F.cross_entropy(x, y, label_smoothing=0.1)


def written(formula: Callable[[Tensor, Tensor], Tensor]) -> Callable[[], Loss]:
    """A function of (nll, q) over torch's cross-entropy."""

    def build() -> Loss:
        def loss(x: Tensor, y: Tensor) -> Tensor:
            nll = F.cross_entropy(x, y, reduction="none")
            return formula(nll, 1 - (-nll).exp()).mean()

        return loss

    return build


PEERS = {
    "sigmoid focal": (
        Peer("torchvision", torchvision_focal),
        Peer("timm", timm_sigmoid(0.0), rows_only=True),
        Peer("kornia", kornia_sigmoid_focal),
        Peer("monai", monai_sigmoid_focal),
        Peer("smp", smp_sigmoid_focal),
    ),
    "sigmoid Poly focal": (Peer("timm", timm_sigmoid(1.0), rows_only=True),),
    "binary cross-entropy": (
        Peer("torch", lambda: F.binary_cross_entropy_with_logits),
        Peer("smp", smp_binary),
    ),
    "cross-entropy": (Peer("torch", lambda: F.cross_entropy),),
    "Poly-1": (
        Peer("hand-written", written(lambda nll, q: nll + 2 * q)),
        Peer("timm", timm_poly, rows_only=True),
    ),
    "Poly-3": (Peer("hand-written", written(lambda nll, q: nll + q * (2 + q * (1 + q * 0.5)))),),
    "focal": (
        Peer("hand-written", written(lambda nll, q: q * q * nll)),
        Peer("kornia", kornia_focal),
        Peer("monai", monai_focal),
    ),
    "label smoothing": (
        Peer("torch", torch_smoothing),
        Peer("timm", timm_smoothing, rows_only=True),
        Peer("smp", smp_smoothing),
    ),
}
