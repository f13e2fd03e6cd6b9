"""What a worker decides about single machines."""

from collections.abc import Sequence

import pytest

from support.fleet_runs import fleet_run
from trainingjob_api.exit_codes import ExitCode
from trainingjob_api.hashing import spec_hash
from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.fleet.decisions.machines import (
    After,
    after_error,
    attempts_to_claim,
    is_full,
    machine_run,
    verdict_of,
)
from trainingjob_trainer.run.result import RunResult, RunSummary
from trainingjob_trainer.storage.ledger_rows import Claim

NEW, RETRIED = Claim("A", 1), Claim("B", 2)


FLEET = fleet_run(
    {"machines": {"names": ["A", "B"]}, "template": {"model": {"type": "gru", "gru": {"base": "Fleet"}}}},
    run=3,
    attempt=2,
    window={"end": "2025-09-01T00:00:00Z"},
    adopt=True,
)


@pytest.mark.parametrize(
    ("in_flight", "retries", "attempts"),
    [
        ([], 0, 0),
        ([], 1, 1),
        ([NEW], 1, 0),
        ([NEW, NEW], 3, 0),
        ([NEW], 0, None),
        ([RETRIED], 1, None),
        ([NEW, RETRIED], 5, None),
    ],
)
def test_a_machine_in_a_later_or_its_last_attempt_is_worked_on_alone(
    in_flight: Sequence[Claim], retries: int, attempts: int | None
) -> None:
    assert attempts_to_claim(in_flight, retries) == attempts


@pytest.mark.parametrize(
    ("rows", "machines_at_once", "full"),
    [([], 1, False), ([20_000], 1, True), ([20_000], 2, False), ([20_000] * 2, 2, True), ([8_000_000], 256, True)],
)
def test_a_batch_is_full_with_enough_machines_or_rows(rows: Sequence[int], machines_at_once: int, full: bool) -> None:
    assert is_full(rows, machines_at_once) is full


@pytest.mark.parametrize(
    ("reason", "transient", "attempt", "after"),
    [
        (Reason.INSUFFICIENT_DATA, False, 1, After.FAIL),
        (Reason.SINGLE_CLASS, False, 1, After.FAIL),
        (Reason.DIVERGED, False, 1, After.FAIL),
        (Reason.TRAINER_ERROR, False, 1, After.TRY_AGAIN),
        (Reason.OUT_OF_MEMORY, False, 1, After.TRY_AGAIN),
        (Reason.TRAINER_ERROR, False, 2, After.FAIL),
        (Reason.DATA_UNAVAILABLE, True, 2, After.GIVE_BACK),
        (Reason.ARTIFACT_STORE_FAILED, True, 1, After.GIVE_BACK),
        (Reason.SUSPENDED, False, 2, After.GIVE_BACK),
        (Reason.SUPERSEDED, False, 1, After.FORGET),
    ],
)
def test_an_error_of_a_machine_ends_it_only_when_a_retry_is_useless(
    reason: Reason, transient: bool, attempt: int, after: After
) -> None:
    error = TrainingError(reason, "It went wrong.", transient=transient)
    assert after_error(error, Claim("A", attempt), retries=1) is after


def test_each_machine_is_registered_under_a_key_of_its_own() -> None:
    first, second = (machine_run(FLEET, Claim(name, 4), None) for name in "AB")
    assert first.uid != second.uid
    assert machine_run(FLEET.model_copy(update={"attempt": 9}), Claim("A", 1), None).uid == first.uid
    assert (first.run, first.attempt, first.window, first.adopt) == (3, 4, FLEET.window, True)
    assert first.spec_hash == spec_hash({"machine": "A", "model": {"type": "gru"}})


def test_models_from_different_bases_are_not_equal() -> None:
    hashes = {machine_run(FLEET, Claim("A", 1), base).spec_hash for base in (None, "1" * 64, "2" * 64)}
    assert len(hashes) == 3


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        (Reason.COMPLETED, "registered"),
        (Reason.ADOPTED_EXISTING_RUN, "reused"),
        (Reason.GATE_FAILED, "rejected"),
    ],
)
def test_the_result_of_a_run_is_the_state_of_the_machine(reason: Reason, state: str) -> None:
    summary = RunSummary(summary="skill 0.3", registration={"bucketAddress": "a.h5"})
    verdict = verdict_of(RunResult(reason, "Told.", ExitCode.DONE, summary))
    assert (verdict.state, verdict.reason, verdict.summary, verdict.bucket_address) == (
        state,
        reason,
        "skill 0.3",
        "a.h5",
    )
