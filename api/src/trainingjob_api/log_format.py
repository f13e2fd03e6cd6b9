"""The form of a log line in a pod, the same for operator and trainer: one JSON object per event. No I/O."""

from collections.abc import Callable, Mapping
from typing import Any

from pythonjsonlogger.json import JsonFormatter

from trainingjob_api.names import FLEET_KIND, KIND

TEXT_FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
"""The form of a log line at a terminal."""

FIELDS = (
    "time",
    "level",
    "logger",
    "trainingjob",
    "trainingfleet",
    "namespace",
    "run",
    "attempt",
    "message",
    "exception",
    "stack",
)
"""The keys of a line, in this order. A key without a value is absent."""

_OF_KOPF = "k8s_ref"


class JsonLineFormatter(JsonFormatter):
    """Formats a log record as one line of strict JSON.

    ``trainingjob`` or ``trainingfleet``, ``namespace``, ``run`` and ``attempt`` come from ``extra`` of the record, from
    the object that kopf attaches to its records, or from the identity of the process, in this order. Other extra
    attributes are left out, so that the keys are the same for every library.

    Args:
        identity: Values of these keys for records that have none.
        redact: Applied to each text before it is encoded.
    """

    def __init__(
        self, identity: Mapping[str, str | int] | None = None, redact: Callable[[str], str] = lambda text: text
    ) -> None:
        super().__init__(
            ["levelname", "name", "message"],
            rename_fields={
                "levelname": "level",
                "name": "logger",
                "exc_info": "exception",
                "stack_info": "stack",
            },
            timestamp="time",
            defaults=dict(identity or {}),
        )
        self._redact = redact

    def process_log_record(self, log_data: dict[str, Any]) -> dict[str, Any]:
        """Keep the known keys, in their order, and redact every text."""
        kopf_object = log_data.get(_OF_KOPF) or {}
        if kopf_object.get("kind") in {KIND, FLEET_KIND}:
            log_data |= identity_of(kopf_object["kind"], kopf_object.get("namespace"), kopf_object.get("name"))
        log_data["time"] = log_data["time"].isoformat()
        known = {key: log_data[key] for key in FIELDS if log_data.get(key) is not None}
        return {key: value if isinstance(value, int) else self._redact(str(value)) for key, value in known.items()}


def identity_of(
    kind: str, namespace: str | None, name: str | None, run: int | None = None, attempt: int | None = None
) -> dict[str, Any]:
    """The keys that say which object a line is about, for ``extra`` of a record.

    Args:
        kind: TrainingJob or TrainingFleet.
        namespace: Its namespace.
        name: Its name.
        run: Number of the run, from 1; None when the line is about no run.
        attempt: Number of the attempt of the run, from 1.
    """
    identity = {kind.lower(): name, "namespace": namespace, "run": run, "attempt": attempt}
    return {key: value for key, value in identity.items() if value is not None}
