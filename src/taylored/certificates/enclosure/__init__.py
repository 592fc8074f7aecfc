"""Where a formula and its derivatives have their values: on a box, and at the ends of (0, 1)."""
