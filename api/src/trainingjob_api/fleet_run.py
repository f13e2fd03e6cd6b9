"""The input of a fleet's workers: one run of a TrainingFleet, as JSON in the variable ``TRAINING_FLEET``."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from trainingjob_api.fleet_spec import TrainingFleetSpec
from trainingjob_api.training_run import RunIdentity
from trainingjob_api.values import AcceleratorPolicy


class MachineState(StrEnum):
    """The state of one machine in a run of a fleet; the values are the names of the counts in ``status.machines``."""

    WAITING = "waiting"
    RUNNING = "running"
    REGISTERED = "registered"
    REUSED = "reused"
    FRESH = "fresh"
    REJECTED = "rejected"
    FAILED = "failed"


FINAL_STATES = tuple(state for state in MachineState if state not in {MachineState.WAITING, MachineState.RUNNING})
"""The states in which a run leaves a machine."""

GOOD_STATES = (MachineState.REGISTERED, MachineState.REUSED, MachineState.FRESH)
"""The final states of machines that have the model that the run asked for."""

SELECTED = "selected"
"""The name of the count of all machines of a run."""


def machine_counts(by_state: Mapping[MachineState, int]) -> dict[str, int]:
    """The counts of ``status.machines``: machines in every state, and all of them.

    Args:
        by_state: Machines by state; an absent state has none.
    """
    return {SELECTED: sum(by_state.values())} | {str(state): by_state.get(state, 0) for state in MachineState}


FLEET_MACHINES_METRIC = "trainingjob_fleet_machines"
"""Gauge of each worker: machines of the run by state, in the label ``state``; ``selected`` is all of them."""


class UncheckedFleetRun(RunIdentity):
    """A run of a fleet as the operator writes it: the spec is passed on unchanged, whatever its version.

    Attributes:
        accelerator_policy: The requested policy.
        retry_failed: Whether this attempt tries the failed machines of the run again.
        spec: The JSON of the spec, as the API server stores it.
    """

    accelerator_policy: str
    retry_failed: bool = False
    spec: Mapping[str, Any]


class FleetRun(RunIdentity):
    """A run of a fleet as its workers read it.

    Attributes:
        accelerator_policy: The requested policy.
        retry_failed: Whether this attempt tries the failed machines of the run again.
        spec: The spec of the TrainingFleet.
    """

    accelerator_policy: AcceleratorPolicy
    retry_failed: bool = False
    spec: TrainingFleetSpec


def machine_run_name(fleet: str, machine: str) -> str:
    """Name under which the run of a machine of a fleet is registered, where a TrainingJob's run has its name."""
    return f"{fleet}.{machine}"
