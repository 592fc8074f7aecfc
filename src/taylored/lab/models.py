"""The built-in models, and the user's own model by `module:function`."""

from collections.abc import Sequence
from math import prod
from typing import Final, Literal

import torch
from torch import nn

from taylored.lab.errors import UsageError
from taylored.lab.user_code import is_reference, load_reference

MODELS: Final = ("linear", "mlp", "cnn")


def choose_model(model: str, kind: Literal["vector", "image"]) -> str:
    """The model to use: `auto` means an MLP for vectors and a small CNN for images."""
    if model == "auto":
        return "cnn" if kind == "image" else "mlp"
    if model not in MODELS and not is_reference(model):
        raise UsageError(
            f"model: {model!r} is unknown. Use auto, {', '.join(MODELS)}, or module:function "
            "for your own (called with input_shape and num_classes)."
        )
    if model == "cnn" and kind != "image":
        raise UsageError("model: cnn needs images, this data has vectors. Use mlp or linear.")
    return model


def build_model(model: str, input_shape: Sequence[int], num_classes: int) -> nn.Module:
    """A fresh model with random weights from torch's global generator.

    `input_shape` is the shape of one sample: (features,) or (channels, height, width).
    """
    if model == "linear":
        return nn.Sequential(nn.Flatten(), nn.Linear(prod(input_shape), num_classes))
    if model == "mlp":
        return nn.Sequential(
            nn.Flatten(),
            nn.Linear(prod(input_shape), 256),
            nn.ReLU(),
            nn.Linear(256, 256),
            nn.ReLU(),
            nn.Linear(256, num_classes),
        )
    if model == "cnn":
        return _small_cnn(input_shape[0], num_classes)
    return _own_model(model, input_shape, num_classes)


def check_model(model: str, input_shape: Sequence[int], num_classes: int) -> None:
    """Refuse a model that cannot be trained on this data, before any time is spent on it."""
    if not is_reference(model):
        return
    state = torch.random.get_rng_state()
    built = build_model(model, input_shape, num_classes)
    if not any(parameter.requires_grad for parameter in built.parameters()):
        raise UsageError(f"model: {model} has no parameters to train.")
    try:
        output = built(torch.randn(2, *input_shape))
    except Exception as error:  # the user's forward may raise anything
        raise UsageError(
            f"model: {model} fails on an input of shape {(2, *input_shape)}: "
            f"{type(error).__name__}: {error}"
        ) from error
    finally:
        torch.random.set_rng_state(state)
    if not isinstance(output, torch.Tensor) or output.shape != (2, num_classes):
        got = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        raise UsageError(
            f"model: {model} must return logits of shape (batch, {num_classes}); "
            f"for a batch of 2 it returned {got}."
        )


def _small_cnn(channels: int, num_classes: int) -> nn.Module:
    def block(inputs: int, outputs: int) -> list[nn.Module]:
        return [
            nn.Conv2d(inputs, outputs, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, ceil_mode=True),
        ]

    return nn.Sequential(
        *block(channels, 16),
        *block(16, 32),
        nn.Conv2d(32, 64, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(256, num_classes),
    )


def _own_model(model: str, input_shape: Sequence[int], num_classes: int) -> nn.Module:
    factory = load_reference(model)
    if not callable(factory):
        raise UsageError(f"model: {model} is not callable. Name a function that returns a Module.")
    try:
        built = factory(tuple(input_shape), num_classes)
    except Exception as error:  # the user's function may raise anything
        raise UsageError(
            f"model: {model}({tuple(input_shape)}, {num_classes}) failed: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not isinstance(built, nn.Module):
        raise UsageError(f"model: {model} must return an nn.Module, not {type(built).__name__}.")
    return built
