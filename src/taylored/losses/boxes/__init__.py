"""Losses of bounding boxes."""
