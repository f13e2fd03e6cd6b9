"""The measured comparisons: the product and a simple reference implementation of the same pipeline."""
