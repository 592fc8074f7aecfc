"""Data for comparing losses: built-in long tails, tables, arrays and folders of images."""

from taylored.lab.data.builtin.loaders import builtin_names
from taylored.lab.data.columns import Column, encode, fit_encoder
from taylored.lab.data.dataset import (
    TEST,
    TRAIN,
    VALIDATION,
    Dataset,
    DatasetCard,
    Features,
    Kind,
    Labels,
    TaskName,
    count_labels,
)
from taylored.lab.data.errors import DataError
from taylored.lab.data.groups import GROUPS, Group, class_groups, group_rule
from taylored.lab.data.identity import fingerprint
from taylored.lab.data.loading import from_frame, load
from taylored.lab.data.reading import Reading
from taylored.lab.data.splits import FOLDS, draw_folds, parts_of

__all__ = [
    "FOLDS",
    "GROUPS",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "Column",
    "DataError",
    "Dataset",
    "DatasetCard",
    "Features",
    "Group",
    "Kind",
    "Labels",
    "Reading",
    "TaskName",
    "builtin_names",
    "class_groups",
    "count_labels",
    "draw_folds",
    "encode",
    "fingerprint",
    "fit_encoder",
    "from_frame",
    "group_rule",
    "load",
    "parts_of",
]
