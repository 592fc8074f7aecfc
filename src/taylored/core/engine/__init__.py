"""One pass: loss and gradient together, by the executor that fits."""
