"""Geometry of boxes: what their losses are made of."""
