"""Losses that follow how well each class is known so far."""
