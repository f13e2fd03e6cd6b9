"""The ledger of fleets on a real PostgreSQL server, as several workers use it at once."""

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from psycopg2.extensions import connection

from support.fleet_runs import FLEET_UID
from trainingjob_api.fleet_run import MachineState
from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.fleet.decisions.machines import abandoned
from trainingjob_trainer.storage.ledger import Ledger
from trainingjob_trainer.storage.ledger_rows import Claim, Verdict
from trainingjob_trainer.storage.postgres import create_tables
from trainingjob_trainer.storage.registry import save_model_metadata
from trainingjob_trainer.storage.registry_rows import ModelRow, RunKey

REGISTERED = Verdict(MachineState.REGISTERED, Reason.COMPLETED, "Registered.", "skill 0.3", "a.h5")


@pytest.fixture(autouse=True)
def _tables(session: connection) -> None:
    create_tables(session)


def ledger(worker: str, run: int = 1, lease_seconds: float = 60) -> Ledger:
    return Ledger(FLEET_UID, run, worker, lease_seconds)


def heir() -> Ledger:
    """A worker that takes over expired leases at once, because the server has run for longer than its lease."""
    return ledger("heir", lease_seconds=0.01)


def expire(session: connection) -> None:
    """Let all leases expire."""
    with session.cursor() as rows:
        rows.execute("UPDATE fleet_machines SET lease = '2020-01-01'; UPDATE fleet_tasks SET lease = '2020-01-01'")


def claimed(worker: Ledger) -> Claim:
    claim = worker.claim(0)
    assert claim is not None
    return claim


def frozen(machines: list[str]) -> Ledger:
    first = ledger("first")
    first.freeze(machines, ["A note."])
    return first


def test_the_machines_of_a_run_are_frozen_by_the_first_worker() -> None:
    frozen(["A", "B"])
    second = ledger("second")
    second.freeze(["C"], [])
    assert [entry.machine for entry in second.entries()] == ["A", "B"]
    run = second.frozen()
    assert run is not None
    assert run.notes == ["A note."]
    assert ledger("first", run=2).frozen() is None
    assert ledger("first", run=2).machines_of_last_run() == 2
    assert second.machines_of_last_run() is None


def test_the_least_tried_machines_are_taken_first() -> None:
    first = frozen(["A", "B"])
    first.give_back(claimed(first), counted=True)
    assert [first.claim(1), first.claim(0), first.claim(1)] == [Claim("B", 1), None, Claim("A", 2)]
    assert first.claim(9) is None


def test_an_expired_lease_is_taken_over_and_the_late_worker_cannot_finish(session: connection) -> None:
    first, second = frozen(["A"]), heir()
    late = claimed(first)
    assert second.claim(9) is None
    expire(session)
    claim = second.claim(9)
    assert claim == Claim("A", 2)
    with pytest.raises(TrainingError) as lost:
        first.finish(late, REGISTERED)
    assert lost.value.reason == Reason.SUPERSEDED
    first.give_back(late, counted=False)
    for _ in range(2):
        second.finish(claim, REGISTERED)
    assert second.counts() == {MachineState.REGISTERED: 1}


def test_the_model_of_a_machine_that_was_taken_over_is_not_registered(session: connection) -> None:
    first = frozen(["A"])
    late = claimed(first)
    expire(session)
    assert heir().claim(9) == Claim("A", 2)
    key = RunKey("uid-of-a", 1, "a" * 64, 1, "f" * 64)
    start, end = (datetime(2025, 1, day, tzinfo=UTC) for day in (1, 2))
    exposed: list[str] = []
    with pytest.raises(TrainingError, match="another worker took the machine over"):
        save_model_metadata(
            key,
            ModelRow("A", "gru", "a.h5", start, end, {}),
            lambda: exposed.append("a.h5"),
            lambda transaction, _: first.finish_within(transaction, late, REGISTERED),
        )
    with session.cursor() as rows:
        rows.execute("SELECT (SELECT count(*) FROM models), (SELECT count(*) FROM training_runs)")
        assert rows.fetchall() == [(0, 0)]
    assert exposed == []


def test_a_lease_does_not_expire_right_after_a_restart_of_the_server(session: connection) -> None:
    first = frozen(["A"])
    assert first.claim(0)
    expire(session)
    with session.cursor() as rows:
        rows.execute("SELECT extract(epoch FROM now() - pg_postmaster_start_time())")
        ((uptime,),) = rows.fetchall()
    assert ledger("second", lease_seconds=float(uptime) + 600).claim(9) is None
    assert heir().claim(9) == Claim("A", 2)


def test_only_held_machines_are_renewed(session: connection) -> None:
    first = frozen(["A", "B"])
    assert first.claim(0)
    assert first.claim(0)
    expire(session)
    assert first.renew(["A"], []) == {MachineState.RUNNING: 2}
    with session.cursor() as rows:
        rows.execute("SELECT machine FROM fleet_machines WHERE lease > now()")
        assert rows.fetchall() == [("A",)]


def test_a_machine_whose_last_attempt_was_abandoned_fails(session: connection) -> None:
    first, second = frozen(["A", "B"]), heir()
    assert first.claim(0) == Claim("A", 1)
    assert first.claim(0) == Claim("B", 1)
    first.finish(Claim("B", 1), REGISTERED)
    expire(session)
    assert second.fail_abandoned(1, abandoned(1)) == []
    assert second.claim(1) == Claim("A", 2)
    expire(session)
    assert second.claim(1) is None
    assert second.fail_abandoned(1, abandoned(1)) == ["A"]
    failed, registered = second.entries()
    assert (failed.state, failed.reason, failed.attempt) == ("failed", "TrainerError", 2)
    assert (registered.state, registered.summary, registered.bucket_address) == ("registered", "skill 0.3", "a.h5")


def test_failed_machines_wait_again_once_per_attempt() -> None:
    first = frozen(["A", "B"])
    first.finish(claimed(first), Verdict(MachineState.FAILED, Reason.DIVERGED, "Diverged."))
    first.finish(claimed(first), REGISTERED)
    first.retry_failed(2)
    assert first.counts() == {MachineState.WAITING: 1, MachineState.REGISTERED: 1}
    first.finish(claimed(first), Verdict(MachineState.FAILED, Reason.DIVERGED, "Diverged."))
    ledger("second").retry_failed(2)
    assert first.counts() == {MachineState.FAILED: 1, MachineState.REGISTERED: 1}


def test_a_task_is_done_by_one_worker_at_a_time_and_once(session: connection) -> None:
    first, second = frozen(["A"]), heir()
    assert (first.claim_task("base"), second.claim_task("base")) == (1, None)
    first.renew([], ["base"])
    assert second.claim_task("base") is None
    expire(session)
    assert second.claim_task("base") == 2
    second.give_back_task("base")
    assert first.claim_task("base") == 2
    assert second.task_result("base") is None
    first.finish_task("base", {"note": "none"})
    assert second.task_result("base") == {"note": "none"}
    expire(session)
    assert second.claim_task("base") is None


def test_many_workers_take_two_thousand_machines_once_each() -> None:
    machines = [f"PUMP-{number:04}" for number in range(2000)]
    frozen(machines)

    def take_all(number: int) -> list[str]:
        worker, taken = ledger(f"worker-{number}"), []
        while claim := worker.claim(0):
            taken.append(claim.machine)
        return taken

    with ThreadPoolExecutor(8) as threads:
        taken = Counter(machine for machines in threads.map(take_all, range(8)) for machine in machines)
    assert taken == dict.fromkeys(machines, 1)
    assert ledger("last").counts() == {MachineState.RUNNING: 2000}
