"""Checks, one module per suite. The suites call them; the negative controls must fail them."""
