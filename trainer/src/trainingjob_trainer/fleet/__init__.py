"""Trains the machines of a fleet: the workers of one run, which share it by the ledger."""
