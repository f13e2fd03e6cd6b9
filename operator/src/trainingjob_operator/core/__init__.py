"""Decisions about TrainingJobs, and the objects that they are made from. No I/O."""
