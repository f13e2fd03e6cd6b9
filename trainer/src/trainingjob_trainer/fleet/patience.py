"""Waits for servers that are not available: a worker gives up only after a long time."""

import time
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import tenacity

from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.run.progress import RunProgress

PATIENCE_SECONDS = 1800.0
"""How long a worker waits; its Job starts it again afterwards."""
_LONGEST_WAIT_SECONDS = 30.0
_SLICE_SECONDS = 0.5

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


def patiently(
    progress: RunProgress, action: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
) -> Result:
    """Call the action; repeat it after transient errors.

    Args:
        progress: Receives heartbeats between two tries, and says whether to stop.
        action: It may be called more than once.
        arguments: Of the action.
        named: Further arguments of the action.

    Raises:
        TrainingError: Of the action; Suspended when a stop is requested between two tries.
    """
    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(lambda error: isinstance(error, TrainingError) and error.transient),
        wait=tenacity.wait_random_exponential(multiplier=1, max=_LONGEST_WAIT_SECONDS),
        stop=tenacity.stop_after_delay(PATIENCE_SECONDS),
        sleep=lambda seconds: pause(progress, seconds),
        reraise=True,
    )
    return retrying(action, *arguments, **named)


def pause(progress: RunProgress, seconds: float) -> None:
    """Wait some seconds.

    Raises:
        TrainingError: Suspended when a stop is requested meanwhile.
    """
    for _ in range(max(1, round(seconds / _SLICE_SECONDS))):
        if progress.should_stop():
            raise TrainingError(Reason.SUSPENDED, "Stopped on request; other workers take the machines of this one.")
        progress.heartbeat()
        time.sleep(min(seconds, _SLICE_SECONDS))
