"""The algebra and the engine. Needs torch and nothing else."""
