"""What the outputs of a model mean: the class probabilities at whose minimum they stand."""
