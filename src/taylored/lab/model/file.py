"""The file of a model: tensors and JSON, and nothing that runs when it is read."""

import json
import os
import pickle
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final
from zipfile import BadZipFile

import torch
from torch import Tensor, nn

from taylored.lab.errors import UsageError, described
from taylored.lab.model.card import ModelCard
from taylored.lab.model.decision import Deployed
from taylored.lab.model.preparation import Preparation
from taylored.lab.model.saved import SavedModel
from taylored.lab.records import from_json, to_json
from taylored.lab.trial.models import MODELS, build_model
from taylored.own import FAILURES

FORMAT: Final = "taylored model 1"
_NO_MODEL: Final = (
    RuntimeError,
    ValueError,
    EOFError,
    KeyError,
    BadZipFile,
    pickle.UnpicklingError,
)
Tensors = Mapping[str, Tensor]


def load_model(
    path: str | os.PathLike[str], model: Callable[..., nn.Module] | None = None
) -> SavedModel:
    """Read a model that `Comparison.save_model` has written.

    The file holds tensors and JSON: reading it runs no code of it and imports nothing that it
    names. For a model of your own, give the function that builds it.

    Args:
        path: the file.
        model: the function (input_shape, num_classes) -> nn.Module that the comparison was given,
            or that its name stood for; built-in models need none.

    Returns:
        The model: `predict`, `posterior`, `classes`, `export`.

    Raises:
        UsageError: for a file that is no such model, or that needs ``model``.

    Example:
        >>> model = lab.load_model("winner.model")  # doctest: +SKIP
        >>> model.predict(new_rows)  # doctest: +SKIP

    """
    content = _content(Path(path).expanduser())
    try:
        card = from_json(ModelCard, json.loads(content["card"]), "card")
        tensors = {key: content[key] for key in ("weights", "loss", "numbers")}
    except (ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"path: {path} is damaged, or from another version of taylored ({error})."
        ) from error
    return assembled(card, tensors, model)


def save(path: Path, card: ModelCard, tensors: Mapping[str, Tensors]) -> None:
    """Write the file, whole or not at all."""
    content = {"format": FORMAT, "card": json.dumps(to_json(card), sort_keys=True), **tensors}
    try:
        handle, name = tempfile.mkstemp(prefix=".", suffix=".tmp", dir=path.parent)
        temporary = Path(name)
        try:
            with os.fdopen(handle, "wb") as stream:
                torch.save(content, stream)
            temporary.chmod(0o644)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"path: {path} cannot be written ({error.strerror}).") from error


def assembled(
    card: ModelCard,
    tensors: Mapping[str, Tensors],
    model: Callable[..., nn.Module] | None = None,
) -> SavedModel:
    """The model that a card and its tensors describe."""
    network = _network(card, model)
    try:
        network.load_state_dict(dict(tensors["weights"]))
        preparation = Preparation(card.columns, card.encoding, tensors["numbers"])
        deployed = Deployed(preparation, network, card, tensors["loss"])
    except (RuntimeError, KeyError, AttributeError, TypeError) as error:
        raise UsageError(
            f"path: the weights do not fit the model {card.model} ({error})."
        ) from error
    return SavedModel(card, deployed.eval())


def _network(card: ModelCard, model: Callable[..., nn.Module] | None) -> nn.Module:
    classes = len(card.class_names)
    if card.model in MODELS:
        if model is not None:
            raise UsageError(f"model: the file has the built-in model {card.model}. Leave it out.")
        return build_model(card.model, card.input_shape, classes, head=card.head)
    if not callable(model):
        raise UsageError(
            f"model: the file has weights of your own model, {card.model}, and no code. Give the "
            f"function that builds it: lab.load_model(path, model=function), which is called with "
            f"{card.input_shape} and {classes}."
        )
    try:
        built = model(card.input_shape, classes)
    except FAILURES as error:
        raise UsageError(
            f"model: it failed on {card.input_shape} and {classes}: {described(error)}"
        ) from error
    if not isinstance(built, nn.Module):
        raise UsageError(f"model: it must return an nn.Module, not {type(built).__name__}.")
    return built


def _content(path: Path) -> dict[str, Any]:
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except (
        RuntimeError,
        ValueError,
        EOFError,
        KeyError,
        BadZipFile,
        pickle.UnpicklingError,
    ) as error:
        raise UsageError(
            f"path: {path} is no model that save_model has written ({type(error).__name__})."
        ) from error
    except OSError as error:
        raise UsageError(f"path: {path} cannot be read ({error.strerror}).") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UsageError(f"path: {path} is no model that save_model has written.")
    return content
