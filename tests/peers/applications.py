"""Applications of Argo CD, with the operations of their users."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from kubernetes.client import ApiException, CustomObjectsApi

from cluster.processes import wait_until
from peers.argocd import NAMESPACE, ArgoCD, Repository

_KIND = ("argoproj.io", "v1alpha1", NAMESPACE, "applications")
_REFRESH = "argocd.argoproj.io/refresh"
SERVER_SIDE = "ServerSideApply=true"
TRAINING_GROUP = "training.pumphealth.io"


class Application:
    """An Application of the objects in a folder of a repository.

    Attributes:
        repository: what it is synced from.
        cluster: where it is synced to.
    """

    def __init__(self, argocd: ArgoCD, repository: Repository, namespace: str, *, path: str = "objects") -> None:
        """Creates nothing yet.

        Args:
            argocd: where it is created.
            repository: what it is synced from.
            namespace: where it is synced to; its own name too.
            path: of the folder in the repository.
        """
        self.repository, self.cluster = repository, argocd.cluster
        self._argocd, self._name, self._path = argocd, namespace, path
        self._objects = CustomObjectsApi(argocd.cluster.client())

    def create(
        self,
        *options: str,
        automated: Mapping[str, bool] | None = None,
        finalizers: tuple[str, ...] = (),
    ) -> None:
        """Creates it.

        Args:
            options: of its syncs.
            automated: its sync policy; None: it is synced by `sync` only.
            finalizers: of its object.
        """
        policy: dict[str, Any] = {"syncOptions": list(options)}
        if automated is not None:
            policy["automated"] = dict(automated)
        body = {
            "apiVersion": f"{_KIND[0]}/{_KIND[1]}",
            "kind": "Application",
            "metadata": {"name": self._name, "namespace": NAMESPACE, "finalizers": list(finalizers)},
            "spec": {
                "project": "default",
                "source": {"repoURL": self.repository.url, "targetRevision": "main", "path": self._path},
                "destination": {"server": "https://kubernetes.default.svc", "namespace": self._name},
                "syncPolicy": policy,
            },
        }
        self._objects.create_namespaced_custom_object(*_KIND, body)

    def get(self) -> dict[str, Any]:
        """The object as it is now."""
        found: Any = self._objects.get_namespaced_custom_object(*_KIND, self._name)
        return dict(found)

    def delete(self) -> None:
        """Deletes it, and what its finalizers say."""
        self._objects.delete_namespaced_custom_object(*_KIND, self._name)

    def is_gone(self) -> bool:
        """Whether it is deleted."""
        try:
            self.get()
        except ApiException as error:
            if error.status == 404:
                return True
            raise
        return False

    def refresh(self) -> dict[str, Any]:
        """Lets it read Git and the cluster, as the webhook of a Git server does, and returns its status then."""
        body = {"metadata": {"annotations": {_REFRESH: "normal"}}}
        self._objects.patch_namespaced_custom_object(
            *_KIND, self._name, body, _content_type="application/merge-patch+json"
        )
        wait_until(lambda: _REFRESH not in self.get()["metadata"].get("annotations", {}), "the refresh is done")
        status: dict[str, Any] = self.get()["status"]
        return status

    def start_sync(self) -> None:
        """Starts a sync of all objects with pruning."""
        self._argocd.request("POST", f"applications/{self._name}/sync", {"prune": True})

    def sync(self) -> dict[str, Any]:
        """Syncs all objects with pruning, and returns the state of the operation at its end."""
        self.start_sync()
        return self.wait_operation()

    def wait_operation(self) -> dict[str, Any]:
        """Waits until no operation is in progress, and returns the state of the last one."""
        wait_until(lambda: "operation" not in self.get() and bool(self._operation()), "the operation has ended")
        return self._operation()

    def wait(self, what: Callable[[dict[str, Any]], object], seconds: float = 60) -> dict[str, Any]:
        """Waits until its status fulfils a condition, and returns it."""
        last: dict[str, Any] = {}

        def holds() -> bool:
            last.clear()
            last.update(self.get().get("status", {}))
            return bool(what(last))

        try:
            wait_until(holds, "the Application is as wanted", patience_seconds=seconds)
        except Exception as error:
            raise AssertionError(f"{error}; the status is {json.dumps(last, indent=1)[:6000]}") from error
        return last

    def wait_health(self, health: str, sync: str = "Synced") -> dict[str, Any]:
        """Waits until it has this health and this sync status."""
        return self.wait(lambda status: states(status) == (sync, health))

    def node(self, kind: str, name: str = "") -> dict[str, Any]:
        """The health of an object in the tree of resources, empty if it is not there: `status` and `message`."""
        tree = self._argocd.request("GET", f"applications/{self._name}/resource-tree")
        found = [node for node in tree.get("nodes", ()) if node["kind"] == kind and name in ("", node["name"])]
        health: dict[str, Any] = found[0].get("health", {"status": "", "message": ""}) if found else {}
        return health

    def wait_node(self, kind: str, name: str, status: str, message: str) -> None:
        """Waits for the health of an object in the tree."""

        def is_so() -> bool:
            health = self.node(kind, name)
            return (health.get("status"), message in health.get("message", "")) == (status, True)

        try:
            wait_until(is_so, f"{kind} {name} is {status}: {message}")
        except Exception as error:
            raise AssertionError(f"{error}; its health is {self.node(kind, name)}") from error

    def differences(self) -> str:
        """What `argocd app diff` prints; it fails if there is a difference."""
        return self._argocd.run("app", "diff", self._name)

    def act(self, action: str, name: str, kind: str = "TrainingJob") -> None:
        """Runs an action on an object."""
        target = ["--group", TRAINING_GROUP, "--kind", kind, "--resource-name", name]
        self._argocd.run("app", "actions", "run", self._name, action, *target)

    def _operation(self) -> dict[str, Any]:
        state: dict[str, Any] = self.get().get("status", {}).get("operationState", {})
        return state


def states(status: Mapping[str, Any]) -> tuple[str, str]:
    """Sync status and health."""
    return status.get("sync", {}).get("status", ""), status.get("health", {}).get("status", "")
