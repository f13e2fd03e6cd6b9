"""Reads and validates the termination message that ``termination_message`` builds.

The API server would refuse a status that violates the CRD, and the run could not finish. So each value is checked
against the CRD's types and bounds: an invalid value is omitted, and prose that is too long is cut.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, get_args

from trainingjob_api.fleet_run import SELECTED, MachineState
from trainingjob_api.reasons import Reason
from trainingjob_api.termination_message import SUMMARY_CHARACTERS, Outcome
from trainingjob_api.text import clean, instant

LARGEST_INTEGER = 2**63 - 1
LARGEST_INT32 = 2**31 - 1
LARGEST_EXACT_FLOAT = 2**53
MAXIMUM_FAILURES = 20
"""Failed machines in the status of a fleet; its report has all of them."""
SHA256 = re.compile(r"[0-9a-f]{64}")

Check = Callable[[Any], Any]
"""Returns the value as the CRD allows it, or None to omit it."""


@dataclass(frozen=True, slots=True)
class Report:
    """The result that a trainer reports; ``fields`` are sections of the status, within the CRD's bounds."""

    outcome: Outcome
    reason: Reason
    message: str
    fields: Mapping[str, Any]


def read_report(message: str, uid: str, run: int, *, fleet: bool = False) -> Report | None:
    """Parse the report in a container's termination message; None when there is none, or it is from another run.

    Args:
        message: The termination message. By the policy FallbackToLogsOnError it may also be the end of a log.
        uid: UID of the TrainingJob or TrainingFleet.
        run: Number of the run that the container was started for.
        fleet: Whether a worker of a TrainingFleet wrote it.
    """
    if not message.startswith("{"):
        return None
    try:
        content: Any = json.loads(message)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, Mapping) or (content.get("uid"), content.get("run")) != (uid, run):
        return None
    outcome: Any = content.get("outcome")
    if outcome not in get_args(Outcome):
        return None
    otherwise = Reason.COMPLETED if outcome == "Succeeded" else Reason.TRAINER_ERROR
    text = content.get("message")
    return Report(
        outcome=outcome,
        reason=Reason.known(content.get("reason"), otherwise),
        message=text if isinstance(text, str) else "",
        fields=(FLEET_SECTIONS if fleet else SECTIONS)(content) or {},
    )


def _text(length: int, pattern: re.Pattern[str] | None = None) -> Check:
    """Text that is not cut when it is too long, because a shortened name or address would be wrong."""

    def check(value: Any) -> str | None:
        fits = isinstance(value, str) and 0 < len(value) <= length and (pattern is None or pattern.fullmatch(value))
        return clean(value, length) if fits else None

    return check


def _prose(length: int) -> Check:
    return lambda value: clean(value, length) if isinstance(value, str) and value else None


def _moment(value: Any) -> str | None:
    try:
        return value if isinstance(value, str) and len(value) <= 32 and value.endswith("Z") and instant(value) else None
    except ValueError:
        return None


def _count(value: Any) -> int | None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return value if whole and 0 <= value <= LARGEST_INTEGER else None


def _machine_count(value: Any) -> int | None:
    count = _count(value)
    return count if count is not None and count <= LARGEST_INT32 else None


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int) and abs(value) <= LARGEST_EXACT_FLOAT:
        return value
    try:
        number = float(value)
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _one_of(*words: str) -> Check:
    return lambda value: value if value in words else None


def _record(required: tuple[str, ...] = (), /, **checks: Check) -> Check:
    def check(value: Any) -> dict[str, Any] | None:
        if not isinstance(value, Mapping):
            return None
        kept = {name: fit for name, fits in checks.items() if (fit := fits(value.get(name))) is not None}
        return kept if kept and all(name in kept for name in required) else None

    return check


def _list(length: int, fits: Check, key: str | None = None) -> Check:
    def check(value: Any) -> list[Any] | None:
        items = [fit for item in value if (fit := fits(item)) is not None] if isinstance(value, list) else []
        if key is not None:
            items = list({item[key]: item for item in items}.values())
        return items[:length] or None

    return check


def _numbers(length: int) -> Check:
    def check(value: Any) -> dict[str, float] | None:
        if not isinstance(value, Mapping):
            return None
        named = ((clean(name, 63), _number(number)) for name, number in value.items() if 0 < len(name) <= 63)
        return dict([(name, number) for name, number in named if number is not None][:length]) or None

    return check


_ARTIFACTS = _list(
    16,
    _record(("name", "uri"), name=_text(63), uri=_text(1024), sha256=_text(64, SHA256), sizeBytes=_count),
    key="name",
)
_DEVICE = _record(used=_one_of("CPU", "GPU"))
SECTIONS = _record(
    summary=_prose(SUMMARY_CHARACTERS),
    metrics=_numbers(64),
    artifacts=_ARTIFACTS,
    registration=_record(modelID=_text(64), bucketAddress=_text(1024)),
    data=_record(start=_moment, end=_moment, rowsRead=_count, rowsUsed=_count, segments=_count, fingerprint=_text(128)),
    device=_DEVICE,
    warnings=_list(16, _prose(512)),
)
FLEET_SECTIONS = _record(
    summary=_prose(SUMMARY_CHARACTERS),
    machines=_record(**dict.fromkeys((SELECTED, *MachineState), _machine_count)),
    failures=_list(
        MAXIMUM_FAILURES,
        _record(("machine", "reason"), machine=_text(63), reason=_one_of(*Reason), message=_prose(256)),
        key="machine",
    ),
    artifacts=_ARTIFACTS,
    device=_DEVICE,
    warnings=_list(16, _prose(512)),
)
