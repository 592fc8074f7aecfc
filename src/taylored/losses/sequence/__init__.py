"""Losses of sequences that are not aligned with their targets."""
