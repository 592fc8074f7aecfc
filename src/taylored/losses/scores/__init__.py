"""Margins and scores: hinge losses, and proper scores of probabilities."""
