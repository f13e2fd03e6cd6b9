"""Commands beside a run: check, import and simulate."""
