"""What the trainer or worker in a pod is started with. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from trainingjob_api.fleet_run import UncheckedFleetRun
from trainingjob_api.names import TRAINING_FLEET_VARIABLE, TRAINING_JOB_VARIABLE
from trainingjob_api.text import instant
from trainingjob_api.training_run import UncheckedTrainingRun, Window
from trainingjob_operator.core.parent import Parent, TrainingFleet
from trainingjob_operator.core.specification import Specification

LONGEST_VARIABLE = 131_072
"""Bytes of an environment variable with its name and its end: Linux starts no program with a longer one."""


class RunInput(NamedTuple):
    """The command of the trainer, and the environment variable with the run as JSON."""

    command: str
    variable: str
    value: str

    @property
    def bytes(self) -> int:
        """Length of the variable as Linux counts it."""
        return len(f"{self.variable}={self.value}\0".encode())


def run_of(parent: Parent, specification: Specification) -> RunInput:
    """The input for the current attempt."""
    status, (run, attempt) = parent.status, parent.current_attempt
    data = status.get("data") or {}
    content: dict[str, Any] = {
        "namespace": parent.namespace,
        "name": parent.name,
        "uid": parent.uid,
        "run": run,
        "attempt": attempt,
        "spec_hash": status["specHash"],
        "window": Window(start=instant(data.get("start")), end=instant(data.get("end"))),
        "accelerator": (status.get("device") or {}).get("resourceName"),
        "accelerator_policy": status["device"]["requested"],
        "adopt": specification.may_adopt and status.get("trigger") != "RetrainRequested",
        "spec": parent.spec,
    }
    if isinstance(parent, TrainingFleet):
        fleet_run = UncheckedFleetRun(**content, retry_failed=bool(status.get("retryFailed")))
        return RunInput("work", TRAINING_FLEET_VARIABLE, fleet_run.model_dump_json(by_alias=True))
    return RunInput("run", TRAINING_JOB_VARIABLE, UncheckedTrainingRun(**content).model_dump_json(by_alias=True))
