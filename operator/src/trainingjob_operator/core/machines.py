"""The counts of a fleet's machines by state. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from trainingjob_api.fleet_run import FINAL_STATES, GOOD_STATES, SELECTED, MachineState

NAMES = (SELECTED, *map(str, MachineState))
"""The names of the counts; ``selected`` counts all machines of the run."""
_WITHOUT_MODEL = (MachineState.WAITING, MachineState.RUNNING, MachineState.FAILED)


def count_final(machines: Mapping[str, int]) -> int:
    """How many machines are in a final state."""
    return sum(machines.get(state, 0) for state in FINAL_STATES)


def count_retryable(machines: Mapping[str, int]) -> int:
    """How many machines another attempt of a run that has ended would try: failed, or never finished."""
    return sum(machines.get(state, 0) for state in _WITHOUT_MODEL)


def display(machines: Mapping[str, int]) -> str:
    """How many of the selected machines have the model that the run asked for, such as 295/300."""
    return f"{sum(machines.get(state, 0) for state in GOOD_STATES)}/{machines.get(SELECTED, 0)}"
