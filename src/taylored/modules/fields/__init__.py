"""Declared parameters: what a module says about each, and how they are given and kept."""
