"""Builds the status of a TrainingJob from what is known and what was decided. Pure.

Applied to its own result it changes nothing: a restart of the operator writes nothing. It keeps to the CRD's schema
(a property test holds it to that), because a status that the API server refuses would wedge the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from trainingjob_api.hashing import gates_hash, spec_hash
from trainingjob_api.text import clean, timestamp
from trainingjob_api.window import resolve_window
from trainingjob_operator.config import Configuration
from trainingjob_operator.core.decision import Announce, Claim, Decision, Finish
from trainingjob_operator.core.device import has_fallen_back, requested_device
from trainingjob_operator.core.failures import Failure, failure
from trainingjob_operator.core.job import job_name
from trainingjob_operator.core.objects import JSON, TrainingJob
from trainingjob_operator.core.run_state import Situation, held, situation
from trainingjob_operator.core.snapshot import Progress, View

MESSAGE_LENGTH = 2048
RUNS_REMEMBERED = 5
OF_THE_OBJECT = ("observedGeneration", "observedRetrainRequest", "history", "conditions")
OF_THE_RUN = ("run", "trigger", "specHash", "startTime", "data", "device", "lastFailure")


def derive(
    view: View, decision: Decision, progress: Progress | None, now: datetime, configuration: Configuration
) -> dict[str, Any]:
    """Give the status that says what is known and what was decided.

    Args:
        view: What is known.
        decision: What was decided from it; effects do not show, their results do.
        progress: What the current pod's trainer said last, if anything.
        now: The time, with a time zone.
        configuration: What the operator was deployed with.
    """
    trainingjob = view.trainingjob
    if isinstance(decision, Claim):
        return _claimed(trainingjob, decision, now, configuration)
    if isinstance(decision, Finish):
        return _finished(view, decision, now)
    if trainingjob.ended is not None:
        return _still(trainingjob)
    if isinstance(decision, Announce):
        return _announced(view, decision, now)
    return _observed(view, situation(view, now), progress, now)


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


def _claimed(trainingjob: TrainingJob, claim: Claim, now: datetime, configuration: Configuration) -> dict[str, Any]:
    old, spec = trainingjob.status, trainingjob.spec
    status = _kept(old, OF_THE_OBJECT)
    if claim.trigger is None:
        status |= _kept(old, OF_THE_RUN)
    else:
        start, end = resolve_window(spec, now)
        status |= {
            "run": claim.run,
            "trigger": claim.trigger,
            "specHash": spec_hash(spec),
            "startTime": timestamp(now),
            "data": {"end": timestamp(end)} | ({"start": timestamp(start)} if start else {}),
        }
        if claim.trigger == "RetrainRequested":
            status["observedRetrainRequest"] = trainingjob.retrain_request
        if old.get("run") and trainingjob.ended is None:
            status["history"] = _history(old, "Superseded", now)
    status |= {
        "attempt": claim.attempt,
        "gatesHash": gates_hash(spec),
        "jobName": job_name(trainingjob.name, trainingjob.uid, claim.run, claim.attempt),
        "device": requested_device(spec, configuration, fell_back=claim.fall_back or has_fallen_back(status)),
    }
    if claim.failure is not None:
        status["lastFailure"] = _failure(claim.failure)
    where = Situation("Pending", claim.reason, claim.message)
    if trainingjob.suspended:
        where = held(had_job=False)
    return _told(status, trainingjob, where, now)


def _announced(view: View, decision: Announce, now: datetime) -> dict[str, Any]:
    trainingjob = view.trainingjob
    status = dict(trainingjob.status) | {"jobDeletionReason": str(decision.reason)}
    if view.job is not None:
        status["jobUID"] = view.job.uid
    phase, node = str(status.get("phase") or "Pending"), (status.get("device") or {}).get("node")
    return _told(status, trainingjob, Situation(phase, decision.reason, decision.message, node), now)


def _observed(view: View, where: Situation, progress: Progress | None, now: datetime) -> dict[str, Any]:
    trainingjob, job, pod = view.trainingjob, view.job, view.pod
    status = dict(trainingjob.status)
    if job is not None:
        status |= {"jobUID": job.uid, "failures": job.failures}
    if pod is not None:
        status["podName"] = pod.name
    if where.node is not None:
        status["device"] = {
            **(status.get("device") or {}),
            "node": where.node,
            "used": "GPU" if "resourceName" in (status.get("device") or {}) else "CPU",
        }
    last = next((p for p in reversed(view.tries) if p.phase == "Failed"), None)
    if last is not None:
        status["lastFailure"] = _failure(failure(last, trainingjob.uid, trainingjob.claim[0]))
    if progress is not None and pod is not None and progress.pod == pod.uid and pod.phase == "Running":
        told, before = _progress(progress), status.get("progress") or {}
        if _advance(told) != _advance(before):
            status["progress"] = told
    return _told(status, trainingjob, where, now)


def _finished(view: View, decision: Finish, now: datetime) -> dict[str, Any]:
    trainingjob = view.trainingjob
    observed, where = view.trainingjob.status, Situation(decision.outcome, decision.reason, decision.message)
    status = dict(observed) | {"completionTime": timestamp(decision.time)}
    if view.job is not None:
        status |= {"jobUID": view.job.uid, "failures": view.job.failures}
    if view.tries:
        status["podName"] = view.tries[-1].name
    if decision.delete:
        status["jobDeletionReason"] = str(decision.reason)
    if decision.report is not None:
        fields = dict(decision.report.fields)
        # The window of the claim is the run's; the trainer only fills in where it is open.
        status["data"] = {**fields.pop("data", {}), **(status.get("data") or {})}
        status["device"] = {**(status.get("device") or {}), **fields.pop("device", {})}
        status |= fields
    if decision.failure is not None:
        status["lastFailure"] = _failure(decision.failure)
    progress = {k: v for k, v in (status.get("progress") or {}).items() if k != "estimatedCompletionTime"}
    if decision.outcome == "Succeeded":
        progress |= {"percentage": 100, "display": "100%"}
    if progress:
        status["progress"] = progress
    status["history"] = _history(status, decision.outcome, decision.time)
    # An edit that this run has not seen is not observed by a failure: it starts the next run.
    generation = observed.get("observedGeneration") if decision.outcome == "Failed" else None
    return _told(status, trainingjob, where, now, generation)


def _still(trainingjob: TrainingJob) -> dict[str, Any]:
    """A run that has ended: only the spec may have moved on without asking for another."""
    status = dict(trainingjob.status)
    if trainingjob.ended == "Succeeded":
        status["observedGeneration"] = trainingjob.generation
        status["conditions"] = [
            {**condition, "observedGeneration": trainingjob.generation} for condition in status["conditions"]
        ]
    return status


def _told(
    status: dict[str, Any], trainingjob: TrainingJob, where: Situation, now: datetime, generation: int | None = None
) -> dict[str, Any]:
    """Phase, conditions and observed generation for a situation."""
    generation = trainingjob.generation if generation is None else generation
    status["observedGeneration"] = generation
    status["phase"] = where.phase
    ended, suspended = where.phase in {"Succeeded", "Failed"}, where.phase == "Suspended"
    old = {c["type"]: c for c in trainingjob.status.get("conditions") or ()}
    scheduled = old.get("Scheduled", {}).get("status") == "True" if ended else where.node is not None
    verdict = {"Succeeded": "True", "Failed": "False"}.get(where.phase, "Unknown")
    states = {
        "Succeeded": verdict,
        "Failed": _boolean(where.phase == "Failed"),
        "Suspended": _boolean(suspended),
        "Scheduled": _boolean(scheduled),
        "Reconciling": _boolean(not ended and not suspended),
        "Stalled": _boolean(where.phase == "Failed"),
    }
    status["conditions"] = [
        {
            "type": kind,
            "status": state,
            "reason": str(where.reason),
            "message": clean(where.message, MESSAGE_LENGTH),
            "observedGeneration": generation,
            "lastTransitionTime": old[kind]["lastTransitionTime"]
            if kind in old and old[kind]["status"] == state
            else timestamp(now),
        }
        for kind, state in states.items()
    ]
    return status


def _progress(progress: Progress) -> dict[str, Any]:
    percentage = None if progress.ratio is None else int(100 * min(max(progress.ratio, 0.0), 1.0))
    return _present(
        stage=progress.stage,
        percentage=percentage,
        display=None if percentage is None else f"{percentage}%",
        epoch=progress.epoch,
        epochs=progress.epochs,
        metrics=_present(loss=progress.loss, valLoss=progress.validation_loss) or None,
        estimatedCompletionTime=progress.completion and timestamp(progress.completion),
        lastReportTime=timestamp(progress.time),
    )


def _advance(progress: JSON) -> JSON:
    """What moves when the training does."""
    return {key: value for key, value in progress.items() if key not in {"lastReportTime", "estimatedCompletionTime"}}


def _failure(what: Failure) -> dict[str, Any]:
    return _present(
        reason=str(what.reason),
        message=clean(what.message, MESSAGE_LENGTH),
        exitCode=what.exit_code,
        time=timestamp(what.time),
    )


def _history(status: JSON, phase: str, time: datetime) -> list[dict[str, Any]]:
    """The last runs that ended, with the one that the status speaks of in front."""
    entry = _present(
        run=status["run"],
        specHash=status.get("specHash"),
        phase=phase,
        completionTime=timestamp(time),
        summary=status.get("summary"),
        bucketAddress=(status.get("registration") or {}).get("bucketAddress"),
    )
    return [entry, *(status.get("history") or ())][:RUNS_REMEMBERED]


def _kept(status: JSON, keys: Iterable[str]) -> dict[str, Any]:
    return {key: status[key] for key in keys if key in status}


def _present(**values: Any) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _boolean(value: bool) -> str:
    return "True" if value else "False"
