"""The ledger of fleets: tables ``fleet_runs``, ``fleet_machines`` and ``fleet_tasks``, by which workers share a run.

A worker takes a machine, or a task of the whole run, by a lease that it renews. The attempt is counted when the lease
is taken, so a worker that dies leaves a trace, and its machine is taken over when the lease has expired. Leases are
measured by the clock of the server alone.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

from psycopg2.extensions import connection

from trainingjob_api.fleet_run import MachineState
from trainingjob_api.reasons import Reason
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.storage.ledger_rows import Claim, Counts, FrozenRun, MachineEntry, Verdict
from trainingjob_trainer.storage.postgres import with_connection

LEASE_SECONDS = 60.0
"""How long a worker may be silent until others take over its machines."""

Result = TypeVar("Result")

# After a restart of the server, workers that are alive need time to renew their leases.
_EXPIRED = (
    "(lease IS NULL OR lease < now() AND pg_postmaster_start_time() < now() - make_interval(secs => %(lease_seconds)s))"
)
_LEASE = "now() + make_interval(secs => %(lease_seconds)s)"
_THIS_RUN = "fleet_uid = %(uid)s AND run = %(run)s"
_CLAIM = f"""
UPDATE fleet_machines SET state = 'running', attempt = attempt + 1, worker = %(worker)s, lease = {_LEASE},
    reason = NULL, message = '', started_at = now(), finished_at = NULL
WHERE {_THIS_RUN} AND machine = (
    SELECT machine FROM fleet_machines
    WHERE {_THIS_RUN} AND attempt <= %(attempts)s AND (state = 'waiting' OR state = 'running' AND {_EXPIRED})
    ORDER BY attempt, machine LIMIT 1 FOR UPDATE SKIP LOCKED
)
RETURNING machine, attempt
"""
_FAIL_ABANDONED = f"""
UPDATE fleet_machines SET state = 'failed', reason = %(reason)s, message = %(message)s, finished_at = now()
WHERE {_THIS_RUN} AND machine IN (
    SELECT machine FROM fleet_machines
    WHERE {_THIS_RUN} AND state = 'running' AND attempt > %(retries)s AND {_EXPIRED} FOR UPDATE SKIP LOCKED
)
RETURNING machine
"""
# A row is locked while its model is being registered; renewing its lease would have to wait for that.
_RENEW_MACHINES = f"""
UPDATE fleet_machines SET lease = {_LEASE}
WHERE {_THIS_RUN} AND machine IN (
    SELECT machine FROM fleet_machines
    WHERE {_THIS_RUN} AND machine = ANY(%(machines)s) AND state = 'running' AND worker = %(worker)s
    FOR UPDATE SKIP LOCKED
)
"""
_RENEW_TASKS = f"""
UPDATE fleet_tasks SET lease = {_LEASE}
WHERE {_THIS_RUN} AND task = ANY(%(tasks)s) AND result IS NULL AND worker = %(worker)s
"""
_FINISH = f"""
UPDATE fleet_machines SET state = %(state)s, reason = %(reason)s, message = %(message)s, summary = %(summary)s,
    bucket_address = %(bucket_address)s, lease = NULL, finished_at = now()
WHERE {_THIS_RUN} AND machine = %(machine)s AND attempt = %(attempt)s AND worker = %(worker)s
    AND state IN ('running', %(state)s)
