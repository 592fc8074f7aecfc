"""The losses by name: strings that build them, and what is known about each.

`get("class_balanced(focal(gamma=2), beta=0.999)")` builds a loss from a string, which is parsed and
never evaluated. The repr of a loss is such a string.
"""

from taylored.catalog.certificates import certify as certify
from taylored.catalog.lookup import formula as formula
from taylored.catalog.lookup import get as get
from taylored.catalog.lookup import head as head
from taylored.catalog.lookup import links as links
from taylored.catalog.lookup import names as names
from taylored.catalog.lookup import needs as needs
from taylored.catalog.lookup import parts as parts
from taylored.catalog.lookup import search as search
from taylored.catalog.lookup import spec as spec
from taylored.catalog.lookup import takes as takes
from taylored.catalog.parser import LossNameError as LossNameError
from taylored.catalog.table import SPECS as SPECS
