"""Losses of boxes in space, aligned with the axes or turned about the upright one."""
