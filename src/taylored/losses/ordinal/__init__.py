"""Ordinal: ranks, whose order counts and whose distances are unknown."""