"""
_GIVE_BACK = f"""
UPDATE fleet_machines SET state = 'waiting', attempt = attempt - %(uncounted)s, worker = NULL, lease = NULL
WHERE {_THIS_RUN} AND machine = %(machine)s AND attempt = %(attempt)s AND worker = %(worker)s AND state = 'running'
"""
_CLAIM_TASK = f"""
INSERT INTO fleet_tasks AS old (fleet_uid, run, task, worker, lease, attempt)
VALUES (%(uid)s, %(run)s, %(task)s, %(worker)s, {_LEASE}, 1)
ON CONFLICT (fleet_uid, run, task) DO UPDATE
SET worker = excluded.worker, lease = excluded.lease, attempt = old.attempt + 1
WHERE old.result IS NULL AND {_EXPIRED.replace("lease IS", "old.lease IS").replace("lease <", "old.lease <")}
RETURNING attempt
"""
_RETRY_FAILED = f"""
UPDATE fleet_machines SET state = 'waiting', attempt = 0, worker = NULL, lease = NULL
WHERE {_THIS_RUN} AND state = 'failed'
"""
_COLUMNS = "machine, state, attempt, reason, message, summary, bucket_address, started_at, finished_at"


class Ledger:
    """The ledger of one run of a fleet, as one worker uses it.

    Every method raises ``TrainingError`` with reason RegistryFailed when PostgreSQL refuses, or is not available for
    longer than ``with_connection`` retries; the error is ``transient`` in the latter case.

    Attributes:
        worker: Name of the worker, unique for the process.
        lease_seconds: How long a lease lasts.
    """

    def __init__(self, uid: str, run: int, worker: str, lease_seconds: float = LEASE_SECONDS) -> None:
        """Name the run and the worker; nothing is read or written."""
        self.worker = worker
        self.lease_seconds = lease_seconds
        self._names = {"uid": uid, "run": run, "worker": worker, "lease_seconds": lease_seconds}

    def frozen(self) -> FrozenRun | None:
        """The run, if its machines are resolved already."""
        found = self._rows(f"SELECT frozen_at, notes FROM fleet_runs WHERE {_THIS_RUN}")
        return FrozenRun(*found[0]) if found else None

    def machines_of_last_run(self) -> int | None:
        """Number of machines of the newest earlier run of this fleet; None without one."""
        found = self._rows(
            "SELECT count(*) FROM fleet_machines WHERE fleet_uid = %(uid)s AND run < %(run)s "
            "GROUP BY run ORDER BY run DESC LIMIT 1"
        )
        return int(found[0][0]) if found else None

    def freeze(self, machines: Sequence[str], notes: Sequence[str]) -> None:
        """Write the machines of the run, unless another worker has done so."""

        def write(session: connection) -> None:
            with session.cursor() as rows:
                # A concurrent insert of the same key waits for the first one.
                rows.execute(
                    "INSERT INTO fleet_runs (fleet_uid, run, notes) VALUES (%(uid)s, %(run)s, %(notes)s) "
                    "ON CONFLICT (fleet_uid, run) DO NOTHING",
                    self._names | {"notes": json.dumps(list(notes))},
                )
                if rows.rowcount:
                    rows.execute(
                        "INSERT INTO fleet_machines (fleet_uid, run, machine, state) "
                        "SELECT %(uid)s, %(run)s, machine, 'waiting' FROM unnest(%(machines)s::text[]) AS machine",
                        self._names | {"machines": list(machines)},
                    )

        self._transaction(write)

    def retry_failed(self, attempt: int) -> None:
        """Let the failed machines of the run wait again, once per attempt of the fleet's run."""

        def write(session: connection) -> None:
            with session.cursor() as rows:
                rows.execute(
                    f"UPDATE fleet_runs SET retried_attempt = %(attempt)s WHERE {_THIS_RUN} "
                    "AND retried_attempt < %(attempt)s",
                    self._names | {"attempt": attempt},
                )
                if rows.rowcount:
                    rows.execute(_RETRY_FAILED, self._names)

        self._transaction(write)

    def claim(self, attempts: int) -> Claim | None:
        """Take the next machine: one that waits, or one whose lease has expired; the least tried ones come first.

        Args:
            attempts: A machine that was tried more often is not taken.
        """
        found = self._rows(_CLAIM, attempts=attempts)
        return Claim(*found[0]) if found else None

    def fail_abandoned(self, retries: int, verdict: Verdict) -> list[str]:
        """End the machines whose lease has expired in their last attempt; return their names."""
        return [
            machine
            for (machine,) in self._rows(
                _FAIL_ABANDONED, retries=retries, reason=verdict.reason, message=verdict.message
            )
        ]

    def renew(self, machines: Iterable[str], tasks: Iterable[str]) -> Counts:
        """Renew the leases of this worker on these machines and tasks, and count the machines of the run."""

        def write(session: connection) -> Counts:
            with session.cursor() as rows:
                rows.execute(_RENEW_MACHINES, self._names | {"machines": list(machines)})
                rows.execute(_RENEW_TASKS, self._names | {"tasks": list(tasks)})
                rows.execute(
                    f"SELECT state, count(*) FROM fleet_machines WHERE {_THIS_RUN} GROUP BY state", self._names
                )
                return {MachineState(state): count for state, count in rows.fetchall()}

        return self._transaction(write)

    def counts(self) -> Counts:
        """Number of machines in each state."""
        return self.renew((), ())

    def entries(self) -> list[MachineEntry]:
        """Every machine of the run, by name."""
        return [
            MachineEntry(machine, MachineState(state), attempt, Reason(reason) if reason else None, *others)
            for machine, state, attempt, reason, *others in self._rows(
                f"SELECT {_COLUMNS} FROM fleet_machines WHERE {_THIS_RUN} ORDER BY machine"
            )
        ]

    def finish(self, claim: Claim, verdict: Verdict) -> None:
        """Write the final state of a machine in a transaction of its own; see ``finish_within``."""
        self._transaction(lambda session: self.finish_within(session, claim, verdict))

    def finish_within(self, session: connection, claim: Claim, verdict: Verdict) -> None:
        """Write the final state of a machine in an open transaction; writing the same state again changes nothing.

        Raises:
            TrainingError: Superseded when the lease expired and another worker took the machine over.
        """
        with session.cursor() as rows:
            rows.execute(_FINISH, self._names | vars(claim) | vars(verdict))
            if not rows.rowcount:
                raise TrainingError(
                    Reason.SUPERSEDED, f"{claim.machine}: the lease expired, and another worker took the machine over."
                )

    def give_back(self, claim: Claim, *, counted: bool) -> None:
        """Let a machine wait again.

        Args:
            claim: The machine.
            counted: Whether the attempt counts as one of its tries.
        """
        self._rows(_GIVE_BACK, **vars(claim), uncounted=int(not counted))

    def claim_task(self, task: str) -> int | None:
        """Take a task of the run that has no result, and that no other worker has a lease of; return the attempt."""
        found = self._rows(_CLAIM_TASK, task=task)
        return int(found[0][0]) if found else None

    def finish_task(self, task: str, content: Mapping[str, Any]) -> None:
        """Write the result of a task."""
        self._rows(
            f"UPDATE fleet_tasks SET result = %(result)s, lease = NULL WHERE {_THIS_RUN} AND task = %(task)s",
            task=task,
            result=json.dumps(content, allow_nan=False),
        )

    def give_back_task(self, task: str) -> None:
        """Let other workers take a task at once; the attempt does not count."""
        self._rows(
            f"UPDATE fleet_tasks SET lease = NULL, attempt = attempt - 1 WHERE {_THIS_RUN} AND task = %(task)s "
            "AND worker = %(worker)s AND result IS NULL",
            task=task,
        )

    def task_result(self, task: str) -> Mapping[str, Any] | None:
        """The result of a task; None before it is done."""
        found = self._rows(
            f"SELECT result FROM fleet_tasks WHERE {_THIS_RUN} AND task = %(task)s AND result IS NOT NULL", task=task
        )
        return found[0][0] if found else None

    def _rows(self, statement: str, **values: Any) -> list[tuple[Any, ...]]:
        """The rows of one statement in a transaction of its own."""

        def execute(session: connection) -> list[tuple[Any, ...]]:
            with session.cursor() as rows:
                rows.execute(statement, self._names | values)
                return rows.fetchall() if rows.description else []

        return self._transaction(execute)

    @staticmethod
    def _transaction(work: Callable[[connection], Result]) -> Result:
        return with_connection(work, reason=Reason.REGISTRY_FAILED)
