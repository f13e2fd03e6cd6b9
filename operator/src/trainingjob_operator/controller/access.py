"""Checks the rights of the operator in each namespace. A namespace without them is not watched; the others are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from trainingjob_api.names import GROUP
from trainingjob_operator import metrics
from trainingjob_operator.controller.client import ApiResource, KubernetesClient

RIGHTS: Mapping[tuple[str, str], tuple[str, ...]] = {
    (GROUP, "trainingjobs"): ("get", "list", "watch"),
    (GROUP, "trainingfleets"): ("get", "list", "watch"),
    (GROUP, "trainingjobs/status"): ("patch",),
    (GROUP, "trainingfleets/status"): ("patch",),
    ("batch", "jobs"): ("get", "list", "watch", "create", "patch", "delete"),
    ("", "pods"): ("get", "list", "watch", "delete"),
    ("", "events"): ("create", "list"),
}
"""What the ClusterRole grants: verbs by API group and resource."""
REVIEWS = ApiResource("selfsubjectaccessreviews", "apis/authorization.k8s.io/v1")

Right = tuple[str, str]
"""A verb and a resource."""

logger = logging.getLogger(__name__)


class Access:
    """The rights of the operator in each configured namespace.

    Attributes:
        watchable: The namespaces in which everything can be listed and watched; "" is all namespaces.
    """

    def __init__(self, client: KubernetesClient, namespaces: tuple[str, ...]) -> None:
        self._client, self._namespaces = client, namespaces or ("",)
        self._missing: dict[str, tuple[Right, ...]] = {}
        self.watchable: tuple[str, ...] = ()

    async def check(self) -> None:
        """Ask the API server for the rights, and log what has changed.

        Raises:
            ApiError: A request failed.
        """
        found = {namespace: await self._find_missing(namespace) for namespace in self._namespaces}
        for namespace, missing in found.items():
            if missing and missing != self._missing.get(namespace):
                logger.warning("%s", describe(namespace, missing))
            elif self._missing.get(namespace) and not missing:
                logger.info("The operator has all rights in %s now", _place(namespace))
        self._missing = found
        self.watchable = tuple(namespace for namespace, missing in found.items() if can_watch(missing))
        metrics.MISSING_RIGHTS.clear()
        for namespace, missing in found.items():
            for verb, resource in missing:
                metrics.MISSING_RIGHTS.labels(namespace, verb, resource).set(1)

    @property
    def faults(self) -> list[str]:
        """A sentence for each namespace in which a right is missing."""
        return [describe(namespace, missing) for namespace, missing in self._missing.items() if missing]

    async def _find_missing(self, namespace: str) -> tuple[Right, ...]:
        wanted = [(verb, group, name) for (group, name), verbs in RIGHTS.items() for verb in verbs]
        answers = await asyncio.gather(*(self._is_allowed(namespace, *right) for right in wanted))
        return tuple((verb, name) for (verb, _, name), allowed in zip(wanted, answers, strict=True) if not allowed)

    async def _is_allowed(self, namespace: str, verb: str, group: str, name: str) -> bool:
        resource, _, subresource = name.partition("/")
        attributes = {
            "namespace": namespace,
            "verb": verb,
            "group": group,
            "resource": resource,
            "subresource": subresource,
        }
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        answer = await self._client.create(REVIEWS, "", review)
        return bool(answer["status"]["allowed"])


def can_watch(missing: tuple[Right, ...]) -> bool:
    """Whether a namespace can be watched without these rights."""
    return not any(verb in {"list", "watch"} for verb, _ in missing)


def describe(namespace: str, missing: tuple[Right, ...]) -> str:
    """Describe the missing rights, the consequence, and what to do."""
    verbs: dict[str, list[str]] = {}
    for verb, resource in missing:
        verbs.setdefault(resource, []).append(verb)
    rights = ", ".join(f"{'/'.join(of_resource)} {resource}" for resource, of_resource in verbs.items())
    consequence = "" if can_watch(missing) else "; it is not watched"
    binding = "a RoleBinding in that namespace" if namespace else "a ClusterRoleBinding"
    return (
        f"In {_place(namespace)} the operator may not {rights}{consequence}: "
        f"bind the ClusterRole trainingjob-operator to the operator's service account by {binding}"
    )


def _place(namespace: str) -> str:
    return f"namespace {namespace}" if namespace else "all namespaces"
