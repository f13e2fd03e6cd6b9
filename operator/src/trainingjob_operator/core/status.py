"""Builds the status of a TrainingJob from the snapshot and the decision. Pure.

It is idempotent: built from its own result, the status stays the same, so a restart of the operator writes nothing. It
satisfies the schema of the CRD, because a run whose status the API server rejects could not continue.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from trainingjob_api.hashing import gates_hash, spec_hash
from trainingjob_api.text import clean, timestamp
from trainingjob_api.window import resolve_window
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.decision import Decision, FinishRun, MarkForDeletion, StartAttempt
from trainingjob_operator.core.device import has_fallen_back, requested_device
from trainingjob_operator.core.failures import Failure, pod_failure
from trainingjob_operator.core.job import job_name
from trainingjob_operator.core.objects import JSON, TrainingJob
from trainingjob_operator.core.run_state import RunState, run_state, suspended_state
from trainingjob_operator.core.snapshot import Progress, Snapshot

MESSAGE_LENGTH = 2048
HISTORY_LENGTH = 5
FIELDS_OF_OBJECT = ("observedGeneration", "observedRetrainRequest", "history", "conditions")
FIELDS_OF_RUN = ("run", "trigger", "specHash", "startTime", "data", "device", "lastFailure")


def build_status(
    snapshot: Snapshot, decision: Decision, progress: Progress | None, now: datetime, configuration: Configuration
) -> dict[str, Any]:
    """Build the status.

    Args:
        snapshot: The TrainingJob, its Jobs and its pods.
        decision: The decision that was made from the snapshot; an effect shows only after it was executed.
        progress: The last progress of the current pod's trainer, if any.
        now: The time, with a time zone.
        configuration: The operator's configuration.
    """
    trainingjob = snapshot.trainingjob
    if isinstance(decision, StartAttempt):
        return _attempt_started(trainingjob, decision, now, configuration)
    if isinstance(decision, FinishRun):
        return _finished(snapshot, decision, now)
    if trainingjob.ended is not None:
        return _after_run(trainingjob)
    if isinstance(decision, MarkForDeletion):
        return _marked_for_deletion(snapshot, decision, now)
    return _unfinished(snapshot, run_state(snapshot, now), progress, now)


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
    trainingjob: TrainingJob, decision: StartAttempt, now: datetime, configuration: Configuration
) -> dict[str, Any]:
    old, spec = trainingjob.status, trainingjob.spec
    status = _select(old, FIELDS_OF_OBJECT)
    if decision.trigger is None:
        status |= _select(old, FIELDS_OF_RUN)
    else:
        start, end = resolve_window(spec, now)
        status |= {
            "run": decision.run,
            "trigger": decision.trigger,
            "specHash": spec_hash(spec),
            "startTime": timestamp(now),
            "data": {"end": timestamp(end)} | ({"start": timestamp(start)} if start else {}),
        }
        if decision.trigger == "RetrainRequested":
            status["observedRetrainRequest"] = trainingjob.retrain_request
        if old.get("run") and trainingjob.ended is None:
            status["history"] = _history(old, "Superseded", now)
    status |= {
        "attempt": decision.attempt,
        "gatesHash": gates_hash(spec),
        "jobName": job_name(trainingjob.name, trainingjob.uid, decision.run, decision.attempt),
        "device": requested_device(spec, configuration, fell_back=decision.fall_back or has_fallen_back(status)),
    }
    if decision.failure is not None:
        status["lastFailure"] = _last_failure(decision.failure)
    state = RunState("Pending", decision.reason, decision.message)
    if trainingjob.suspended:
        state = suspended_state(had_job=False)
    return _with_conditions(status, trainingjob, state, now)


def _marked_for_deletion(snapshot: Snapshot, decision: MarkForDeletion, now: datetime) -> dict[str, Any]:
    trainingjob = snapshot.trainingjob
    status = dict(trainingjob.status) | {"jobDeletionReason": str(decision.reason)}
    if snapshot.job is not None:
        status["jobUID"] = snapshot.job.uid
    phase, node = str(status.get("phase") or "Pending"), (status.get("device") or {}).get("node")
    return _with_conditions(status, trainingjob, RunState(phase, decision.reason, decision.message, node), now)


def _unfinished(snapshot: Snapshot, state: RunState, progress: Progress | None, now: datetime) -> dict[str, Any]:
    trainingjob, job, pod = snapshot.trainingjob, snapshot.job, snapshot.pod
    status = dict(trainingjob.status)
    if job is not None:
        status |= {"jobUID": job.uid, "failures": job.failures}
    if pod is not None:
        status["podName"] = pod.name
    if state.node is not None:
        status["device"] = {
            **(status.get("device") or {}),
            "node": state.node,
            "used": "GPU" if "resourceName" in (status.get("device") or {}) else "CPU",
        }
    last = next((p for p in reversed(snapshot.pods) if p.phase == "Failed"), None)
    if last is not None:
        status["lastFailure"] = _last_failure(pod_failure(last, trainingjob.uid, trainingjob.current_attempt.run))
    if progress is not None and pod is not None and progress.pod == pod.uid and pod.phase == "Running":
        new, old = _progress(progress), status.get("progress") or {}
        if _without_times(new) != _without_times(old):
            status["progress"] = new
    return _with_conditions(status, trainingjob, state, now)


def _finished(snapshot: Snapshot, decision: FinishRun, now: datetime) -> dict[str, Any]:
    trainingjob = snapshot.trainingjob
    old, state = trainingjob.status, RunState(decision.outcome, decision.reason, decision.message)
    status = dict(old) | {"completionTime": timestamp(decision.time)}
    if snapshot.job is not None:
        status |= {"jobUID": snapshot.job.uid, "failures": snapshot.job.failures}
    if snapshot.pods:
        status["podName"] = snapshot.pods[-1].name
    if decision.delete:
        status["jobDeletionReason"] = str(decision.reason)
    if decision.report is not None:
        fields = dict(decision.report.fields)
        # The window was resolved when the run started; the trainer only fills in an open start.
        status["data"] = {**fields.pop("data", {}), **(status.get("data") or {})}
        status["device"] = {**(status.get("device") or {}), **fields.pop("device", {})}
        status |= fields
    if decision.failure is not None:
        status["lastFailure"] = _last_failure(decision.failure)
    progress = {k: v for k, v in (status.get("progress") or {}).items() if k != "estimatedCompletionTime"}
    if decision.outcome == "Succeeded":
        progress |= {"percentage": 100, "display": "100%"}
    if progress:
        status["progress"] = progress
    status["history"] = _history(status, decision.outcome, decision.time)
    # A failed run does not observe a later edit of the spec, so that the edit starts the next run.
    generation = old.get("observedGeneration") if decision.outcome == "Failed" else None
    return _with_conditions(status, trainingjob, state, now, generation)


def _after_run(trainingjob: TrainingJob) -> dict[str, Any]:
    """A run that has ended: only the observed generation changes, with an edit of the spec that starts no new run."""
    status = dict(trainingjob.status)
    if trainingjob.ended == "Succeeded":
        status["observedGeneration"] = trainingjob.generation
        status["conditions"] = [
            {**condition, "observedGeneration": trainingjob.generation} for condition in status["conditions"]
        ]
    return status


def _with_conditions(
    status: dict[str, Any], trainingjob: TrainingJob, state: RunState, now: datetime, generation: int | None = None
) -> dict[str, Any]:
    """The status with phase, conditions and observed generation of a state."""
    generation = trainingjob.generation if generation is None else generation
    ended, suspended = state.phase in {"Succeeded", "Failed"}, state.phase == "Suspended"
    old = {c["type"]: c for c in trainingjob.status.get("conditions") or ()}
    scheduled = old.get("Scheduled", {}).get("status") == "True" if ended else state.node is not None
    succeeded = {"Succeeded": "True", "Failed": "False"}.get(state.phase, "Unknown")
    condition_states = {
        "Succeeded": succeeded,
        "Failed": _condition_status(state.phase == "Failed"),
        "Suspended": _condition_status(suspended),
        "Scheduled": _condition_status(scheduled),
        "Reconciling": _condition_status(not ended and not suspended),
        "Stalled": _condition_status(state.phase == "Failed"),
    }
    conditions = [
        {
            "type": kind,
            "status": value,
            "reason": str(state.reason),
            "message": clean(state.message, MESSAGE_LENGTH),
            "observedGeneration": generation,
            "lastTransitionTime": old[kind]["lastTransitionTime"]
            if kind in old and old[kind]["status"] == value
            else timestamp(now),
        }
        for kind, value in condition_states.items()
    ]
    return status | {"observedGeneration": generation, "phase": state.phase, "conditions": conditions}


def _progress(progress: Progress) -> dict[str, Any]:
    percentage = None if progress.ratio is None else int(100 * min(max(progress.ratio, 0.0), 1.0))
    return _without_none(
        stage=progress.stage,
        percentage=percentage,
        display=None if percentage is None else f"{percentage}%",
        epoch=progress.epoch,
        epochs=progress.epochs,
        metrics=_without_none(loss=progress.loss, valLoss=progress.validation_loss) or None,
        estimatedCompletionTime=progress.completion and timestamp(progress.completion),
        lastReportTime=timestamp(progress.time),
    )


def _without_times(progress: JSON) -> JSON:
    """The fields that change only if the training advances."""
    return {key: value for key, value in progress.items() if key not in {"lastReportTime", "estimatedCompletionTime"}}


def _last_failure(failure: Failure) -> dict[str, Any]:
    return _without_none(
        reason=str(failure.reason),
        message=clean(failure.message, MESSAGE_LENGTH),
        exitCode=failure.exit_code,
        time=timestamp(failure.time),
    )


def _history(status: JSON, phase: str, time: datetime) -> list[dict[str, Any]]:
    """The last runs that have ended, with the run of this status first."""
    entry = _without_none(
        run=status["run"],
        specHash=status.get("specHash"),
        phase=phase,
        completionTime=timestamp(time),
        summary=status.get("summary"),
        bucketAddress=(status.get("registration") or {}).get("bucketAddress"),
    )
    return [entry, *(status.get("history") or ())][:HISTORY_LENGTH]


def _select(status: JSON, keys: Iterable[str]) -> dict[str, Any]:
    return {key: status[key] for key in keys if key in status}


def _without_none(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _condition_status(value: bool) -> str:
    return "True" if value else "False"
