"""Losses of all classes of a position at once."""
