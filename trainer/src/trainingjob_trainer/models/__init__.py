"""The model types: preparation, training and saving of each."""
