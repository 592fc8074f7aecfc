"""One training of one loss: model, batches, evaluation, record."""
