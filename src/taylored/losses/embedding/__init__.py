"""Losses of embeddings: what belongs together close, everything else apart."""
