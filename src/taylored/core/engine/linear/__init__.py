"""Losses of features and weight, whose logits never exist at once."""
