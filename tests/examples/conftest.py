"""The examples are scripts beside each other, found the way Python finds them when one is run."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "examples"))
