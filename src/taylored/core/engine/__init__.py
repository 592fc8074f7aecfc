"""The single pass that finds a loss and its gradient, and the executors that run it."""
