"""TrainingJobs under faults that a seed decides, and counts of what must never happen."""
