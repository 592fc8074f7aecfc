"""The algebra: losses as expressions in p_t, each with its value, slope and power series."""
