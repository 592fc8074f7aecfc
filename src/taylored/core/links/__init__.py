"""Softmax and sigmoid: from logits to values and gradients, whole and block by block."""
