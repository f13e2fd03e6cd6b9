"""The rows of a fleet's ledger, as plain data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from trainingjob_api.fleet_run import MachineState
from trainingjob_api.reasons import Reason

Counts = Mapping[MachineState, int]
"""Number of machines of a run in each state; a state without machines is absent."""


@dataclass(frozen=True)
class FrozenRun:
    """A run whose machines are resolved.

    Attributes:
        frozen_at: When its machines were resolved.
        notes: What was found then, as complete sentences.
    """

    frozen_at: datetime
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Claim:
    """A machine that a worker has taken.

    Attributes:
        machine: Name of the machine.
        attempt: Number of times that a worker has taken the machine in this run, from 1; attempts that were given back
            do not count.
    """

    machine: str
    attempt: int


@dataclass(frozen=True)
class Verdict:
    """The final state of a machine in a run.

    Attributes:
        state: One of ``FINAL_STATES``.
        reason: A reason of the API.
        message: For the user.
        summary: The most important metric as text; empty without a model.
        bucket_address: Key of the model's object; None without a model.
    """

    state: MachineState
    reason: Reason
    message: str
    summary: str = ""
    bucket_address: str | None = None


@dataclass(frozen=True)
class MachineEntry:
    """A machine of a run as the ledger has it.

    Attributes:
        machine: Name of the machine.
        state: Its state.
        attempt: See ``Claim``.
        reason: A reason of the API; None before the machine is final.
        message: For the user; empty before the machine is final.
        summary: See ``Verdict``.
        bucket_address: See ``Verdict``.
        started_at: Start of the last attempt.
        finished_at: When the machine became final.
    """

    machine: str
    state: MachineState
    attempt: int
    reason: Reason | None
    message: str
    summary: str
    bucket_address: str | None
    started_at: datetime | None
    finished_at: datetime | None
