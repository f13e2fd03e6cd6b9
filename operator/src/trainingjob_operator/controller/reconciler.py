"""Executes one step for one TrainingJob or TrainingFleet: one write of the status or one effect.

The status is written onto the resourceVersion that the step was made from. After any error, the next step starts again
from what the API server has.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import TypeVar

from trainingjob_api.log_format import identity_of
from trainingjob_api.names import LABEL_UID
from trainingjob_api.text import instant
from trainingjob_operator import metrics
from trainingjob_operator.config import Configuration
from trainingjob_operator.controller.cache import Cache
from trainingjob_operator.controller.client import EVENTS, RESOURCES, WORKLOADS, ApiError, KubernetesClient
from trainingjob_operator.controller.recorder import Recorder
from trainingjob_operator.core import explanation
from trainingjob_operator.core.decision import CreateJob, DeleteJob, DeletePod, Explain, Relist, Requeue, SetTTL
from trainingjob_operator.core.event import Transition, build_event, transition
from trainingjob_operator.core.job import build_job
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.parent import JSON, Key, Parent
from trainingjob_operator.core.run_state import CREATE_ERROR_THRESHOLD
from trainingjob_operator.core.snapshot import CreateError, Explanation, Progress
from trainingjob_operator.core.status import merge_patch
from trainingjob_operator.core.step import WriteStatus, next_step

Child = TypeVar("Child", Job, Pod)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What follows a step.

    Attributes:
        requeue: Whether the step changed or read something, so that another step follows at once.
        requeue_after: How long to wait before reconciling again if no event comes first.
    """

    requeue: bool = False
    requeue_after: timedelta | None = None


