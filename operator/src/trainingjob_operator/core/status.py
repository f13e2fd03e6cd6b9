"""Builds the status of a TrainingJob or TrainingFleet from the snapshot and the decision. Pure.

It is idempotent: built from its own result, the status stays the same, so a restart of the operator writes nothing. It
satisfies the schema of the CRD, because a run whose status the API server rejects could not continue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from trainingjob_api.text import clean, timestamp
from trainingjob_api.window import resolve_window
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.decision import Decision, FinishRun, MarkForDeletion, StartAttempt
from trainingjob_operator.core.device import has_fallen_back, requested_device
from trainingjob_operator.core.failures import Failure, pod_failure
from trainingjob_operator.core.fleet_status import result_fields, with_schedule, with_schedule_error
from trainingjob_operator.core.job import job_name
from trainingjob_operator.core.parent import JSON, NO_ATTEMPT, Parent, TrainingFleet
from trainingjob_operator.core.progress import progress_fields
from trainingjob_operator.core.run_state import RunState, run_state, state_without_run, suspended_state
from trainingjob_operator.core.snapshot import Progress, Snapshot

MESSAGE_LENGTH = 2048
HISTORY_LENGTH = 5
FIELDS_OF_OBJECT = (
    "observedGeneration",
    "observedRetrainRequest",
    "observedRetryFailedRequest",
    "lastScheduleTime",
    "lastSuccessfulTime",
    "history",
    "conditions",
)
FIELDS_OF_RUN = (
    "run",
    "trigger",
    "specHash",
    "startTime",
    "data",
    "device",
    "lastFailure",
    "retryFailed",
    "machines",
)


def build_status(
    snapshot: Snapshot, decision: Decision, progress: Progress | None, now: datetime, configuration: Configuration
) -> dict[str, Any]:
    """Build the status.

    Args:
        snapshot: The TrainingJob or TrainingFleet, its Jobs and its pods.
        decision: The decision that was made from the snapshot; an effect shows only after it was executed.
        progress: The last progress of the current run, if any.
        now: The time, with a time zone.
        configuration: The operator's configuration.
    """
    parent = snapshot.parent
    match decision:
        case StartAttempt():
            status = _attempt_started(parent, decision, now, configuration)
        case FinishRun():
            status = _finished(snapshot, decision, now)
        case _ if parent.current_attempt == NO_ATTEMPT:
            status = _with_conditions(dict(parent.status), parent, state_without_run(parent), now)
        case _ if parent.ended is not None:
            status = _after_run(parent, now)
        case MarkForDeletion():
            status = _marked_for_deletion(snapshot, decision, now)
        case _:
            status = _unfinished(snapshot, run_state(snapshot, now), progress, now)
    return with_schedule(status, parent, decision, now)


def merge_patch(old: JSON, new: JSON) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) that makes ``new`` of ``old``; empty when they are equal."""
    patch: dict[str, Any] = {key: None for key in old if key not in new}
    for key, value in new.items():
        before = old.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            if changes := merge_patch(before, value):
                patch[key] = changes
        elif value != before:
            patch[key] = value
    return patch


def _attempt_started(
    parent: Parent, decision: StartAttempt, now: datetime, configuration: Configuration
) -> dict[str, Any]:
    old = parent.status
    status = _select(old, FIELDS_OF_OBJECT)
    if parent.retry_request is not None and (decision.trigger or decision.retry_failed):
        # A new run tries every machine, so it answers an earlier request too.
        status["observedRetryFailedRequest"] = parent.retry_request
    if decision.trigger is None:
        status |= _select(old, FIELDS_OF_RUN)
        if decision.retry_failed:
            status["retryFailed"] = True
            status.pop("lastFailure", None)
    else:
        start, end = resolve_window(parent.training, now)
        status |= {
            "run": decision.run,
            "trigger": decision.trigger,
            "specHash": parent.spec_hash,
            "startTime": timestamp(now),
            "data": {"end": timestamp(end)} | ({"start": timestamp(start)} if start else {}),
        }
        if decision.trigger == "RetrainRequested":
            status["observedRetrainRequest"] = parent.retrain_request
        if old.get("run") and parent.ended is None:
            status["history"] = _history(old, "Superseded", now)
    status |= {
        "attempt": decision.attempt,
        "gatesHash": parent.gates_hash,
        "jobName": job_name(parent.name, parent.uid, decision.run, decision.attempt),
        "device": requested_device(parent, configuration, fell_back=decision.fall_back or has_fallen_back(status)),
    }
    if decision.failure is not None:
        status["lastFailure"] = _last_failure(decision.failure)
    state = RunState("Pending", decision.reason, decision.message)
    if parent.suspended:
        state = suspended_state(had_job=False)
    return _with_conditions(status, parent, state, now)


def _marked_for_deletion(snapshot: Snapshot, decision: MarkForDeletion, now: datetime) -> dict[str, Any]:
    parent = snapshot.parent
    status = dict(parent.status) | {"jobDeletionReason": str(decision.reason)}
    if snapshot.job is not None:
        status["jobUID"] = snapshot.job.uid
    phase, node = str(status.get("phase") or "Pending"), (status.get("device") or {}).get("node")
    return _with_conditions(status, parent, RunState(phase, decision.reason, decision.message, node), now)


def _unfinished(snapshot: Snapshot, state: RunState, progress: Progress | None, now: datetime) -> dict[str, Any]:
    parent = snapshot.parent
    status = dict(parent.status)
    status |= _of_job(snapshot)
    if state.node is not None:
        status["device"] = {
            **(status.get("device") or {}),
            **({} if isinstance(parent, TrainingFleet) else {"node": state.node}),
            "used": "GPU" if "resourceName" in (status.get("device") or {}) else "CPU",
        }
    last = next((p for p in reversed(snapshot.pods) if p.phase == "Failed"), None)
    if last is not None:
        status["lastFailure"] = _last_failure(pod_failure(last, parent.uid, parent.current_attempt.run))
    if progress is not None and any(pod.uid == progress.pod and pod.phase == "Running" for pod in snapshot.pods):
        status |= progress_fields(parent, progress)
    return _with_conditions(status, parent, state, now)


