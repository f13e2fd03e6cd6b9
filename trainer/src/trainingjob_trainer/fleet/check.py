"""The command check for a fleet: what a run would do with each machine, without training."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from trainingjob_api.fleet_run import FleetRun, MachineState
from trainingjob_api.reasons import Reason
from trainingjob_trainer.data.dataset import DataSummary
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.fleet.base import wants_base
from trainingjob_trainer.fleet.decisions.machines import machine_run
from trainingjob_trainer.fleet.decisions.outcome import too_many_failed
from trainingjob_trainer.fleet.decisions.selection import Selection
from trainingjob_trainer.models.factory import ModelFactory, prepare_data
from trainingjob_trainer.models.fleet_base import MINIMUM_MACHINES
from trainingjob_trainer.storage.ledger_rows import Claim
from trainingjob_trainer.storage.registry import find_equal_run
from trainingjob_trainer.storage.registry_rows import RunKey
from trainingjob_trainer.storage.telemetry import load_telemetry


@dataclass(frozen=True)
class MachineCheck:
    """What a run would do with a machine.

    Attributes:
        machine: Name of the machine.
        data: Its data; None when it cannot be used.
        state: The state in which the run would leave the machine: registered (or rejected by a gate), reused, failed.
        text: What would be done, or why it would fail.
    """

    machine: str
    data: DataSummary | None
    state: MachineState
    text: str

    def __str__(self) -> str:
        """One line for the terminal."""
        if self.data is None:
            return f"{self.machine:<24} {self.text}"
        rows = f"{self.data.rows_used} of {self.data.rows_read} rows"
        return f"{self.machine:<24} {rows:<26} {self.data.start}Z to {self.data.end}Z  {self.text}"


def check_machines(fleet: FleetRun, selection: Selection) -> Iterator[MachineCheck]:
    """Load and prepare the data of each machine like a run, and say what would follow.

    Raises:
        TrainingError: The error that the whole run would end with.
    """
    from_base = wants_base(fleet) and len(selection.machines) >= MINIMUM_MACHINES
    for machine in selection.machines:
        try:
            yield _check(fleet, machine, from_base=from_base)
        except TrainingError as error:
            if error.transient:
                raise
            yield MachineCheck(machine, None, MachineState.FAILED, f"fails: {error.reason}: {error.message}")


def _check(fleet: FleetRun, machine: str, *, from_base: bool) -> MachineCheck:
    run = machine_run(fleet, Claim(machine, 1), None)
    telemetry = load_telemetry(run.spec, run.window)
    dataset = prepare_data(telemetry, run.spec)
    if from_base:
        return MachineCheck(machine, dataset.summary, MachineState.REGISTERED, "is trained from the base of the fleet")
    revision = ModelFactory.create(run.spec.model.type).trainer_revision
    equal = find_equal_run(RunKey(run.uid, run.run, run.spec_hash, revision, telemetry.fingerprint))
    if run.adopt and equal is not None:
        return MachineCheck(machine, dataset.summary, MachineState.REUSED, f"reuses {equal.bucket_address}")
    return MachineCheck(machine, dataset.summary, MachineState.REGISTERED, "is trained")


def refuse_too_many(fleet: FleetRun, checks: Sequence[MachineCheck]) -> None:
    """Refuse a fleet of which too many machines would fail.

    Raises:
        TrainingError: InsufficientData.
    """
    failed, allowed = sum(check.state is MachineState.FAILED for check in checks), fleet.spec.max_failed_percent
    if too_many_failed(failed, len(checks), allowed):
        raise TrainingError(
            Reason.INSUFFICIENT_DATA,
            f"{failed} of {len(checks)} machines cannot be trained, at most {allowed} % may fail (maxFailedPercent).",
        )
