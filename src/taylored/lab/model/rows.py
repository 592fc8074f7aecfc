"""Rows that a model is asked about, read as its data were read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data import DataError
from taylored.lab.data.backbone import features_of as backbone_features
from taylored.lab.data.formats.pixels import read_picture
from taylored.lab.data.optional import require
from taylored.lab.data.tables.new_rows import features_of
from taylored.lab.data.tables.raw import RawTable, from_frame, read_parquet, read_text_table
from taylored.lab.data.tables.understand import MISSING
from taylored.lab.errors import UsageError
from taylored.lab.model.card import ModelCard

Values = npt.NDArray[np.float64]


def read_rows(rows: Any, card: ModelCard) -> Values:
    """The rows as numbers, in the shape in which the data of the model were read."""
    if card.columns and card.columns[0].how != "position":
        na = card.reading.na
        return features_of(card.columns, _table(rows, card), MISSING if na is None else na)
    backbone = card.reading.backbone
    images = card.kind == "image" or backbone is not None
    pictures = _pictures(rows, card) if images and isinstance(rows, list) else None
    values = _array(rows) if pictures is None else pictures
    if backbone is not None and values.ndim == 4:
        values = backbone_features(values.astype(np.float32), backbone).astype(np.float64)
    if card.columns:  # vectors with gaps, of which columns without any value were left out
        places = [int(column.source) for column in card.columns]
        if values.ndim != 2 or values.shape[1] <= max(places):
            raise UsageError(
                f"rows must be (N, {max(places) + 1}) or wider, as the training data, got "
                f"{values.shape}."
            )
        return values[:, places]
    if values.ndim == 3 and card.kind == "image":
        values = values[:, None]
    if values.shape[1:] != card.read_shape:
        wanted = ", ".join(map(str, card.read_shape))
        raise UsageError(f"rows must be (N, {wanted}), as the training data, got {values.shape}.")
    if not np.isfinite(values).all():
        raise UsageError("rows hold NaN or infinite values, which the training data did not.")
    return values


def _table(rows: Any, card: ModelCard) -> RawTable:
    if isinstance(rows, str | Path):
        path = Path(rows).expanduser()
        if path.suffix.lower() in (".parquet", ".pq"):
            return read_parquet(path, None)
        return read_text_table(path, card.reading, None)
    pandas = require("pandas", extra="lab", purpose="Reading rows of a table")
    if isinstance(rows, Mapping) and not any(np.ndim(value) for value in rows.values()):
        rows = [rows]  # one row
    if not isinstance(rows, pandas.DataFrame):
        try:
            rows = pandas.DataFrame(rows)
        except (ValueError, TypeError) as error:
            raise UsageError(
                "rows must be a data frame with the columns of the training data, a list of "
                f"dictionaries, or the path of a table, got {type(rows).__name__} ({error})."
            ) from error
    return from_frame(rows, "rows", None)


def _pictures(rows: list[Any], card: ModelCard) -> Values | None:
    """Images by path or from Pillow, resized as those that the model was trained on."""
    if not rows or not all(isinstance(r, str | Path) or hasattr(r, "getbands") for r in rows):
        return None
    channels, size = 3, card.reading.side
    if card.reading.backbone is None:
        channels, size, _ = card.read_shape
    pillow = require("PIL.Image", extra="vision", purpose="Reading images")
    found = []
    for row in rows:
        try:
            if isinstance(row, str | Path):
                with pillow.open(row) as image:
                    picture = read_picture(image, size)
            else:
                picture = read_picture(row, size)
        except OSError as error:
            raise UsageError(f"rows: {row} cannot be read as an image ({error}).") from error
        if picture.deep or len(picture.values) > channels:
            what = "more than 8 bits" if picture.deep else "colours"
            raise UsageError(
                f"rows: {row} has {what}, which the training data had not. Give arrays scaled as "
                f"those, of shape (N, {channels}, {size}, {size})."
            )
        found.append(np.broadcast_to(picture.values, (channels, size, size)))
    return np.stack(found).astype(np.float64)


def _array(rows: Any) -> Values:
    if hasattr(rows, "detach"):
        rows = rows.detach().cpu()
    try:
        values = np.asarray(rows)
        if values.dtype.kind not in "fiub":
            raise TypeError(f"dtype {values.dtype}")
        return values.astype(np.float64)
    except (ValueError, TypeError, DataError) as error:
        raise UsageError(
            f"rows must be numbers, as the training data, got {type(rows).__name__} ({error})."
        ) from error
