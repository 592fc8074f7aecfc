"""Other ways from the losses of a batch to one number than their mean, for any loss."""
