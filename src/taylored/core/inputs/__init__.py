"""What a loss may be given: logits, or what stands in their place, and targets."""
