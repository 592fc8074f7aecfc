"""The report: one self-contained page about a comparison."""

from __future__ import annotations

from taylored.lab.report.page import render

__all__ = ["render"]
