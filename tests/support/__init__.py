"""Code that several tests and the benchmarks share."""
