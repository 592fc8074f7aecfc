"""Losses of how far predicted and true regions overlap."""
