"""Operator of TrainingJobs: watches them, creates Jobs for their trainers and reports their state."""
