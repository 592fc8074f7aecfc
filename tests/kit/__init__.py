"""What the suites share: cases, tolerances, executors to run on, planted faults, checks."""
