"""Losses of real numbers."""
