"""Losses for probabilities and scores that can be trusted: overconfidence is made costly."""
