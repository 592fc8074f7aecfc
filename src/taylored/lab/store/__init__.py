"""The folder of a run: files that are whole, sealed, and shared by several processes."""
