"""The run that a new object starts with, resolved like the operator does, for commands without a cluster."""

import uuid
from datetime import UTC, datetime
from typing import Any

from trainingjob_api.spec import Training
from trainingjob_api.training_run import Window
from trainingjob_api.values import DEFAULT_ACCELERATOR_POLICIES, AcceleratorPolicy
from trainingjob_api.window import resolve_window
from trainingjob_trainer.documents.manifest import Metadata


def first_run_fields(
    metadata: Metadata, training: Training, policy: AcceleratorPolicy | None, now: datetime | None
) -> dict[str, Any]:
    """The fields of the first run that do not depend on the kind.

    Args:
        metadata: Of the object.
        training: What it trains.
        policy: The accelerator policy in its spec.
        now: The time at which the run is accepted; None is the current time.
    """
    start, end = resolve_window(training.as_json(), now or datetime.now(UTC))
    return {
        "namespace": metadata.namespace or "local",
        "name": metadata.name,
        "uid": str(uuid.uuid4()),
        "run": 1,
        "attempt": 1,
        "window": Window(start=start, end=end),
        "accelerator_policy": policy or DEFAULT_ACCELERATOR_POLICIES[training.model.type],
        "adopt": training.reuse == "Equal",
    }
