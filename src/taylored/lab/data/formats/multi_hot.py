"""Check the multi-hot labels of the user and make them int8."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from taylored.lab.data.errors import DataError


def read_multi_hot(
    where: str, values: npt.NDArray[Any], rows: int, names: Sequence[str] | None
) -> tuple[npt.NDArray[np.int8], tuple[str, ...]]:
    """One row per sample, one column per label, 1 where the sample has it; and the labels' names.

    Without `names` a label is called by the number of its column. Labels with one 1 in every
    row are refused: they are one class per sample, which is another task with other losses. `where`
    opens the error message.

    >>> read_multi_hot("labels", np.array([[True, True], [False, True]]), 2, None)
    (array([[1, 1],
           [0, 1]], dtype=int8), ('0', '1'))
    """
    if values.ndim != 2 or len(values) != rows or values.shape[1] < 2:
        raise DataError(
            f"{where} must have shape ({rows},) with one class per row of features, or "
            f"({rows}, at least 2) with 0 or 1 for each label, got {values.shape}"
        )
    if names is not None and len(names) != values.shape[1]:
        raise DataError(
            f"{where}: {len(names)} class_names for {values.shape[1]} columns. "
            "Give one name per column"
        )
    if values.dtype.kind not in "biuf":
        raise DataError(f"{where} with several columns must hold 0 or 1, got {values.dtype}")
    if not np.isin(values, (0, 1)).all():
        raise DataError(
            f"{where} with several columns must hold 0 or 1, got values from "
            f"{values.min()} to {values.max()}. Cut scores first: labels >= 0.5"
        )
    hot = values.astype(np.int8)
    if (hot.sum(axis=1) == 1).all():
        raise DataError(
            f"{where} are one-hot: every row has exactly one class. "
            "For one-hot labels save labels.argmax(axis=1)"
        )
    return hot, tuple(names or map(str, range(hot.shape[1])))
