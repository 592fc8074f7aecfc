"""Data for comparing losses: built-in long tails, tables, arrays and folders of images."""

from taylored.lab.data.builtin.loaders import builtin_names
from taylored.lab.data.dataset import (
    TEST,
    TRAIN,
    VALIDATION,
    Dataset,
    DatasetCard,
    Kind,
    Labels,
    TaskName,
    count_labels,
)
from taylored.lab.data.errors import DataError
from taylored.lab.data.groups import GROUPS, Group, class_groups, group_rule
from taylored.lab.data.identity import fingerprint
from taylored.lab.data.loading import load
from taylored.lab.data.splits import Split, make_split

__all__ = [
    "GROUPS",
    "TEST",
    "TRAIN",
    "VALIDATION",
    "DataError",
    "Dataset",
    "DatasetCard",
    "Group",
    "Kind",
    "Labels",
    "Split",
    "TaskName",
    "builtin_names",
    "class_groups",
    "count_labels",
    "fingerprint",
    "group_rule",
    "load",
    "make_split",
]
