"""What losses remember between batches, and how processes share it."""
