"""A run: the process around a training, its stages, and how it ends."""
