"""Code of the user: how it is found, what it consists of, and what it must not change."""
