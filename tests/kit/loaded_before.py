"""What programs of the lab import when they need it, imported once for all copies of a process."""

import jinja2  # noqa: F401
import matplotlib.backends.backend_svg  # noqa: F401
import pandas as pd  # noqa: F401
import scipy.stats  # noqa: F401
import sklearn.metrics  # noqa: F401
import typer  # noqa: F401
