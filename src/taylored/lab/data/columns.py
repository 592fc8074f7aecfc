"""What a column of a table is, and its encoding as numbers, learnt from training rows alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import numpy.typing as npt

from taylored.lab.data.optional import require

if TYPE_CHECKING:
    from sklearn.compose import ColumnTransformer

RARE: Final = 5
"""Training rows that a category needs to have a column of its own; the others share one."""
MAX_LEVELS: Final = 50
"""Categories of one column that have a column of their own, the most frequent ones."""


@dataclass(frozen=True)
class Column:
    """One column of the features of a table.

    A number is missing where it is NaN. A category is the position of its text in `levels`.
    `source` is the column of the file that it was made of, and `how` says in which way, so that new
    rows can be read alike: `taylored.lab.data.tables.new_rows` knows the words.
    """

    name: str
    kind: Literal["number", "category"]
    levels: tuple[str, ...] = ()
    source: str = ""
    how: str = ""


def encode(
    columns: Sequence[Column],
    features: npt.NDArray[np.floating[Any]],
    training: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float64]:
    """The rows as numbers without gaps; medians and categories are those of the training rows.

    Shape:
        features (N, columns), training (N,); returns (N, D), float64. D depends on the categories
        and gaps of the training rows.
    """
    if not np.isnan(features).any() and all(column.kind == "number" for column in columns):
        return features.astype(np.float64, copy=False)
    encoder = fit_encoder(columns, features[training])
    encoded: npt.NDArray[np.float64] = encoder.transform(_coded(columns, features))
    return encoded


def fit_encoder(
    columns: Sequence[Column], training: npt.NDArray[np.floating[Any]]
) -> "ColumnTransformer":
    """The encoder learnt from the training rows.

    A missing number becomes the median, and a column of its own says where that was done. A
    category becomes one column per text that is frequent enough, and one for the rest; a text that
    training lacks counts as rare. A missing category is a category.
    """
    compose = require("sklearn.compose", extra="lab", purpose="A table with gaps or texts")
    imputing = require("sklearn.impute", extra="lab", purpose="A table with gaps or texts")
    coding = require("sklearn.preprocessing", extra="lab", purpose="A table with gaps or texts")
    numbers = [place for place, column in enumerate(columns) if column.kind == "number"]
    categories = [place for place, column in enumerate(columns) if column.kind == "category"]
    encoder: ColumnTransformer = compose.ColumnTransformer(
        [
            (
                "numbers",
                imputing.SimpleImputer(
                    strategy="median", add_indicator=True, keep_empty_features=True
                ),
                numbers,
            ),
            (
                "categories",
                coding.OneHotEncoder(
                    min_frequency=RARE,
                    max_categories=MAX_LEVELS + 1,
                    handle_unknown="infrequent_if_exist",
                    sparse_output=False,
                ),
                categories,
            ),
        ],
        sparse_threshold=0.0,
    )
    encoder.fit(_coded(columns, training))
    return encoder


def _coded(
    columns: Sequence[Column], features: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float64]:
    """Missing categories as a category of their own, -1."""
    coded = features.astype(np.float64)
    for place, column in enumerate(columns):
        if column.kind == "category":
            coded[np.isnan(features[:, place]), place] = -1.0
    return coded
