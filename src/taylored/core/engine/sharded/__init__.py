"""The loss of logits whose classes are split over processes."""
