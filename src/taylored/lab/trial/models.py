"""The built-in models, and the user's own model by `module:function`."""

from collections.abc import Callable, Sequence
from math import log, prod
from typing import Final

import torch
from torch import nn

from taylored.lab.data import Kind, TaskName
from taylored.lab.errors import UsageError, described
from taylored.lab.own.code import given_arguments, is_own, load_own
from taylored.lab.own.settings import ProcessSettings
from taylored.layers import CosineClassifier
from taylored.own import FAILURES

_FOR_IMAGES: Final = ("cnn", "grid_cnn")


def choose_model(model: str, kind: Kind, task: TaskName) -> str:
    """The model to use: `auto` means an MLP for vectors and a small CNN for images.

    The CNN for one class averages over quarters of the image. Hundreds of labels cannot be told
    apart from such averages, so that many labels per image get a CNN that keeps a finer grid.
    """
    if model == "auto":
        images = "cnn" if task == "single-label" else "grid_cnn"
        return images if kind == "image" else "mlp"
    if model not in MODELS and not is_own(model):
        raise UsageError(
            f"model: {model!r} is unknown. Use auto, {', '.join(MODELS)}, or module:function "
            "for your own (called with input_shape and num_classes)."
        )
    if model in _FOR_IMAGES and kind != "image":
        raise UsageError(f"model: {model} needs images, this data has vectors. Use mlp or linear.")
    return model


def build_model(
    model: str,
    input_shape: Sequence[int],
    num_classes: int,
    *,
    head: str = "linear",
) -> nn.Module:
    """A fresh model with random weights from torch's global generator.

    `input_shape` is the shape of one sample: (features,) or (channels, height, width). With the
    "cosine" `head` the last layer of a built-in model is a `CosineClassifier`. Your own model stays
    as it is.
    """
    if is_own(model):
        return _own_model(model, input_shape, num_classes)
    built = _BUILTIN[model](input_shape, num_classes)
    last = built[-1]
    if head == "cosine" and isinstance(last, nn.Linear):
        built[-1] = CosineClassifier(last.in_features, last.out_features)
    return built


def predict_share(model: nn.Module, share: float) -> None:
    """Let a built-in model start by predicting the probability `share` for every class.

    Losses of the sigmoid link need it (Lin et al., Focal Loss for Dense Object Detection, ICCV
    2017, section 4.1): without it, a short training is spent on learning that nearly every class is
    absent. It draws no random number. A model whose last layer is not linear stays as it is.
    """
    last = model[-1] if isinstance(model, nn.Sequential) else None
    if isinstance(last, nn.Linear):
        share = min(max(share, 1e-3), 1 - 1e-3)
        nn.init.constant_(last.bias, log(share / (1 - share)))


def check_model(model: str, input_shape: Sequence[int], num_classes: int) -> None:
    """Refuse a model that cannot be trained on this data, before any time is spent on it."""
    if not is_own(model):
        return
    state = torch.random.get_rng_state()
    settings = ProcessSettings.current()
    built = build_model(model, input_shape, num_classes)
    settings.restore()  # as before a training
    if not any(parameter.requires_grad for parameter in built.parameters()):
        raise UsageError(f"model: {model} has no parameters to train.")
    try:
        output = built(torch.randn(2, *input_shape))
    except FAILURES as error:
        raise UsageError(
            f"model: {model} fails on an input of shape {(2, *input_shape)}: {described(error)}"
        ) from error
    finally:
        torch.random.set_rng_state(state)
    if not isinstance(output, torch.Tensor) or output.shape != (2, num_classes):
        got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise UsageError(
            f"model: {model} must return logits of shape (batch, {num_classes}); "
            f"for a batch of 2 it returned {got}."
        )


def _linear(input_shape: Sequence[int], num_classes: int) -> nn.Sequential:
    return nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), num_classes))


def _mlp(input_shape: Sequence[int], num_classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(prod(input_shape), 256),
        nn.ReLU(),
        nn.Linear(256, 256),
        nn.ReLU(),
        nn.Linear(256, num_classes),
    )


def _small_cnn(input_shape: Sequence[int], num_classes: int) -> nn.Sequential:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        ]

    return nn.Sequential(
        *block(input_shape[0], 16),
        *block(16, 32),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(256, num_classes),
    )


def _grid_cnn(input_shape: Sequence[int], num_classes: int) -> nn.Sequential:
    def block(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
        ]

    return nn.Sequential(
        *block(input_shape[0], 16, stride=2),
        *block(16, 32, stride=1),
        nn.AvgPool2d(2, ceil_mode=True),
        *block(32, 64, stride=1),
        nn.AdaptiveAvgPool2d(4),
        nn.Flatten(),
        nn.BatchNorm1d(1024),
        nn.Linear(1024, num_classes),
    )


_BUILTIN: Final[dict[str, Callable[[Sequence[int], int], nn.Sequential]]] = {
    "linear": _linear,
    "mlp": _mlp,
    "cnn": _small_cnn,
    "grid_cnn": _grid_cnn,
}
MODELS: Final = tuple(_BUILTIN)


def _own_model(model: str, input_shape: Sequence[int], num_classes: int) -> nn.Module:
    factory, given = load_own(model), given_arguments(model)
    if not callable(factory):
        raise UsageError(f"model: {model} is not callable. Name a function that returns a Module.")
    if given is not None and given.positional:
        raise UsageError(
            f"model: {model} is called with input_shape and num_classes first. Name the other "
            "arguments, as in 'my_models:net(width=64)'."
        )
    try:
        built = factory(tuple(input_shape), num_classes, **({} if given is None else given.named))
    except FAILURES as error:
        raise UsageError(
            f"model: {model}({tuple(input_shape)}, {num_classes}) failed: {described(error)}"
        ) from error
    if not isinstance(built, nn.Module):
        raise UsageError(f"model: {model} must return an nn.Module, not {type(built).__name__}.")
    return built
