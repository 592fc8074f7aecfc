"""The fingerprint of a data set, which is equal for equal content."""

import hashlib

import numpy as np

from taylored.lab.data.dataset import Dataset


def fingerprint(dataset: Dataset) -> str:
    """SHA-256 over features, labels, class names and given split, as 64 hexadecimal digits.

    It is equal on every platform. The name of the data set is left out: a renamed file keeps
    its fingerprint.
    """
    digest = hashlib.sha256(b"taylored dataset 1")
    stored = "<i8" if dataset.task == "single-label" else "|i1"
    arrays = [dataset.features.astype("<f4", copy=False), dataset.labels.astype(stored, copy=False)]
    if dataset.split is not None:
        arrays.append(dataset.split.astype("<i8", copy=False))
    for array in arrays:
        digest.update(repr((array.dtype.str, array.shape)).encode())
        digest.update(np.ascontiguousarray(array).data)
    # Lengths first: ("ab", "c") and ("a", "bc") must differ.
    for name in (dataset.kind, *dataset.class_names):
        encoded = name.encode()
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    return digest.hexdigest()
