"""What a worker decides, from plain data."""
