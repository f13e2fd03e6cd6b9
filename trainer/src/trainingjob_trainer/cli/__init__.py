"""The command line. Each command imports its modules when it is called, so that ``--help`` is fast."""

# The order is that of ``--help``.
from trainingjob_trainer.cli import training  # isort: skip
from trainingjob_trainer.cli import data  # isort: skip
from trainingjob_trainer.cli.app import app

__all__ = ["app", "data", "training"]
