"""What is equal: the fingerprint of a data set, and rows that are copies of each other."""

import hashlib

import numpy as np
import numpy.typing as npt

from taylored.lab.data.dataset import Dataset, Features


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 over features, labels, class names, given split and groups, as 64 hexadecimal digits.

    It is equal on every platform. The name of the data set is left out: a renamed file keeps
    its fingerprint.
    """
    digest = hashlib.sha256(b"taylored dataset 1")
    stored = "<i8" if dataset.task == "single-label" else "|i1"
    wanted = "<f8" if dataset.columns else "<f4"
    arrays = [
        dataset.features.astype(wanted, copy=False),
        dataset.labels.astype(stored, copy=False),
    ]
    for numbers in (dataset.split, dataset.groups):
        if numbers is not None:
            arrays.append(numbers.astype("<i8", copy=False))
    for array in arrays:
        digest.update(repr((array.dtype.str, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).data)
    described = [text for c in dataset.columns for text in (c.name, c.kind, *c.levels)]
    # Lengths first: ("ab", "c") and ("a", "bc") must differ.
    for name in (dataset.kind, *dataset.class_names, *described):
        encoded = name.encode("utf-8", "surrogatepass")  # a name that is no valid text
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()


def equal_rows(features: Features) -> npt.NDArray[np.int64] | None:
    """The same number for equal rows, 0, 1, ... in order of appearance; None if all differ.

    >>> equal_rows(np.array([[1.0], [2.0], [1.0]]))
    array([0, 1, 0])
    """
    known: dict[bytes, int] = {}
    groups = np.empty(len(features), dtype=np.int64)
    for row, values in enumerate(features):
        # Adding zero makes one of the two zeros; all NaN that are read here have the same bits.
        content = hashlib.blake2b((values + 0.0).tobytes(), digest_size=16).digest()
        groups[row] = known.setdefault(content, len(known))
    return groups if len(known) < len(features) else None


def join_groups(
    first: npt.NDArray[np.int64], second: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Groups in which all rows are together that are so in either.

    >>> join_groups(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2]))
    array([0, 0, 0, 1])
    """
    parent = list(range(len(first)))

    def root(row: int) -> int:
        while parent[row] != row:
            parent[row] = parent[parent[row]]
            row = parent[row]
        return row

    for groups in (first, second):
        seen: dict[int, int] = {}
        for row, group in enumerate(groups.tolist()):
            parent[root(row)] = root(seen.setdefault(group, row))
    roots = [root(row) for row in range(len(first))]
    number: dict[int, int] = {}
    return np.array([number.setdefault(row, len(number)) for row in roots], dtype=np.int64)
