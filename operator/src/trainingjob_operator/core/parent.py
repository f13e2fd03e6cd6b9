"""The custom resources that the operator drives: TrainingJobs and TrainingFleets, and how their specs differ."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

from trainingjob_api import hashing
from trainingjob_api.names import FLEET_KIND, KIND, RETRAIN_ANNOTATION, RETRY_FAILED_ANNOTATION
from trainingjob_api.text import clean, instant, timestamp
from trainingjob_operator.core.schedule import Schedule

JSON = Mapping[str, Any]


class Key(NamedTuple):
    """Kind, namespace and name of a TrainingJob or TrainingFleet."""

    kind: str
    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.namespace}/{self.name}"


class Attempt(NamedTuple):
    """One attempt of one run; both count from 1."""

    run: int
    number: int


NO_ATTEMPT = Attempt(0, 0)
"""The attempt of a TrainingJob or TrainingFleet that has no run yet."""


@dataclass(frozen=True)
class Parent(ABC):
    """A TrainingJob or TrainingFleet: the desired state (``spec``) and the observed state (``status``).

    Attributes:
        kind: Of the custom resource.
        retrain_request: Value of the annotation that asks for one more run.
        retry_request: Value of the annotation that asks to try the failed machines again; None for a TrainingJob.
    """

    kind: ClassVar[str]
    _retry_annotation: ClassVar[str | None] = None

    namespace: str
    name: str
    uid: str
    version: int
    generation: int
    created: datetime
    deleting: bool
    retrain_request: str | None
    retry_request: str | None
    spec: JSON
    status: JSON

    @property
    @abstractmethod
    def training(self) -> JSON:
        """The part of the spec that says what to train: model, data, artifacts, gates and reuse."""

    @property
    @abstractmethod
    def spec_hash(self) -> str:
        """Hash of the fields that determine the models; a run trains for one hash."""

    @property
    @abstractmethod
    def attempt_hash(self) -> str:
        """Hash of the fields that determine the Job but not the models."""

    @cached_property
    def gates_hash(self) -> str:
        """Hash of the gates."""
        return hashing.gates_hash(self.training)

    @property
    def schedule(self) -> Schedule | None:
        """When runs start; None if they start when the object is created or changed."""
        return None

    @property
    def model_type(self) -> str:
        """``gru``, ``xgb``, or a type of a newer version."""
        return str(self.training["model"]["type"])

    @property
    def key(self) -> Key:
        """Kind, namespace and name."""
        return Key(self.kind, self.namespace, self.name)

    @property
    def current_attempt(self) -> Attempt:
        """Run and attempt in the status."""
        return Attempt(int(self.status.get("run") or 0), int(self.status.get("attempt") or 0))

    @property
    def ended(self) -> str | None:
        """``Succeeded`` or ``Failed`` if the current run has ended, else None."""
        for condition in self.status.get("conditions") or ():
            if condition["type"] in {"Succeeded", "Failed"} and condition["status"] == "True":
                return str(condition["type"])
        return None

    @property
    def phase(self) -> str:
        """The phase in the status; Pending before there is one."""
        return str(self.status.get("phase") or "Pending")

    @cached_property
    def reason(self) -> str:
        """The reason of the phase, "" before there is a status."""
        return str(condition_of(self.status, "Succeeded").get("reason", ""))

    @cached_property
    def last_success(self) -> str:
        """When the last run succeeded, in UTC; when the object was created, for none.

        A TrainingJob of version 0.2 or older has no ``lastSuccessfulTime``; its last runs are in the history.
        """
        ended = (
            run["completionTime"]
            for run in self.status.get("history") or ()
            if run["phase"] == "Succeeded" and run.get("completionTime")
        )
        return max((self.status.get("lastSuccessfulTime") or "", *ended)) or timestamp(self.created)

    @cached_property
    def last_change(self) -> str | None:
        """When an unfinished run last changed its state or advanced, in UTC; None while none is meant to run.

        A suspended object, one that a queue holds, and a fleet between two runs wait for somebody or something else.
        """
        if self.phase not in {"Pending", "Running"} or self.ended:
            return None
        times = [
            timestamp(self.created),
            self.status.get("startTime"),
            (self.status.get("progress") or {}).get("lastReportTime"),
            *(condition["lastTransitionTime"] for condition in self.status.get("conditions") or ()),
        ]
        return max(str(time) for time in times if time)

    @property
    def suspended(self) -> bool:
        """Whether the spec suspends the run."""
        return bool((self.spec.get("runPolicy") or {}).get("suspend"))

    @classmethod
    def parse(cls, raw: JSON) -> Self:
        """Parse the JSON of the API server."""
        metadata = raw["metadata"]
        strings: dict[str, str] = {}
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata["uid"],
            version=int(metadata["resourceVersion"]),
            generation=metadata.get("generation", 1),
            created=created_at(metadata),
            deleting="deletionTimestamp" in metadata,
            retrain_request=_annotation(metadata, RETRAIN_ANNOTATION),
            retry_request=_annotation(metadata, cls._retry_annotation),
            spec=_shared(raw.get("spec") or {}, strings),
            status=_shared(raw.get("status") or {}, strings),
        )


@dataclass(frozen=True)
class TrainingJob(Parent):
    """Trains one machine, in one pod."""

    kind: ClassVar[str] = KIND

    @property
    def training(self) -> JSON:
        """The spec itself."""
        return self.spec

    @cached_property
    def spec_hash(self) -> str:
        """Hash of machine, model and data."""
        return hashing.spec_hash(self.spec)

    @cached_property
    def attempt_hash(self) -> str:
        """Hash of accelerator, resources, scheduling, artifacts, Secret names and gates."""
        return hashing.attempt_hash(self.spec)


@dataclass(frozen=True)
class TrainingFleet(Parent):
    """Trains many machines, in the pods of several workers."""

    kind: ClassVar[str] = FLEET_KIND
    _retry_annotation: ClassVar[str | None] = RETRY_FAILED_ANNOTATION

    @property
    def training(self) -> JSON:
        """The template."""
        template: JSON = self.spec["template"]
        return template

    @cached_property
    def spec_hash(self) -> str:
        """Hash of the selection of machines, the template's model and data, and when to train again."""
        return hashing.fleet_spec_hash(self.spec)

    @cached_property
    def attempt_hash(self) -> str:
        """The hash of a TrainingJob's attempt, and the number of workers."""
        return hashing.fleet_attempt_hash(self.spec)

    @property
    def schedule(self) -> Schedule | None:
        """When runs start; None if they start when the fleet is created or changed."""
        schedule = self.spec.get("schedule")
        return None if schedule is None else Schedule.read(schedule)


def condition_of(status: JSON, kind: str) -> JSON:
    """The condition of a type in a status; empty if there is none."""
    return next((condition for condition in status.get("conditions") or () if condition["type"] == kind), {})


def created_at(metadata: JSON) -> datetime:
    """When the API server created an object."""
    created = instant(metadata["creationTimestamp"])
    assert created is not None
    return created


def _annotation(metadata: JSON, name: str | None) -> str | None:
    """The value of an annotation; None if it is absent or empty."""
    return clean((metadata.get("annotations") or {}).get(name, ""), 256) or None


def _shared(value: Any, strings: dict[str, str]) -> Any:
    """The same JSON with equal strings kept once: thousands are in memory, and each condition repeats its message."""
    if isinstance(value, dict):
        return {sys.intern(key): _shared(part, strings) for key, part in value.items()}
    if isinstance(value, list):
        return [_shared(part, strings) for part in value]
    return strings.setdefault(value, value) if isinstance(value, str) else value
