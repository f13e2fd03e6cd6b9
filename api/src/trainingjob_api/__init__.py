"""What operator and trainer both know: the TrainingJob API, and what they tell each other. No I/O."""
