"""Finds registered models by machine, type, run and address."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from psycopg2.extensions import connection

from trainingjob_api.fleet_run import machine_run_name
from trainingjob_api.reasons import Reason
from trainingjob_trainer.storage.postgres import with_connection
from trainingjob_trainer.storage.registry_refusal import explain_refusals
from trainingjob_trainer.storage.registry_rows import ModelRow

# The columns of an existing table may be dates, or have no time zone; the session's time zone is UTC.
_MODEL = (
    "SELECT machine_name, model_type, bucket_address, "
    "data_start_date::timestamptz, data_end_date::timestamptz, metrics FROM models"
)
_RUN_REFERENCE = re.compile(r"(?P<namespace>[^/#]+)/(?P<name>[^/#]+)(?:#(?P<run>[1-9]\d*))?")


@dataclass(frozen=True)
class RunReference:
    """Names one run of a TrainingJob, or all its runs.

    Attributes:
        namespace: Namespace of the TrainingJob.
        name: Name of the TrainingJob.
        run: Number of the run, from 1; None for all runs.
    """

    namespace: str
    name: str
    run: int | None = None

    @classmethod
    def parse(cls, text: str) -> "RunReference":
        """Read ``NAMESPACE/NAME`` or ``NAMESPACE/NAME#RUN``.

        Raises:
            ValueError: The text has another form.
        """
        found = _RUN_REFERENCE.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} must have the form NAMESPACE/NAME or NAMESPACE/NAME#RUN")
        return cls(found["namespace"], found["name"], int(found["run"]) if found["run"] else None)

    @classmethod
    def of_fleet(cls, fleet: "RunReference", machine: str) -> "RunReference":
        """The run of a machine in a run of a fleet; ``fleet`` names the TrainingFleet in place of a TrainingJob."""
        return cls(fleet.namespace, machine_run_name(fleet.name, machine), fleet.run)

    def __str__(self) -> str:
        """The text that ``parse`` reads."""
        return f"{self.namespace}/{self.name}" + (f"#{self.run}" if self.run else "")

    def of(self, rows: Iterable[ModelRow]) -> list[ModelRow]:
        """The models that this run, or any run of this TrainingJob, registered."""
        wanted = {"namespace": self.namespace, "name": self.name} | ({"run": self.run} if self.run else {})
        return [row for row in rows if wanted.items() <= _origin(row).items()]


def _origin(row: ModelRow) -> dict[str, object]:
    """The run in the metrics of a model; empty for a model of another program."""
    run = row.metrics.get("run") if isinstance(row.metrics, dict) else None
    return {key: run.get(key) for key in ("namespace", "name", "run")} if isinstance(run, dict) else {}


def registered_rows(machine: str, model_type: str) -> list[ModelRow]:
    """The registered models of a machine and type, in no order.

    Raises:
        TrainingError: RegistryFailed.
    """
    rows = _select(f"{_MODEL} WHERE machine_name = %s AND model_type = %s", machine, model_type)
    return [ModelRow(*row) for row in rows]


def registered_row(bucket_address: str) -> ModelRow | None:
    """The registered model with an address; None where there is none.

    Raises:
        TrainingError: RegistryFailed.
    """
    rows = _select(f"{_MODEL} WHERE bucket_address = %s LIMIT 1", bucket_address)
    return ModelRow(*rows[0]) if rows else None


def registered_addresses(prefix: str) -> list[str]:
    """Addresses of the registered models that start with ``prefix``.

    Raises:
        TrainingError: RegistryFailed.
    """
    rows = _select("SELECT bucket_address FROM models WHERE starts_with(bucket_address, %s)", prefix)
    return [address for (address,) in rows]


def _select(query: str, *values: str) -> list[tuple[Any, ...]]:
    def find(session: connection) -> list[tuple[Any, ...]]:
        with explain_refusals(session, "SELECT", "models", {}), session.cursor() as rows:
            rows.execute(query, values)
            return rows.fetchall()

    return with_connection(find, reason=Reason.REGISTRY_FAILED, read_only=True)
