"""Losses for any number of labels per sample."""
