"""The measured comparisons: the product against the plain way of writing the same pipeline."""
