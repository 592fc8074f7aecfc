"""Losses that tolerate wrong labels."""
