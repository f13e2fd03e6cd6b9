"""The result of a fleet's run, machine by machine: the input of the fleet's page, and the same as JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from trainingjob_api.fleet_run import GOOD_STATES, MachineState, machine_counts
from trainingjob_api.text import timestamp
from trainingjob_api.training_run import Window

_STATES_WORST_FIRST = (MachineState.FAILED, MachineState.REJECTED, MachineState.WAITING, MachineState.RUNNING)


@dataclass(frozen=True)
class MachineRow:
    """How a run of a fleet left one machine. A fact that is not known is None or empty.

    Attributes:
        machine: Name of the machine.
        state: Its state.
        reason: Why it is in this state, a name in the list of reasons where there is one.
        message: What happened and what to do, as a complete sentence.
        summary: The model's quality in a few words.
        metrics: Metrics of the model that the machine has now, or of the rejected one.
        rows: Rows of telemetry that the model is made from.
        data_start: First instant of these rows.
        data_end: Last instant of these rows.
        registered_at: When the model that the machine has now was registered; of a failed machine, its last model.
        bucket_address: Key of that model's object.
        report_uri: URI of the machine's own report, in the same bucket as the fleet's page.
        attempts: How often the machine was started in this run.
        seconds: Duration of the last attempt.
    """

    machine: str
    state: MachineState
    reason: str = ""
    message: str = ""
    summary: str = ""
    metrics: Mapping[str, Any] = field(default_factory=dict)
    rows: int | None = None
    data_start: datetime | None = None
    data_end: datetime | None = None
    registered_at: datetime | None = None
    bucket_address: str = ""
    report_uri: str = ""
    attempts: int = 0
    seconds: float | None = None


@dataclass(frozen=True)
class FleetSummary:
    """The result of a run of a fleet.

    Attributes:
        namespace: Namespace of the TrainingFleet.
        name: Name of the TrainingFleet.
        uid: UID of the TrainingFleet.
        run: Number of the run, from 1.
        attempt: Number of the attempt that ended the run, from 1.
        model_type: The value of ``spec.template.model.type``.
        window: The window of the data.
        started: When the run started.
        completed: When its last machine reached a final state.
        machines: Every selected machine.
        notes: What concerns the whole run, as complete sentences.
        page_uri: Where the page will be stored, so that it can link to the reports of machines; empty gives no links.
    """

    namespace: str
    name: str
    uid: str
    run: int
    attempt: int
    model_type: str
    window: Window
    started: datetime
    completed: datetime
    machines: Sequence[MachineRow]
    notes: Sequence[str] = ()
    page_uri: str = ""

    @property
    def counts(self) -> dict[str, int]:
        """Number of machines in each state, and of all of them as ``selected``."""
        return machine_counts(Counter(row.state for row in self.machines))

    @property
    def quality(self) -> str:
        """The metric by which the models are compared."""
        return "skill" if self.model_type == "gru" else "average_precision"

    @property
    def line(self) -> str:
        """The result in a few words."""
        values = [
            value for row in self.machines if row.state in GOOD_STATES and (value := self.quality_of(row)) is not None
        ]
        line = f"{sum(row.state in GOOD_STATES for row in self.machines)} of {len(self.machines)}"
        return f"{line}, median {self.quality.replace('_', ' ')} {median(values):.2f}" if values else line

    def quality_of(self, row: MachineRow) -> float | None:
        """The value of ``quality`` of one machine; None where it is not known."""
        return finite(row.metrics.get(self.quality))

    def worst_first(self) -> list[MachineRow]:
        """The machines: failed, rejected, unfinished, then the others from the worst model to the best."""
        order = {state: place for place, state in enumerate(_STATES_WORST_FIRST)}

        def place(row: MachineRow) -> tuple[int, bool, float, str]:
            value = self.quality_of(row)
            return order.get(row.state, len(order)), value is not None, value or 0.0, row.machine

        return sorted(self.machines, key=place)


def finite(value: object) -> float | None:
    """A finite number as float; None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < float("inf") else None


def fleet_json(summary: FleetSummary) -> bytes:
    """The result of a run as strict JSON, with the names of the Kubernetes API; the worst machine comes first.

    Of the metrics it has the plain numbers; the registry has all of them.
    """
    content = {
        "namespace": summary.namespace,
        "name": summary.name,
        "uid": summary.uid,
        "run": summary.run,
        "attempt": summary.attempt,
        "modelType": summary.model_type,
        "window": {"start": _instant(summary.window.start), "end": _instant(summary.window.end)},
        "startTime": _instant(summary.started),
        "completionTime": _instant(summary.completed),
        "counts": summary.counts,
        "notes": list(summary.notes),
        "machines": [_machine(row) for row in summary.worst_first()],
    }
    return (json.dumps(content, allow_nan=False, indent=1) + "\n").encode()


def _machine(row: MachineRow) -> dict[str, Any]:
    return {
        "machine": row.machine,
        "state": row.state.value,
        "reason": row.reason,
        "message": row.message,
        "summary": row.summary,
        "metrics": {name: value for name, value in row.metrics.items() if finite(value) is not None},
        "rows": row.rows,
        "dataStart": _instant(row.data_start),
        "dataEnd": _instant(row.data_end),
        "registeredAt": _instant(row.registered_at),
        "bucketAddress": row.bucket_address,
        "reportUri": row.report_uri,
        "attempts": row.attempts,
        "seconds": row.seconds,
    }


def _instant(moment: datetime | None) -> str | None:
    return None if moment is None else timestamp(moment)
