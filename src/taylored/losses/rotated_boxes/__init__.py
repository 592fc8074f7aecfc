"""Losses of rotated bounding boxes in the plane."""
