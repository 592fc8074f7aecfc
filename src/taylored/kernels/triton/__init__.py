"""Sweeps for GPUs in Triton: no card has measured them yet, and so they have to be asked for."""
