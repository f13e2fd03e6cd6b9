"""The cache of parents, their Jobs and pods, each at the newest resourceVersion that was received.

The answers to the operator's own writes are added at once, so that no decision is made from the state before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.parent import NO_ATTEMPT, Attempt, Key, Parent
from trainingjob_operator.core.snapshot import CreateError, Explanation, Snapshot

Resource = Parent | Job | Pod


class Cache:
    """An index of objects by uid, their parents by kind and name, and Jobs and pods by the uid of their parent.

    A parent is a TrainingJob or a TrainingFleet.
    """

    def __init__(self) -> None:
        self._objects: dict[str, Resource] = {}
        self._parents: dict[Key, str] = {}
        self._children: dict[str, set[str]] = {}
        self._deleted: dict[str, int] = {}
        self._list_versions: dict[tuple[type[Resource], str], int] = {}
        self._create_errors: dict[str, CreateError] = {}
        self._explanations: dict[str, Explanation] = {}
        self._last_seen_attempts: dict[str, Attempt] = {}

    def put(self, resource: Resource) -> Key | None:
        """Add or update an object, unless the cache has a newer version.

        Returns:
            The parent to reconcile, None if nothing changed.
        """
        before = self._objects.get(resource.uid)
        if before is not None and before.version >= resource.version:
            return None
        if before is None and self._is_deleted(resource):
            return None
        if isinstance(resource, Parent):
            other = self._parents.get(resource.key)
            if other is not None and other != resource.uid:
                if self._objects[other].version > resource.version:
                    return None
                self._remove(other)
            self._parents[resource.key] = resource.uid
        else:
            if before is not None:
                self._remove_from_parent(before)
            if parent := parent_uid(resource):
                self._children.setdefault(parent, set()).add(resource.uid)
                if isinstance(resource, Job):
                    self._last_seen_attempts[parent] = max(
                        resource.attempt, self._last_seen_attempts.get(parent, NO_ATTEMPT)
                    )
        self._objects[resource.uid] = resource
        return parent_key(resource)

    def drop(self, resource: Resource) -> Key | None:
        """Remove a deleted object. Later events about it are ignored."""
        self._deleted[resource.uid] = resource.version
        return parent_key(resource) if self._remove(resource.uid) else None

    def replace(
        self, kind: type[Resource], namespace: str, objects: Iterable[Resource], version: int, uid: str | None = None
    ) -> set[Key]:
        """Add a complete list, and remove the objects that are older than the list and not in it.

        Args:
            kind: TrainingJob, TrainingFleet, Job or Pod.
            namespace: The list's namespace, "" for all.
            objects: The items of the list.
            version: The list's resourceVersion.
            uid: The parent whose children were listed; None for a full list.

        Returns:
            The parents to reconcile.
        """
        listed = list(objects)
        keep = {resource.uid for resource in listed}
        candidates = self._objects.values() if uid is None else self._children_of(uid)
        vanished = [
            resource
            for resource in candidates
            if isinstance(resource, kind)
            and resource.uid not in keep
            and resource.version <= version
            and namespace in {"", resource.namespace}
        ]
        changed = {self.drop(resource) for resource in vanished} | {self.put(resource) for resource in listed}
        if uid is None:
            self._list_versions[kind, namespace] = version
            self._deleted = {gone: at for gone, at in self._deleted.items() if at > version}
        return {key for key in changed if key is not None}

    def snapshot(self, key: Key, *, fresh: bool = False) -> Snapshot | None:
        """Everything about one TrainingJob or TrainingFleet; None if it does not exist.

        Args:
            key: Of the parent.
            fresh: Whether its Jobs and pods were just listed.
        """
        uid = self._parents.get(key)
        parent = self._objects.get(uid) if uid else None
        if not isinstance(parent, Parent):
            return None
        children = list(self._children_of(parent.uid))
        return Snapshot(
            parent,
            jobs=tuple(resource for resource in children if isinstance(resource, Job)),
            all_pods=tuple(resource for resource in children if isinstance(resource, Pod)),
            last_seen_attempt=self._last_seen_attempts.get(parent.uid, NO_ATTEMPT),
            create_error=self.create_error(parent.uid),
            fresh=fresh,
            explanation=self._explanations.get(parent.uid),
        )

    def set_create_error(self, uid: str, create_error: CreateError | None) -> None:
        """Store the error of the last request to create a Job of this parent, None if it succeeded."""
        if create_error is None:
            self._create_errors.pop(uid, None)
        else:
            self._create_errors[uid] = create_error

    def create_error(self, uid: str) -> CreateError | None:
        """The error of the last request to create a Job of this parent, None if it succeeded."""
        return self._create_errors.get(uid)

    def set_explanation(self, uid: str, explanation: Explanation) -> None:
        """Store why the Job of this parent has no pod."""
        self._explanations[uid] = explanation

    def parents(self) -> Iterator[Parent]:
        """Every TrainingJob and TrainingFleet."""
        for uid in self._parents.values():
            resource = self._objects[uid]
            if isinstance(resource, Parent):
                yield resource

    def running(self, parents: Iterable[Parent]) -> Iterator[tuple[Parent, list[Pod]]]:
        """Those of the parents whose trainers run, each with the running pods of its current Job."""
        for parent in parents:
            if parent.phase == "Running":
                snapshot = self.snapshot(parent.key)
                pods = [pod for pod in snapshot.pods if pod.phase == "Running"] if snapshot else []
                if pods:
                    yield parent, pods

    def _children_of(self, uid: str) -> Iterator[Resource]:
        return (self._objects[member] for member in self._children.get(uid, ()))

    def _is_deleted(self, resource: Resource) -> bool:
        """Whether an object that is not in the cache was deleted, so that this event is outdated."""
        lists = (self._list_versions.get((type(resource), namespace), 0) for namespace in ("", resource.namespace))
        return resource.uid in self._deleted or resource.version <= max(lists)

    def _remove(self, uid: str) -> bool:
        resource = self._objects.pop(uid, None)
        if resource is None:
            return False
        if isinstance(resource, Parent):
            if self._parents.get(resource.key) == uid:
                del self._parents[resource.key]
            self._create_errors.pop(uid, None)
            self._explanations.pop(uid, None)
            self._last_seen_attempts.pop(uid, None)
        else:
            self._remove_from_parent(resource)
        return True

    def _remove_from_parent(self, resource: Resource) -> None:
        members = self._children.get(parent := parent_uid(resource), set())
        members.discard(resource.uid)
        if not members:
            self._children.pop(parent, None)


def parent_uid(resource: Resource) -> str:
    """The uid of the parent that a Job or pod belongs to, "" for none.

    For a pod this is its label: a pod whose Job was deleted without it has no controller, while its trainer still runs.
    """
    if isinstance(resource, Pod):
        return resource.parent_uid
    return resource.owner if isinstance(resource, Job) else ""


def parent_key(resource: Resource) -> Key | None:
    """The parent to reconcile after a change of this object. Its children are found by uid, not by this name."""
    if isinstance(resource, Parent):
        return resource.key
    return resource.parent
