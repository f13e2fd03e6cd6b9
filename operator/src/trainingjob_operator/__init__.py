"""Operator of TrainingJobs: watches them, spawns trainer pods and reports their state."""
