"""Losses of one probability for ordinary classification."""
