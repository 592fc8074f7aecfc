"""Losses whose target is a quality score or a real number, as detectors have them."""
