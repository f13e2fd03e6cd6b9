"""How a run of a fleet ends."""

import pytest

from support.fleet_runs import fleet_run
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.fleet_run import MachineState, machine_counts
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_message import LIMIT_BYTES, termination_message
from trainingjob_trainer.fleet.decisions.outcome import failures_of, is_final, ratio, run_result
from trainingjob_trainer.run.result import RunSummary, termination_facts
from trainingjob_trainer.storage.ledger_rows import MachineEntry

FLEET = fleet_run({"machines": {"names": ["A"]}, "template": {"model": {"type": "gru"}}})
REGISTERED, FAILED, REJECTED = MachineState.REGISTERED, MachineState.FAILED, MachineState.REJECTED


@pytest.mark.parametrize(
    ("counts", "code"),
    [
        ({REGISTERED: 8, FAILED: 2}, ExitCode.DONE),
        ({REGISTERED: 7, FAILED: 3}, ExitCode.TOO_MANY_FAILED),
        ({REGISTERED: 79, FAILED: 20}, ExitCode.TOO_MANY_FAILED),
        ({REJECTED: 10}, ExitCode.DONE),
        ({FAILED: 1}, ExitCode.TOO_MANY_FAILED),
    ],
)
def test_a_run_fails_when_more_than_a_fifth_of_its_machines_fails(
    counts: dict[MachineState, int], code: ExitCode
) -> None:
    assert run_result(FLEET, counts).exit_code is code


def test_a_run_is_over_when_no_machine_waits_or_runs() -> None:
    assert is_final({REGISTERED: 1, REJECTED: 1, FAILED: 1, MachineState.FRESH: 1, MachineState.REUSED: 1})
    assert not is_final({REGISTERED: 1, MachineState.WAITING: 1})
    assert not is_final({})
    assert ratio({REGISTERED: 1, MachineState.RUNNING: 3}) == 0.25


def test_counts_name_every_state() -> None:
    assert machine_counts({REGISTERED: 2}) == {
        "selected": 2,
        "waiting": 0,
        "running": 0,
        "registered": 2,
        "reused": 0,
        "fresh": 0,
        "rejected": 0,
        "failed": 0,
    }


def test_twenty_failures_with_long_messages_fit_into_the_termination_message() -> None:
    entries = [
        MachineEntry(f"PUMP-{number:04}", FAILED, 1, Reason.DIVERGED, "long " * 400, "", None, None, None)
        for number in range(2000)
    ]
    failures = failures_of(entries)
    assert len(failures) == 20
    counts = {FAILED: 2000}
    result = run_result(FLEET, counts)
    summary = RunSummary(machines=machine_counts(counts), failures=failures, summary="0 of 2000")
    message = termination_message(termination_facts(FLEET, result) | vars(summary))
    assert len(message) <= LIMIT_BYTES
    assert b'"failed":2000' in message
