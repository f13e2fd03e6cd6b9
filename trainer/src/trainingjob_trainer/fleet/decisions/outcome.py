"""How a run of a fleet ends, from the states of its machines."""

from collections.abc import Sequence

from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.fleet_run import FINAL_STATES, GOOD_STATES, FleetRun, MachineState
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_report import MAXIMUM_FAILURES
from trainingjob_api.text import clean
from trainingjob_trainer.run.result import RunResult
from trainingjob_trainer.storage.ledger_rows import Counts, MachineEntry

_FAILURE_CHARACTERS = 256


def ratio(counts: Counts) -> float:
    """Fraction of the machines that are final."""
    selected = sum(counts.values())
    return sum(counts.get(state, 0) for state in FINAL_STATES) / selected if selected else 0.0


def is_final(counts: Counts) -> bool:
    """Whether every machine of a run is final."""
    return ratio(counts) == 1.0


def too_many_failed(failed: int, machines: int, allowed_percent: int) -> bool:
    """Whether more machines of a run have failed than ``maxFailedPercent`` allows."""
    return failed * 100 > allowed_percent * machines


def run_result(fleet: FleetRun, counts: Counts) -> RunResult:
    """The result of a run whose machines are all final."""
    selected, failed = sum(counts.values()), counts.get(MachineState.FAILED, 0)
    good = sum(counts.get(state, 0) for state in GOOD_STATES)
    allowed = fleet.spec.max_failed_percent
    if too_many_failed(failed, selected, allowed):
        message = (
            f"{failed} of {selected} machines failed, at most {allowed} % may (maxFailedPercent). The report lists all "
            f"of them with their reasons; {good} machines have their model."
        )
        return RunResult(Reason.TOO_MANY_FAILED, message, ExitCode.TOO_MANY_FAILED)
    rest = {"rejected by a gate": counts.get(MachineState.REJECTED, 0), "failed": failed}
    told = "".join(f", {number} {what}" for what, number in rest.items() if number)
    return RunResult(Reason.COMPLETED, f"{good} of {selected} machines have their model{told}.")


def failures_of(entries: Sequence[MachineEntry]) -> list[dict[str, str]]:
    """The first failed machines, for the status."""
    return [
        {"machine": entry.machine, "reason": str(entry.reason), "message": clean(entry.message, _FAILURE_CHARACTERS)}
        for entry in entries
        if entry.state is MachineState.FAILED
    ][:MAXIMUM_FAILURES]
