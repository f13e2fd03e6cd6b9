"""Builds the termination message: the result of a run as JSON of at most 4096 bytes, for the operator.

``termination_report`` reads it.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from trainingjob_api.metrics import KEPT_METRICS
from trainingjob_api.text import clean

LIMIT_BYTES = 4096
"""Limit of the kubelet; of a longer message it keeps only the end."""
SUMMARY_CHARACTERS = 64
"""Maximum length of the summary in the CRD."""

_MESSAGE_CHARACTERS = 1024
_SHORT_MESSAGE_CHARACTERS = 256
Outcome = Literal["Succeeded", "Failed", "Stopped"]
"""How a run ended; a stopped run can resume from a checkpoint."""
Message = dict[str, Any]


def termination_message(facts: Mapping[str, Any]) -> bytes:
    """Encode the result of a run in at most 4096 bytes of JSON.

    Values that are None, empty or not finite are omitted. If the message is too long, parts are removed in this order
    until it fits: warnings (the last one first), failures of machines (the last one first), all metrics except
    ``KEPT_METRICS``, all files except the model and its scaler, the remaining metrics, the end of the message text,
    the remaining files, the data.

    Args:
        facts: Values by the names that the operator reads: uid, run, attempt, outcome, reason, message, exitCode,
            summary, metrics, artifacts, registration, data, device, warnings; of a fleet also machines and failures.
    """
    message = _without_nothing(facts)
    message["message"] = clean(message.get("message", ""), _MESSAGE_CHARACTERS)
    if "metrics" in message:
        message["metrics"] = _finite_numbers(message["metrics"])
    if "summary" in message:
        message["summary"] = clean(message["summary"], SUMMARY_CHARACTERS)
    for name, shorten in _DROP_ORDER:
        while len(_encoded(message)) > LIMIT_BYTES and name in message:
            before = message.pop(name)
            if after := shorten(before):
                message[name] = after
            if after == before:
                break
    return _encoded(message)


def _finite_numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """The metrics whose values are finite numbers."""
    return {
        name: value
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }


def _without_nothing(facts: Mapping[str, Any]) -> Message:
    result: Message = {}
    for name, value in facts.items():
        kept = _without_nothing(value) if isinstance(value, Mapping) and name != "metrics" else value
        if kept is None or (isinstance(kept, Mapping | Sequence) and not kept):
            continue
        if isinstance(kept, float) and not math.isfinite(kept):
            continue
        result[name] = list(kept) if isinstance(kept, tuple) else kept
    return result


_DROP_ORDER: tuple[tuple[str, Callable[[Any], Any]], ...] = (
    ("warnings", lambda warnings: warnings[:-1]),
    ("failures", lambda failures: failures[:-1]),
    ("metrics", lambda metrics: {name: metrics[name] for name in KEPT_METRICS if name in metrics}),
    ("artifacts", lambda files: [file for file in files if file["name"] in ("model", "scaler")]),
    ("metrics", lambda metrics: None),
    ("message", lambda message: clean(message, _SHORT_MESSAGE_CHARACTERS)),
    ("artifacts", lambda files: None),
    ("data", lambda data: None),
)


def _encoded(message: Message) -> bytes:
    return json.dumps(message, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode(
        "utf-8", errors="replace"
    )
