"""What the trials say: statistics, judgement, sentences."""
