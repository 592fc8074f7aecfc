"""Many trainings in worker processes, saved as they end and resumable."""
