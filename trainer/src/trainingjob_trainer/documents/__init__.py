"""TrainingJobs as people and the operator write them, read into what a run is told. No I/O."""
