"""What a worker does with a machine: when to take it, as which run to train it, and how it ends."""

import uuid
from collections.abc import Mapping, Sequence
from enum import Enum, auto
from hashlib import sha256

from trainingjob_api.fleet_run import FleetRun, MachineState, machine_run_name
from trainingjob_api.hashing import spec_hash
from trainingjob_api.reasons import Reason
from trainingjob_api.training_run import TrainingRun
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.run.result import RunResult
from trainingjob_trainer.storage.ledger_rows import Claim, Verdict

_STATES: Mapping[Reason, MachineState] = {
    Reason.COMPLETED: MachineState.REGISTERED,
    Reason.ADOPTED_EXISTING_RUN: MachineState.REUSED,
    Reason.GATE_FAILED: MachineState.REJECTED,
}
_MESSAGE_CHARACTERS = 2000
ROWS_AT_ONCE = 8_000_000
"""Rows of all machines that are trained at once, at most but for those of the last ones: about 3 GB of memory."""


class After(Enum):
    """What follows an error of a machine."""

    FAIL = auto()
    TRY_AGAIN = auto()
    GIVE_BACK = auto()
    FORGET = auto()


def attempts_to_claim(in_flight: Sequence[Claim], retries: int) -> int | None:
    """Which machine may be taken beside those that this process works on.

    A machine in its last attempt is worked on alone: if the process dies, no other machine loses an attempt by it.
    The same holds for a machine whose first attempt failed.

    Args:
        in_flight: The machines that this process works on.
        retries: ``spec.retriesPerMachine``.

    Returns:
        The number of earlier attempts that the machine may have; None when no machine may be taken now.
    """
    if not in_flight:
        return retries
    if retries == 0 or any(claim.attempt > 1 for claim in in_flight):
        return None
    return 0


def is_full(rows: Sequence[int], machines_at_once: int) -> bool:
    """Whether so many machines are loaded that they are trained before another one is taken.

    Args:
        rows: Number of rows of each machine that is loaded.
        machines_at_once: See ``ModelType``.
    """
    return len(rows) >= machines_at_once or sum(rows) >= ROWS_AT_ONCE


def machine_uid(fleet_uid: str, machine: str) -> str:
    """The UID under which the runs of a machine are registered."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, f"{fleet_uid}/{machine}"))


def machine_run(fleet: FleetRun, claim: Claim, base_fingerprint: str | None) -> TrainingRun:
    """The run of one machine of a fleet.

    Args:
        fleet: The run of the fleet.
        claim: The machine and its attempt.
        base_fingerprint: Fingerprint of the base that the training starts from; it is part of the spec hash, because
            a model from another base is another model.
    """
    spec = fleet.spec.of_machine(claim.machine)
    own_hash = spec_hash(spec.as_json())
    return TrainingRun(
        namespace=fleet.namespace,
        name=machine_run_name(fleet.name, claim.machine),
        uid=machine_uid(fleet.uid, claim.machine),
        run=fleet.run,
        attempt=claim.attempt,
        spec_hash=sha256(f"{own_hash}{base_fingerprint}".encode()).hexdigest() if base_fingerprint else own_hash,
        window=fleet.window,
        accelerator=fleet.accelerator,
        accelerator_policy=fleet.accelerator_policy,
        adopt=fleet.adopt,
        spec=spec,
    )


def verdict_of(result: RunResult) -> Verdict:
    """The final state of a machine whose run has a result."""
    address = result.summary.registration.get("bucketAddress")
    summary = result.summary.summary
    return Verdict(_STATES[result.reason], result.reason, result.message[:_MESSAGE_CHARACTERS], summary, address)


def failure_of(error: TrainingError) -> Verdict:
    """The final state of a machine that cannot be trained."""
    return Verdict(MachineState.FAILED, error.reason, error.message[:_MESSAGE_CHARACTERS])


def after_error(error: TrainingError, claim: Claim, retries: int) -> After:
    """What to do with a machine after an error.

    Args:
        error: The error.
        claim: The machine and its attempt.
        retries: ``spec.retriesPerMachine``.
    """
    if error.reason is Reason.SUPERSEDED:
        return After.FORGET
    if error.transient or error.reason is Reason.SUSPENDED:
        return After.GIVE_BACK
    return After.FAIL if error.exit_code.final or claim.attempt > retries else After.TRY_AGAIN


def abandoned(retries: int) -> Verdict:
    """The final state of a machine whose process died in every attempt."""
    times = "once" if retries == 0 else f"{retries + 1} times"
    return Verdict(
        MachineState.FAILED,
        Reason.TRAINER_ERROR,
        f"The process that worked on this machine ended {times} without a result, for example because it was out of "
        "memory or because a library crashed. See the logs of the workers and the state of their pods; raise "
        "resources, exclude the machine, or train it alone by a TrainingJob.",
    )
