"""The contract between operator and trainer: the TrainingJob API and the messages between the two. No I/O."""
