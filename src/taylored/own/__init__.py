"""Somebody's own code by name, `module:Loss(gamma=2)` or `path/file.py:Loss`: read and imported."""

from taylored.own.failures import FAILURES as FAILURES
from taylored.own.failures import OwnCodeError as OwnCodeError
from taylored.own.failures import described as described
from taylored.own.imported import found_of as found_of
from taylored.own.imported import is_installed as is_installed
from taylored.own.loss import OwnLoss as OwnLoss
from taylored.own.loss import own_loss as own_loss
from taylored.own.reference import Arguments as Arguments
from taylored.own.reference import Reference as Reference
from taylored.own.reference import is_reference as is_reference
