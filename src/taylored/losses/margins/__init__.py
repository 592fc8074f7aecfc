"""Margins by class: what is added to the logits of a class, or multiplies them, in training."""
