"""Data for comparing losses: built-in long tails, tables, arrays and folders of images."""

from taylored.lab.data.builtin.names import builtin_names
from taylored.lab.data.dataset import Dataset, DatasetCard, Labels, TaskName, count_labels
from taylored.lab.data.errors import DataError
from taylored.lab.data.groups import class_groups, group_rule
from taylored.lab.data.identity import fingerprint
from taylored.lab.data.loading import load
from taylored.lab.data.splits import Split, make_split

__all__ = [
    "DataError",
    "Dataset",
    "DatasetCard",
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
