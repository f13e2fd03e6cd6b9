"""The requests to the Kubernetes API that the operator makes, by the official client in a thread pool.

Bodies are plain JSON: converting them to the classes of the client takes longer than the requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import kubernetes.client
import orjson
import urllib3

from trainingjob_api.names import API_VERSION
from trainingjob_operator import metrics
from trainingjob_operator.controller.connection import Connection
from trainingjob_operator.core.clock import corrected_offset
from trainingjob_operator.core.objects import LABEL_MANAGED_BY, MANAGED_BY, Job, Pod
from trainingjob_operator.core.parent import JSON, Parent, TrainingFleet, TrainingJob

PAGE_SIZE = 100
"""Objects in one page of a list. A whole page is in memory as Python objects."""
CONNECT_SECONDS = 5.0
TIMEOUT = urllib3.Timeout(connect=CONNECT_SECONDS, read=30.0)


class ApiError(Exception):
    """A request to the API server failed.

    Attributes:
        status: The HTTP status, 0 when there was no answer.
        reason: The reason of the Status, such as ``AlreadyExists``.
        message: The message of the Status.
    """

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(f"{status or 'no answer'} {reason}: {message}")
        self.status, self.reason, self.message = status, reason, message


@dataclass(frozen=True, slots=True)
class ApiResource:
    """A kind of object in the API, and the label selector of the objects that the operator handles."""

    name: str
    group_path: str
    selector: str | None = None

    def path(self, namespace: str, name: str = "", subresource: str = "") -> str:
        """The path of a collection or an object; namespace "" is all namespaces."""
        parts = [self.group_path, *(["namespaces", namespace] if namespace else []), self.name, name, subresource]
        return "/" + "/".join(part for part in parts if part)


Item = TypeVar("Item", TrainingJob, TrainingFleet, Job, Pod)

MANAGED_SELECTOR = f"{LABEL_MANAGED_BY}={MANAGED_BY}"
RESOURCES: Mapping[type[Parent | Job | Pod], ApiResource] = {
    TrainingJob: ApiResource("trainingjobs", f"apis/{API_VERSION}"),
    TrainingFleet: ApiResource("trainingfleets", f"apis/{API_VERSION}"),
    Job: ApiResource("jobs", "apis/batch/v1", MANAGED_SELECTOR),
    Pod: ApiResource("pods", "api/v1", MANAGED_SELECTOR),
}
EVENTS = ApiResource("events", "api/v1")
WORKLOADS = tuple(ApiResource("workloads", f"apis/kueue.x-k8s.io/{version}") for version in ("v1beta2", "v1beta1"))
"""The Workloads of Kueue in each version of its API that may be served, the newest first."""
LEASES = ApiResource("leases", "apis/coordination.k8s.io/v1")


@dataclass(frozen=True, slots=True)
class Listing(Generic[Item]):
    """A complete list at one resourceVersion."""

    items: list[Item]
    version: int


class KubernetesClient:
    """Sends requests to the API server."""

    def __init__(self, connection: Connection, concurrency: int) -> None:
        configuration = connection.configuration
        configuration.connection_pool_maxsize = concurrency
        # The caller reads the state again before it repeats a request.
        configuration.retries = False
        self._connection = connection
        self._client = kubernetes.client.ApiClient(configuration)
        self._threads = ThreadPoolExecutor(concurrency, thread_name_prefix="client")
        self._clock_offset = timedelta(0)

    def now(self) -> datetime:
        """The time of day at the API server.

        Deadlines count from times that the API server and its controllers wrote, and this machine's clock may differ.
        """
        return datetime.now(UTC) + self._clock_offset

    def close(self) -> None:
        """Release threads and connections. Requests in progress end on their own."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def list_all(self, kind: type[Item], namespace: str, selector: str | None = None) -> Listing[Item]:
        """Read a collection page by page, at one resourceVersion. Only the parsed objects are kept."""
        resource: ApiResource = RESOURCES[kind]
        items: list[Item] = []
        query: list[tuple[str, str]] = [("limit", str(PAGE_SIZE))]
        selectors = ",".join(part for part in (resource.selector, selector) if part)
        if selectors:
            query.append(("labelSelector", selectors))
        token: str = ""
        while True:
            page = await self._call(
                "GET", resource, resource.path(namespace), query=[*query, *([("continue", token)] if token else [])]
            )
            items.extend(kind.parse(item) for item in page["items"])
            token = page["metadata"].get("continue", "")
            if not token:
                return Listing(items, int(page["metadata"]["resourceVersion"]))

    async def get(self, resource: ApiResource, namespace: str, name: str) -> JSON | None:
        """Read an object; None if it does not exist."""
        try:
            return await self._call("GET", resource, resource.path(namespace, name))
        except ApiError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise

    async def find(self, resource: ApiResource, namespace: str, **selectors: str) -> list[JSON]:
        """Read at most one page of the objects that match the selectors, which are named as in the API."""
        query = [("limit", str(PAGE_SIZE)), *selectors.items()]
        answer = await self._call("GET", resource, resource.path(namespace), query=query)
        items: list[JSON] = answer["items"]
        return items

    async def create(self, resource: ApiResource, namespace: str, body: JSON) -> JSON:
        """POST an object."""
        return await self._call("POST", resource, resource.path(namespace), body)

    async def replace(self, resource: ApiResource, namespace: str, name: str, body: JSON) -> JSON:
        """PUT an object; fails with 409 unless its resourceVersion is current."""
        return await self._call("PUT", resource, resource.path(namespace, name), body)

    async def patch_status(self, parent: Parent, patch: JSON) -> JSON:
        """Merge a patch into the status; fails with 409 if the object has changed."""
        resource = RESOURCES[type(parent)]
        preconditions = {"uid": parent.uid, "resourceVersion": str(parent.version)}
        path = resource.path(parent.namespace, parent.name, "status")
        return await self._call("PATCH", resource, path, {"metadata": preconditions, "status": patch})

    async def set_job_ttl(self, job: Job, seconds: int) -> JSON:
        """Set the time to live of a finished Job."""
        resource = RESOURCES[Job]
        body = {"metadata": {"uid": job.uid}, "spec": {"ttlSecondsAfterFinished": seconds}}
        return await self._call("PATCH", resource, resource.path(job.namespace, job.name), body)

    async def delete_job(self, job: Job) -> JSON:
        """Delete a Job after its pods; fails with 409 if it has another uid."""
        return await self._delete(job, propagationPolicy="Foreground")

    async def delete_pod(self, pod: Pod) -> JSON:
        """Delete a pod within its grace period; fails with 409 if it has another uid."""
        return await self._delete(pod)

    async def _delete(self, child: Job | Pod, **options: str) -> JSON:
        resource = RESOURCES[type(child)]
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": child.uid}, **options}
        return await self._call("DELETE", resource, resource.path(child.namespace, child.name), body)

    async def _call(
        self,
        verb: str,
        resource: ApiResource,
        path: str,
        body: JSON | None = None,
        query: list[tuple[str, str]] | None = None,
    ) -> JSON:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, self._request, verb, resource, path, body, query)

    def _request(
        self, verb: str, resource: ApiResource, path: str, body: JSON | None, query: list[tuple[str, str]] | None
    ) -> JSON:
        authorization = self._connection.authorization()
        answer = self._send(verb, resource, path, body, query, authorization)
        if answer.status == HTTPStatus.UNAUTHORIZED and self._connection.renew(authorization):
            answer = self._send(verb, resource, path, body, query, self._connection.authorization())
        content: Any = _parsed(answer.data)
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise ApiError(answer.status, content.get("reason") or answer.reason or "", content.get("message") or "")
        return content  # type: ignore[no-any-return]

    def _send(
        self,
        verb: str,
        resource: ApiResource,
        path: str,
        body: JSON | None,
        query: list[tuple[str, str]] | None,
        authorization: str | None,
    ) -> Any:
        headers = {"Accept": "application/json"}
        if authorization is not None:
            headers["Authorization"] = authorization
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if verb == "PATCH" else "application/json"
        sent = datetime.now(UTC)
        method, url, headers, _, _ = self._client.param_serialize(verb, path, query_params=query, header_params=headers)
        try:
            # The methods of the client encode slower, and do more about each request.
            answer = self._client.rest_client.pool_manager.request(
                method,
                url,
                body=None if body is None else orjson.dumps(body, option=orjson.OPT_NON_STR_KEYS),
                headers=headers,
                timeout=TIMEOUT,
            )
        except urllib3.exceptions.HTTPError as error:
            metrics.API_REQUESTS.labels(verb, resource.name, "none").inc()
            raise ApiError(0, type(error).__name__, str(error)) from error
        metrics.API_REQUESTS.labels(verb, resource.name, str(answer.status)).inc()
        date = answer.headers.get("Date")
        self._clock_offset = corrected_offset(self._clock_offset, date, sent, datetime.now(UTC))
        return answer


def _parsed(text: bytes) -> Mapping[str, Any]:
    try:
        content = orjson.loads(text)
    except ValueError:
        content = None
    return content if isinstance(content, dict) else {"message": text[:500].decode("utf-8", "replace")}
