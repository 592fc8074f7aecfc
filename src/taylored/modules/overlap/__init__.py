"""Overlap losses: their parameters, their call, their bases."""
