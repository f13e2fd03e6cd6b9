"""Brings one TrainingJob a step further: writes the status that follows from what is known, then does what is decided.

The status is always written before the effect, and only onto the version that the decision was made from. Whatever
goes wrong in between, the next look starts from what the API server holds.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from http import HTTPStatus
from typing import TypeVar

from trainingjob_api.names import LABEL_UID
from trainingjob_operator import metrics
from trainingjob_operator.config import Configuration
from trainingjob_operator.controller.cache import Store
from trainingjob_operator.controller.client import EVENTS, RESOURCES, WORKLOADS, ApiError, Kube
from trainingjob_operator.controller.recorder import Recorder, build_event, transition
from trainingjob_operator.core import explanation
from trainingjob_operator.core.decide import plan
from trainingjob_operator.core.decision import Confirm, Create, Decision, Delete, End, Expire, Explain, Observe
from trainingjob_operator.core.job import build_job
from trainingjob_operator.core.objects import JSON, Job, Key, Pod, TrainingJob
from trainingjob_operator.core.run_state import TELLING, passing
from trainingjob_operator.core.snapshot import Explanation, Progress, Refusal, View
from trainingjob_operator.core.status import derive, merge_patch

ROUNDS = 10
"""Steps in one look. A TrainingJob never needs as many; one that does would keep a worker from the others."""

Child = TypeVar("Child", Job, Pod)

logger = logging.getLogger(__name__)


class Reconciler:
    """The effects of the operator on the cluster, one TrainingJob at a time."""

    def __init__(
        self,
        kube: Kube,
        store: Store,
        recorder: Recorder,
        configuration: Configuration,
        progress: Callable[[TrainingJob], Progress | None],
    ) -> None:
        self._kube = kube
        self._store = store
        self._recorder = recorder
        self._configuration = configuration
        self._progress = progress

    async def reconcile(self, key: Key) -> datetime | None:
        """Do what is to be done about one TrainingJob now.

        Returns:
            When to look again even if nothing happens.

        Raises:
            ApiError: The API server did not do its part; look again after a while.
        """
        live, refused = False, None
        for _ in range(ROUNDS):
            view = self._store.view(key, live=live)
            if view is None or view.trainingjob.deleting:
                return None
            now = datetime.now(UTC)
            decision = plan(view, now, self._configuration)
            if isinstance(decision, Confirm):
                await self._read_children(view)
                live = True
                continue
            if isinstance(decision, Explain):
                text = await self._ask_why(decision.job)
                explained = Explanation((decision.job.uid, decision.job.version), now, text)
                self._store.explain(view.trainingjob.uid, explained)
                continue
            if isinstance(decision, Observe) and (until := passing(view, now)):
                return min(until, decision.again or until)
            status = derive(view, decision, self._progress(view.trainingjob), now, self._configuration)
            if status != view.trainingjob.status:
                await self._write(view.trainingjob, status, now)
                continue
            if isinstance(decision, Observe):
                return decision.again
            if refused is not None:
                raise refused
            refused = await self._act(view.trainingjob, decision)
            live = False
        logger.warning("%s takes more than %d steps", key, ROUNDS)
        return now

    async def _act(self, trainingjob: TrainingJob, decision: Decision) -> ApiError | None:
        """Do what was decided.

        Returns:
            The API server's refusal, if it may change its mind.
        """
        match decision:
            case Create():
                return await self._create(trainingjob)
            case Delete(job=job):
                await self._delete(job, self._kube.delete_job)
            case End(pod=pod):
                await self._delete(pod, self._kube.delete_pod)
            case Expire(job=job, seconds=seconds):
                await self._expire(job, seconds)
        return None

    async def _write(self, trainingjob: TrainingJob, status: dict[str, object], now: datetime) -> None:
        patch = merge_patch(trainingjob.status, status)
        try:
            answer = await self._kube.patch_status(trainingjob, patch)
        except ApiError as error:
            if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise
            await self._read(trainingjob)
            return
        written = TrainingJob.parse(answer)
        self._store.put(written)
        told = transition(trainingjob.status, written.status)
        if told is not None:
            logger.info("%s run %d attempt %d: %s: %s", written.key, *written.claim, told.reason, told.message)
            self._recorder.record(build_event(written, told, now))
        if written.ended and not trainingjob.ended and told is not None:
            metrics.RUNS_ENDED.labels(written.spec["model"]["type"], written.ended, told.reason).inc()

    async def _create(self, trainingjob: TrainingJob) -> ApiError | None:
        """POST the Job of the claim, or find that it is there."""
        body = build_job(trainingjob, self._configuration)
        resource, name = RESOURCES[Job], body["metadata"]["name"]
        try:
            created = Job.parse(await self._kube.create(resource, trainingjob.namespace, body))
        except ApiError as error:
            if error.status == HTTPStatus.CONFLICT:
                found = await self._kube.get(resource, trainingjob.namespace, name)
                if found is None:
                    return None
                created = Job.parse(found)
                if created.owner != trainingjob.uid:
                    self._refuse(trainingjob, f"a Job {name} exists that is not this TrainingJob's", final=True)
                    return None
            elif error.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNPROCESSABLE_ENTITY}:
                self._refuse(trainingjob, error.message, final=True)
                return None
            elif error.status == HTTPStatus.FORBIDDEN:
                self._refuse(trainingjob, error.message, tries=TELLING)
                return error
            else:
                # A webhook that is down, an API server that restarts: worth a word only when it does not pass.
                self._refuse(trainingjob, _answer(error))
                return error
        self._store.refuse(trainingjob.uid, None)
        self._store.put(created)
        return None

    def _refuse(self, trainingjob: TrainingJob, message: str, *, tries: int = 1, final: bool = False) -> None:
        before = self._store.refusal(trainingjob.uid)
        if before is not None and before.claim == trainingjob.claim:
            tries += before.tries
        self._store.refuse(trainingjob.uid, Refusal(trainingjob.claim, final, message, tries))

    async def _ask_why(self, job: Job) -> str | None:
        """Why a Job has no pod, or None where nobody says so, or where the operator may not know."""
        try:
            if job.suspended:
                return explanation.from_workloads(await self._workloads(job))
            selector = f"involvedObject.uid={job.uid},reason=FailedCreate"
            return explanation.from_events(await self._kube.find(EVENTS, job.namespace, fieldSelector=selector))
        except ApiError as error:
            logger.debug("Job %s/%s: why it has no pod cannot be read: %s", job.namespace, job.name, error)
            return None

    async def _workloads(self, job: Job) -> list[JSON]:
        selector = f"{explanation.JOB_UID_LABEL}={job.uid}"
        for resource in WORKLOADS:
            try:
                return await self._kube.find(resource, job.namespace, labelSelector=selector)
            except ApiError as error:
                if error.status != HTTPStatus.NOT_FOUND:
                    raise
        return []

    async def _delete(self, known: Child, delete: Callable[[Child], Awaitable[JSON]]) -> None:
        try:
            answer = await delete(known)
        except ApiError as error:
            if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise
            self._store.drop(known)
            return
        if answer.get("kind") == type(known).__name__:
            self._store.put(type(known).parse(answer))
        else:
            self._store.drop(known)

    async def _expire(self, job: Job, seconds: int) -> None:
        try:
            self._store.put(Job.parse(await self._kube.expire_job(job, seconds)))
        except ApiError as error:
            if error.status not in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise
            self._store.drop(job)

    async def _read(self, trainingjob: TrainingJob) -> None:
        found = await self._kube.get(RESOURCES[TrainingJob], trainingjob.namespace, trainingjob.name)
        if found is None or found["metadata"]["uid"] != trainingjob.uid:
            self._store.drop(trainingjob)
        if found is not None:
            self._store.put(TrainingJob.parse(found))

    async def _read_children(self, view: View) -> None:
        trainingjob = view.trainingjob
        selector = f"{LABEL_UID}={trainingjob.uid}"
        pods = await self._kube.list_all(Pod, trainingjob.namespace, selector)
        self._store.replace(Pod, trainingjob.namespace, pods.items, pods.version, trainingjob.uid)
        jobs = await self._kube.list_all(Job, trainingjob.namespace, selector)
        self._store.replace(Job, trainingjob.namespace, jobs.items, jobs.version, trainingjob.uid)


def _answer(error: ApiError) -> str:
    """What the API server said, in words that stay the same from try to try: a new message is a new write."""
    if not error.status:
        return f"the API server does not answer ({error.reason})"
    return f"{error.status} {error.reason}: {error.message}"
