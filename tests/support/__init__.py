"""What several tests, and the benchmarks, have in common."""
