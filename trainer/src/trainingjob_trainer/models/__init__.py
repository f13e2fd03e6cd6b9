"""Model types: what each prepares, trains and saves."""
