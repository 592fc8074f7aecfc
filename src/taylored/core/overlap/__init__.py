"""Overlap of predicted and true regions: sums over positions, and ratios of them."""
