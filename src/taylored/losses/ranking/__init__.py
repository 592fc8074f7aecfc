"""Losses that order samples: of each class, those that are of it above those that are not."""
