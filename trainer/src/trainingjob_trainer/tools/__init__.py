"""The commands check, import and simulate."""
