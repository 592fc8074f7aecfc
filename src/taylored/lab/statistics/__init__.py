"""Is a difference larger than chance? Estimates, intervals and p-values."""
