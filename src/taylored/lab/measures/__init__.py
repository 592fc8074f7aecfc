"""Metrics of one loss on rows that it was not trained on, with one pseudo-value per row."""

from taylored.lab.measures.binary import Binary, binary
from taylored.lab.measures.calibration import Calibration, ReliabilityBin, calibration
from taylored.lab.measures.measure import measure, measure_decisions, metrics_of
from taylored.lab.measures.measured import Measured, Rows
from taylored.lab.measures.tested import Tested

__all__ = [
    "Binary",
    "Calibration",
    "Measured",
    "ReliabilityBin",
    "Rows",
    "Tested",
    "binary",
    "calibration",
    "measure",
    "measure_decisions",
    "metrics_of",
]
