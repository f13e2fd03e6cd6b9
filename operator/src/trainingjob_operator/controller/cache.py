"""What is known of the cluster: TrainingJobs, their Jobs and pods, the newest resourceVersion of each winning.

Answers to our own writes go in at once, so that no decision is made from what was before them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trainingjob_operator.core.objects import Job, Key, Pod, TrainingJob
from trainingjob_operator.core.snapshot import Explanation, Refusal, View

Known = TrainingJob | Job | Pod


class Store:
    """An index of objects by uid, TrainingJobs by name, and Jobs and pods by the uid of their TrainingJob."""

    def __init__(self) -> None:
        self._objects: dict[str, Known] = {}
        self._trainingjobs: dict[Key, str] = {}
        self._family: dict[str, set[str]] = {}
        self._gone: dict[str, int] = {}
        self._listed: dict[tuple[type[Known], str], int] = {}
        self._refusals: dict[str, Refusal] = {}
        self._explanations: dict[str, Explanation] = {}
        self._seen: dict[str, tuple[int, int]] = {}

    def put(self, known: Known) -> Key | None:
        """Take in an object unless something newer is known.

        Returns:
            The TrainingJob that it concerns, or None if it said nothing new.
        """
        before = self._objects.get(known.uid)
        if before is not None and before.version >= known.version:
            return None
        if before is None and self._is_gone(known):
            return None
        if isinstance(known, TrainingJob):
            namesake = self._trainingjobs.get(known.key)
            if namesake is not None and namesake != known.uid:
                if self._objects[namesake].version > known.version:
                    return None
                self._remove(namesake)
            self._trainingjobs[known.key] = known.uid
        else:
            if before is not None:
                self._leave_family(before)
            if head := _head(known):
                self._family.setdefault(head, set()).add(known.uid)
                if isinstance(known, Job):
                    self._seen[head] = max(known.claim, self._seen.get(head, (0, 0)))
        self._objects[known.uid] = known
        return parent(known)

    def drop(self, known: Known) -> Key | None:
        """Forget an object that was deleted; what is heard of it later is ignored."""
        self._gone[known.uid] = known.version
        return parent(known) if self._remove(known.uid) else None

    def replace(
        self, kind: type[Known], namespace: str, objects: Iterable[Known], version: int, uid: str | None = None
    ) -> set[Key]:
        """Take in a whole list, and forget what is not in it though it was there before the list was read.

        Args:
            kind: TrainingJob, Job or Pod.
            namespace: The list's namespace, "" for all.
            objects: What the list holds.
            version: The list's resourceVersion.
            uid: The TrainingJob whose children alone the list holds; None for a full list.

        Returns:
            The TrainingJobs that it says something new about.
        """
        listed = list(objects)
        keep = {known.uid for known in listed}
        candidates = self._objects.values() if uid is None else self._descendants(uid)
        vanished = [
            known
            for known in candidates
            if isinstance(known, kind)
            and known.uid not in keep
            and known.version <= version
            and namespace in {"", known.namespace}
        ]
        changed = {self.drop(known) for known in vanished} | {self.put(known) for known in listed}
        if uid is None:
            self._listed[kind, namespace] = version
            self._gone = {gone: at for gone, at in self._gone.items() if at > version}
        return {key for key in changed if key is not None}

    def view(self, key: Key, *, live: bool = False) -> View | None:
        """Everything known about one TrainingJob, or None if there is no such thing."""
        uid = self._trainingjobs.get(key)
        trainingjob = self._objects.get(uid) if uid else None
        if not isinstance(trainingjob, TrainingJob):
            return None
        family = list(self._descendants(trainingjob.uid))
        return View(
            trainingjob,
            jobs=tuple(known for known in family if isinstance(known, Job)),
            pods=tuple(known for known in family if isinstance(known, Pod)),
            seen=self._seen.get(trainingjob.uid, (0, 0)),
            refusal=self.refusal(trainingjob.uid),
            live=live,
            explanation=self._explanations.get(trainingjob.uid),
        )

    def refuse(self, uid: str, refusal: Refusal | None) -> None:
        """Remember the API server's last answer to the Job of a claim: a no, or None for a yes."""
        if refusal is None:
            self._refusals.pop(uid, None)
        else:
            self._refusals[uid] = refusal

    def refusal(self, uid: str) -> Refusal | None:
        """The API server's no to the Job of a TrainingJob, if that was its last answer."""
        return self._refusals.get(uid)

    def explain(self, uid: str, explanation: Explanation) -> None:
        """Remember what was said about why a Job of this TrainingJob has no pod."""
        self._explanations[uid] = explanation

    def names(self) -> list[Key]:
        """Every TrainingJob."""
        return list(self._trainingjobs)

    def trainingjobs(self) -> Iterator[TrainingJob]:
        """Every TrainingJob as it is known."""
        for uid in self._trainingjobs.values():
            known = self._objects[uid]
            if isinstance(known, TrainingJob):
                yield known

    def _descendants(self, uid: str) -> Iterator[Known]:
        return (self._objects[member] for member in self._family.get(uid, ()))

    def _is_gone(self, known: Known) -> bool:
        """Whether an object that is not known was there before, and is gone: this is an echo of it."""
        lists = (self._listed.get((type(known), namespace), 0) for namespace in ("", known.namespace))
        return known.uid in self._gone or known.version <= max(lists)

    def _remove(self, uid: str) -> bool:
        known = self._objects.pop(uid, None)
        if known is None:
            return False
        if isinstance(known, TrainingJob):
            if self._trainingjobs.get(known.key) == uid:
                del self._trainingjobs[known.key]
            self._refusals.pop(uid, None)
            self._explanations.pop(uid, None)
            self._seen.pop(uid, None)
        else:
            self._leave_family(known)
        return True

    def _leave_family(self, known: Known) -> None:
        members = self._family.get(head := _head(known), set())
        members.discard(known.uid)
        if not members:
            self._family.pop(head, None)


def _head(known: Known) -> str:
    """The uid of the TrainingJob that a Job or pod belongs to, "" for none.

    A pod is known by its label: one whose Job was deleted without it has no controller, and its trainer runs on.
    """
    if isinstance(known, Pod):
        return known.trainingjob
    return known.owner if isinstance(known, Job) else ""


def parent(known: Known) -> Key | None:
    """The TrainingJob that an object concerns. A label is only a hint: what counts is the controller's uid."""
    if isinstance(known, TrainingJob):
        return known.key
    return Key(known.namespace, known.parent) if known.parent else None
