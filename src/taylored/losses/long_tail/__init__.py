"""Losses for classes of very different frequency."""
