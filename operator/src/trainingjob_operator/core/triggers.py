"""Decides whether a new run, or an attempt for the failed machines, starts. Pure.

``status.nextScheduleTime`` is the minute at which the next scheduled run is due. It is absent while the fleet is
suspended and computed again when it is resumed, so that time spent suspended never counts.
"""

from __future__ import annotations

from datetime import datetime

from trainingjob_api.reasons import Reason
from trainingjob_api.text import instant, timestamp
from trainingjob_operator.core.decision import SkipRun, StartAttempt, Trigger
from trainingjob_operator.core.machines import count_retryable
from trainingjob_operator.core.parent import Parent


def start_run(parent: Parent, now: datetime) -> StartAttempt | SkipRun | None:
    """The run that follows a run that has ended, or the first run; None if none is due."""
    trigger = _trigger(parent)
    if trigger is not None:
        return _accept(parent, trigger)
    return _retry_failed(parent) or _scheduled_run(parent, now)


def supersede(parent: Parent) -> StartAttempt | None:
    """The run that replaces an unfinished run without a Job, if the spec hash has changed."""
    if parent.spec_hash == parent.status.get("specHash"):
        return None
    return _accept(parent, "RetrainRequested" if _retrain_requested(parent) else "SpecChanged")


def skip_run(parent: Parent, now: datetime) -> SkipRun | None:
    """Skip the scheduled run that is due while the current run has not ended."""
    due = _due_time(parent, now)
    cause = f"run {parent.current_attempt.run} has not ended"
    return None if due is None else _skip(parent, due, cause, now)


def next_schedule_time(parent: Parent, now: datetime) -> datetime | None:
    """The minute at which the next scheduled run is due; in the past if it is due now, None if there will be none.

    A minute in the past counts only if the schedule still contains it: a changed schedule starts from now.
    """
    schedule = parent.schedule
    if schedule is None or schedule.error or parent.suspended:
        return None
    planned = instant(parent.status.get("nextScheduleTime"))
    if planned is not None and planned <= now and schedule.until(planned) == planned:
        return planned
    # Another replica, whose clock is ahead, may have started the run of a minute that is still to come here.
    last = instant(parent.status.get("lastScheduleTime")) or parent.created
    return schedule.after(max(now, last) if parent.status else parent.created)


def _trigger(parent: Parent) -> Trigger | None:
    """Why a new run starts, apart from the schedule. With a schedule, a change of the spec waits for the next run."""
    status, ended = parent.status, parent.ended
    if _retrain_requested(parent):
        return "RetrainRequested"
    if parent.schedule is not None:
        return None
    if ended is None:
        return "Created"
    if parent.spec_hash != status.get("specHash"):
        return "SpecChanged"
    if ended == "Failed":
        return "SpecChanged" if parent.generation != status.get("observedGeneration") else None
    return "GatesChanged" if parent.gates_hash != status.get("gatesHash") else None


def _retrain_requested(parent: Parent) -> bool:
    """Whether the annotation has a value that the operator has not handled yet."""
    request = parent.retrain_request
    return request is not None and request != parent.status.get("observedRetrainRequest")


def _accept(parent: Parent, trigger: Trigger) -> StartAttempt:
    run = parent.current_attempt.run + 1
    return StartAttempt(run, 1, Reason.ACCEPTED, f"Run {run} is accepted: {trigger}", trigger)


def _retry_failed(parent: Parent) -> StartAttempt | SkipRun | None:
    """One more attempt of the last run for its failed machines, if the annotation asks for it."""
    request, (run, attempt) = parent.retry_request, parent.current_attempt
    if request is None or request == parent.status.get("observedRetryFailedRequest"):
        return None
    observed = {"observedRetryFailedRequest": request}
    if not count_retryable(parent.status.get("machines") or {}):
        return SkipRun("No machine is tried again: the last run has no failed machine", observed)
    if parent.spec_hash != parent.status.get("specHash"):
        message = f"No machine is tried again: the spec has changed since run {run}; request a retraining instead"
        return SkipRun(message, observed)
    message = f"Attempt {attempt + 1} of run {run} tries the failed machines again"
    return StartAttempt(run, attempt + 1, Reason.ACCEPTED, message, retry_failed=True)


def _scheduled_run(parent: Parent, now: datetime) -> StartAttempt | SkipRun | None:
    schedule, due = parent.schedule, _due_time(parent, now)
    if schedule is None or due is None:
        return None
    if now - due > schedule.starting_deadline:
        seconds = schedule.starting_deadline.total_seconds()
        return _skip(parent, due, f"it is late by more than spec.schedule.startingDeadlineSeconds = {seconds:.0f}", now)
    run = parent.current_attempt.run + 1
    message = f"Run {run} is accepted: scheduled for {timestamp(due)}"
    return StartAttempt(run, 1, Reason.ACCEPTED, message, "Scheduled", scheduled=due)


def _due_time(parent: Parent, now: datetime) -> datetime | None:
    """The scheduled minute to run for now: the last of those that were missed, so that only one run catches up."""
    schedule, planned = parent.schedule, next_schedule_time(parent, now)
    return None if schedule is None or planned is None or now < planned else schedule.until(now)


def _skip(parent: Parent, due: datetime, cause: str, now: datetime) -> SkipRun:
    schedule = parent.schedule
    assert schedule is not None
    following = {"nextScheduleTime": timestamp(schedule.after(now))}
    return SkipRun(f"The run scheduled for {timestamp(due)} is skipped: {cause}", following)
