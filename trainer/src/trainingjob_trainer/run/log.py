"""The log of the trainer's process: text for people, one line of JSON per event in a pod."""

import logging
import os
import sys
from functools import partial
from types import TracebackType

from trainingjob_api.fleet_run import FleetRun
from trainingjob_api.log_format import TEXT_FORMAT, JsonLineFormatter, identity_of
from trainingjob_api.names import FLEET_KIND, KIND
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.storage.redaction import RedactingFormatter, redact

logger = logging.getLogger(__name__)


def log_to_stderr() -> None:
    """Log text to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter(TEXT_FORMAT))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)


def log_for_pod(run: TrainingRun | FleetRun | None = None) -> None:
    """Log one line of JSON per event from now on, unless stderr is a terminal.

    Args:
        run: The run that every line names; None while it is unknown.
    """
    if sys.stderr.isatty():
        return
    kind = KIND if isinstance(run, TrainingRun) else FLEET_KIND
    identity = identity_of(kind, run.namespace, run.name, run.run, run.attempt) if run else None
    for handler in logging.getLogger().handlers:
        handler.setFormatter(JsonLineFormatter(identity, partial(redact, environment=os.environ)))
    sys.excepthook = _log_uncaught


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    logger.critical("the program ended unexpectedly: %s: %s", kind.__name__, error, exc_info=(kind, error, trace))