class Reconciler:
    """Executes the steps of all TrainingJobs and TrainingFleets."""

    def __init__(
        self,
        client: KubernetesClient,
        cache: Cache,
        recorder: Recorder,
        configuration: Configuration,
        progress: Callable[[Parent], Progress | None],
    ) -> None:
        self._client = client
        self._cache = cache
        self._recorder = recorder
        self._configuration = configuration
        self._progress = progress
        self._relisted: set[Key] = set()

    async def reconcile(self, key: Key) -> Result:
        """Execute the next step for one TrainingJob or TrainingFleet.

        Raises:
            ApiError: A request failed; reconcile again after a delay.
        """
        snapshot = self._cache.snapshot(key, fresh=key in self._relisted)
        self._relisted.discard(key)
        if snapshot is None or snapshot.parent.deleting:
            return Result()
        parent, now = snapshot.parent, self._client.now()
        match next_step(snapshot, self._progress(parent), now, self._configuration):
            case Requeue(at=at):
                return Result(requeue_after=None if at is None else at - now)
            case WriteStatus(status=status, event=event):
                await self._write_status(parent, status, event, now)
            case CreateJob():
                await self._create_job(parent)
            case DeleteJob(job=job):
                await self._delete(job, self._client.delete_job)
            case DeletePod(pod=pod):
                await self._delete(pod, self._client.delete_pod)
            case SetTTL(job=job, seconds=seconds):
                await self._set_ttl(job, seconds)
            case Relist():
                await self._relist(parent)
                self._relisted.add(key)
            case Explain(job=job):
                text = await self._read_explanation(job)
                self._cache.set_explanation(parent.uid, Explanation((job.uid, job.version), now, text))
        return Result(requeue=True)

    async def _write_status(self, parent: Parent, status: JSON, event: Transition | None, now: datetime) -> None:
        patch = merge_patch(parent.status, status)
        try:
            answer = await self._client.patch_status(parent, patch)
        except ApiError as error:
            if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise
            await self._read(parent)
            return
        written = type(parent).parse(answer)
        self._cache.put(written)
        change = transition(parent.status, written.status)
        for reported in (event, change):
            if reported is not None:
                attempt = written.current_attempt
                facts = (written.key, *attempt, reported.reason, reported.message)
                logger.info("%s run %d attempt %d: %s: %s", *facts, extra=identity_of(*written.key, *attempt))
                self._recorder.record(build_event(written, reported, now))
        if change is not None and written.ended and not parent.ended:
            metrics.RUNS_ENDED.labels(written.kind, written.model_type, written.ended, change.reason).inc()
            began, ended = instant(written.status.get("startTime")), instant(written.status.get("completionTime"))
            if began and ended:
                seconds = (ended - began).total_seconds()
                metrics.RUN_SECONDS.labels(written.kind, written.model_type, written.ended).observe(seconds)

    async def _create_job(self, parent: Parent) -> None:
        """Create the Job of the current attempt, or adopt it if it exists."""
        body = build_job(parent, self._configuration)
        resource, name = RESOURCES[Job], body["metadata"]["name"]
        try:
            job = Job.parse(await self._client.create(resource, parent.namespace, body))
        except ApiError as error:
            match error.status:
                case HTTPStatus.CONFLICT:
                    found = await self._client.get(resource, parent.namespace, name)
                    if found is None:
                        return
                    job = Job.parse(found)
                    if job.owner != parent.uid:
                        message = f"a Job {name} exists that does not belong to this {parent.kind}"
                        self._add_create_error(parent, message, final=True)
                        return
                case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
                    self._add_create_error(parent, error.message, final=True)
                    return
                case HTTPStatus.FORBIDDEN:
                    # A quota or a missing right does not pass by itself: the status reports it at once.
                    self._add_create_error(parent, error.message, count=CREATE_ERROR_THRESHOLD)
                    raise
                case _:
                    self._add_create_error(parent, _stable_message(error))
                    raise
        self._cache.set_create_error(parent.uid, None)
        self._cache.put(job)

    def _add_create_error(self, parent: Parent, message: str, *, count: int = 1, final: bool = False) -> None:
        attempt, last = parent.current_attempt, self._cache.create_error(parent.uid)
        if last is not None and last.attempt == attempt:
            count += last.count
        self._cache.set_create_error(parent.uid, CreateError(attempt, final, message, count))

    async def _read_explanation(self, job: Job) -> str | None:
        """Why a Job has no pod; None if nothing says so, or if the operator may not read it."""
        try:
            if job.suspended:
                return explanation.from_workloads(await self._workloads(job))
            selector = f"involvedObject.uid={job.uid},reason=FailedCreate"
            return explanation.from_events(await self._client.find(EVENTS, job.namespace, fieldSelector=selector))
        except ApiError as error:
            logger.debug("Job %s/%s: cannot read why it has no pod: %s", job.namespace, job.name, error)
            return None

    async def _workloads(self, job: Job) -> list[JSON]:
        selector = f"{explanation.JOB_UID_LABEL}={job.uid}"
        for resource in WORKLOADS:
            try:
                return await self._client.find(resource, job.namespace, labelSelector=selector)
            except ApiError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
        return []

    async def _delete(self, child: Child, delete: Callable[[Child], Awaitable[JSON]]) -> None:
        try:
            answer = await delete(child)
        except ApiError as error:
            if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise
            self._cache.drop(child)
            return
        if answer.get("kind") == type(child).__name__:
            self._cache.put(type(child).parse(answer))
        else:
            self._cache.drop(child)

    async def _set_ttl(self, job: Job, seconds: int) -> None:
        try:
            self._cache.put(Job.parse(await self._client.set_job_ttl(job, seconds)))
        except ApiError as error:
            if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise
            self._cache.drop(job)

    async def _read(self, parent: Parent) -> None:
        found = await self._client.get(RESOURCES[type(parent)], parent.namespace, parent.name)
        if found is None or found["metadata"]["uid"] != parent.uid:
            self._cache.drop(parent)
        if found is not None:
            self._cache.put(type(parent).parse(found))

    async def _relist(self, parent: Parent) -> None:
        selector = f"{LABEL_UID}={parent.uid}"
        pods = await self._client.list_all(Pod, parent.namespace, selector)
        self._cache.replace(Pod, parent.namespace, pods.items, pods.version, parent.uid)
        jobs = await self._client.list_all(Job, parent.namespace, selector)
        self._cache.replace(Job, parent.namespace, jobs.items, jobs.version, parent.uid)


def _stable_message(error: ApiError) -> str:
    """A message that is equal for equal errors: each new message is another write of the status."""
    if not error.status:
        return f"the API server does not answer ({error.reason})"
    return f"{error.status} {error.reason}: {error.message}"
