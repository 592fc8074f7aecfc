"""The losses of the catalogue, by the base that says how they are called."""

from __future__ import annotations

from taylored import catalog
from taylored.modules.classification import ClassificationLoss
from taylored.modules.embeddings import EmbeddingLoss
from taylored.modules.overlap.base import OverlapLoss
from taylored.modules.values import ValueLoss

CLASSIFICATION = {
    name: spec
    for name, spec in catalog.SPECS.items()
    if issubclass(spec.module, ClassificationLoss)
}
VALUES = {name: spec for name, spec in catalog.SPECS.items() if issubclass(spec.module, ValueLoss)}
OVERLAP = {
    name: spec for name, spec in catalog.SPECS.items() if issubclass(spec.module, OverlapLoss)
}
EMBEDDINGS = {
    name: spec for name, spec in catalog.SPECS.items() if issubclass(spec.module, EmbeddingLoss)
}
