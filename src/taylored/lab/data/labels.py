"""Class labels of any plain kind as the numbers 0 .. C-1."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from taylored.lab.data.checks import some
from taylored.lab.data.errors import DataError


def encode_labels(
    where: str, values: Sequence[object]
) -> tuple[npt.NDArray[np.int64], tuple[str, ...]]:
    """Number the distinct values in ascending order; their text is the class name.

    Whole numbers (also stored as floats), booleans or text; one kind only. `where` opens the
    error message.

    >>> encode_labels("labels", ["cat", "ant", "cat"])
    (array([1, 0, 1]), ('ant', 'cat'))
    """
    distinct = set(values)
    if all(isinstance(value, float) for value in distinct):
        fractions = [value for value in distinct if not float(str(value)).is_integer()]
        if fractions:
            raise DataError(
                f"{where} must be classes, but holds numbers with fractions or NaN such as "
                f"{some(sorted(map(str, fractions)))}. Cut a continuous target into classes first"
            )
        values = [int(float(str(value))) for value in values]
        distinct = set(values)
    kinds = {type(value) for value in distinct}
    if len(kinds) != 1 or not kinds <= {int, bool, str}:
        raise DataError(
            f"{where} must hold whole numbers or text, one kind only, "
            f"got {some(sorted(kind.__name__ for kind in kinds)) or 'nothing'}"
        )
    ordered = sorted(distinct)  # type: ignore[type-var]  # one kind, checked above
    number = {value: index for index, value in enumerate(ordered)}
    labels = np.array([number[value] for value in values], dtype=np.int64)
    return labels, tuple(str(value) for value in ordered)
