"""The next step for one TrainingJob: one write of the status, one effect, or nothing. Pure.

The status is written before the effect. An effect is executed only from a status that already names it, so an operator
that crashes between two steps continues with the same step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trainingjob_operator.config import Configuration
from trainingjob_operator.core.decide import decide
from trainingjob_operator.core.decision import Decision, Explain, Relist, Requeue
from trainingjob_operator.core.run_state import debounce_until
from trainingjob_operator.core.snapshot import Progress, Snapshot
from trainingjob_operator.core.status import build_status


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Write this status. The decision that it follows from is executed by a later step."""

    status: Mapping[str, Any]


Step = WriteStatus | Decision


def next_step(snapshot: Snapshot, progress: Progress | None, now: datetime, configuration: Configuration) -> Step:
    """Give the next step.

    Args:
        snapshot: The TrainingJob, its Jobs and its pods.
        progress: The last progress of the current pod's trainer, if any.
        now: The time, with a time zone.
        configuration: The operator's configuration.
    """
    decision = decide(snapshot, now, configuration)
    if isinstance(decision, Relist | Explain):
        return decision
    if isinstance(decision, Requeue) and (until := debounce_until(snapshot, now)):
        return Requeue(min(until, decision.at or until))
    status = build_status(snapshot, decision, progress, now, configuration)
    return decision if status == snapshot.trainingjob.status else WriteStatus(status)