def _finished(snapshot: Snapshot, decision: FinishRun, now: datetime) -> dict[str, Any]:
    parent = snapshot.parent
    old, state = parent.status, RunState(decision.outcome, decision.reason, decision.message)
    status = dict(old) | {"completionTime": timestamp(decision.time)}
    status |= _of_job(snapshot)
    if decision.delete:
        status["jobDeletionReason"] = str(decision.reason)
    if decision.report is not None:
        fields = dict(decision.report.fields)
        # The window was resolved when the run started; the trainer only fills in an open start.
        status["data"] = {**fields.pop("data", {}), **(status.get("data") or {})}
        status["device"] = {**(status.get("device") or {}), **fields.pop("device", {})}
        status |= fields
    if isinstance(parent, TrainingFleet):
        status |= result_fields(decision)
    if decision.failure is not None:
        status["lastFailure"] = _last_failure(decision.failure)
    progress = {k: v for k, v in (status.get("progress") or {}).items() if k != "estimatedCompletionTime"}
    if decision.outcome == "Succeeded":
        status["lastSuccessfulTime"] = timestamp(decision.time)
        progress |= {"percentage": 100, "display": "100%"}
    if progress:
        status["progress"] = progress
    status["history"] = _history(status, decision.outcome, decision.time)
    # A failed run does not observe a later edit of the spec, so that the edit starts the next run.
    edits_count = decision.outcome == "Failed" and parent.schedule is None
    generation = old.get("observedGeneration") if edits_count else None
    return _with_conditions(status, parent, state, now, generation)


def _after_run(parent: Parent, now: datetime) -> dict[str, Any]:
    """A run that has ended: only the observed generation changes, with an edit of the spec that starts no new run."""
    status = dict(parent.status)
    if parent.ended == "Succeeded" or parent.schedule is not None:
        status["observedGeneration"] = parent.generation
        status["conditions"] = [
            {**condition, "observedGeneration": parent.generation} for condition in status["conditions"]
        ]
    if isinstance(parent, TrainingFleet):
        conditions = {condition["type"]: condition for condition in status["conditions"]}
        stalled = with_schedule_error(conditions["Stalled"], parent, conditions["Succeeded"], now)
        status["conditions"] = list((conditions | {"Stalled": stalled}).values())
    return status


def _of_job(snapshot: Snapshot) -> dict[str, Any]:
    """The fields that describe the current Job; a TrainingFleet has no fields for its single pods."""
    fields: dict[str, Any] = {} if snapshot.job is None else {"jobUID": snapshot.job.uid}
    if not isinstance(snapshot.parent, TrainingFleet):
        if snapshot.job is not None:
            fields["failures"] = snapshot.job.failures
        if snapshot.pod is not None:
            fields["podName"] = snapshot.pod.name
    return fields


def _with_conditions(
    status: dict[str, Any], parent: Parent, state: RunState, now: datetime, generation: int | None = None
) -> dict[str, Any]:
    """The status with phase, conditions and observed generation of a state."""
    generation = parent.generation if generation is None else generation
    ended = state.phase in {"Succeeded", "Failed"}
    old = {c["type"]: c for c in parent.status.get("conditions") or ()}
    message, changed = clean(state.message, MESSAGE_LENGTH), timestamp(now)
    scheduled = old.get("Scheduled", {}).get("status") == "True" if ended else state.node is not None
    succeeded = {"Succeeded": "True", "Failed": "False"}.get(state.phase, "Unknown")
    condition_states = {
        "Succeeded": succeeded,
        "Failed": _condition_status(state.phase == "Failed"),
        "Suspended": _condition_status(state.phase == "Suspended"),
        "Scheduled": _condition_status(scheduled),
        "Reconciling": _condition_status(state.phase not in {"Succeeded", "Failed", "Suspended", "Scheduled"}),
        "Stalled": _condition_status(state.phase == "Failed"),
    }
    conditions = [
        {
            "type": kind,
            "status": value,
            "reason": str(state.reason),
            "message": message,
            "observedGeneration": generation,
            "lastTransitionTime": old[kind]["lastTransitionTime"]
            if kind in old and old[kind]["status"] == value
            else changed,
        }
        for kind, value in condition_states.items()
    ]
    return status | {"observedGeneration": generation, "phase": state.phase, "conditions": conditions}


def _last_failure(failure: Failure) -> dict[str, Any]:
    return _without_none(
        reason=str(failure.reason),
        message=clean(failure.message, MESSAGE_LENGTH),
        exitCode=failure.exit_code,
        time=timestamp(failure.time),
    )


def _history(status: JSON, phase: str, time: datetime) -> list[dict[str, Any]]:
    """The last runs that have ended, with the run of this status first; it may have ended before."""
    others = [run for run in status.get("history") or () if run["run"] != status["run"]]
    entry = _without_none(
        run=status["run"],
        specHash=status.get("specHash"),
        phase=phase,
        completionTime=timestamp(time),
        summary=status.get("summary"),
        bucketAddress=(status.get("registration") or {}).get("bucketAddress"),
    )
    return [entry, *others][:HISTORY_LENGTH]


def _select(status: JSON, keys: Iterable[str]) -> dict[str, Any]:
    return {key: status[key] for key in keys if key in status}


def _without_none(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _condition_status(value: bool) -> str:
    return "True" if value else "False"
