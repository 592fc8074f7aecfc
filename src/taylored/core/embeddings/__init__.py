"""Embeddings of a batch, compared pair by pair."""
