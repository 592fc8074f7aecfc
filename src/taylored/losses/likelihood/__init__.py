"""Negative log-likelihoods, and divergences of distributions."""
