"""Executes a run: the process around a training, its stages and its result."""
