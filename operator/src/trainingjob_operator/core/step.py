"""The next step for one TrainingJob or TrainingFleet: one write of the status, one effect, or nothing. Pure.

The status is written before the effect. An effect is executed only from a status that already names it, so an operator
that crashes between two steps continues with the same step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trainingjob_api.reasons import Reason
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.decide import decide
from trainingjob_operator.core.decision import Decision, Explain, Relist, Requeue, SkipRun
from trainingjob_operator.core.event import Transition
from trainingjob_operator.core.run_state import debounce_until
from trainingjob_operator.core.snapshot import Progress, Snapshot
from trainingjob_operator.core.status import build_status


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Write this status. The decision that it follows from is executed by a later step.

    Attributes:
        event: Is reported beside the changes of the status.
    """

    status: Mapping[str, Any]
    event: Transition | None = None


Step = WriteStatus | Decision


def next_step(snapshot: Snapshot, progress: Progress | None, now: datetime, configuration: Configuration) -> Step:
    """Give the next step.

    Args:
        snapshot: The TrainingJob or TrainingFleet, its Jobs and its pods.
        progress: The last progress of the current run, if any.
        now: The time, with a time zone.
        configuration: The operator's configuration.
    """
    decision = decide(snapshot, now, configuration)
    if isinstance(decision, Relist | Explain):
        return decision
    if isinstance(decision, Requeue) and (until := debounce_until(snapshot, now)):
        return Requeue(min(until, decision.at or until))
    status = build_status(snapshot, decision, progress, now, configuration)
    if isinstance(decision, SkipRun):
        return WriteStatus(status, Transition(str(Reason.RUN_SKIPPED), decision.message, warning=True))
    return decision if status == snapshot.parent.status else WriteStatus(status)
