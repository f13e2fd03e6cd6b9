"""Pods of operator and trainers are deleted at random while users change their TrainingJobs, on a real node."""

import logging
import threading
import time
from collections import Counter, defaultdict
from contextlib import closing
from typing import Any

import pytest
from kubernetes.client import CoreV1Api

from cluster.processes import wait_until
from demo.deployment import look
from demo.story import ending
from support.chaos.node_plan import NODE_LONG, NODE_SHORT, USER_ACTS, Act, Event, make_node_plan, names
from support.chaos.verdict import Row, is_observed, table
from support.pods import TRAINER, operator_pods
from support.pumps import PATIENCE_SECONDS, Pumps
from support.training_jobs import jobs_created
from trainingjob_api.names import LABEL_NAME, RETRAIN_ANNOTATION

pytestmark = pytest.mark.needs("controllers", "node")

logger = logging.getLogger("cluster.chaos")


class Users:
    """The users of all TrainingJobs, and whoever deletes pods.

    Attributes:
        acts: How often each act happened, and to which TrainingJob; "" for the operator.
    """

    def __init__(self, pumps: Pumps, names: list[str]) -> None:
        """Creates the TrainingJobs."""
        self._pumps, self._core = pumps, CoreV1Api(pumps.client)
        self._epochs = dict.fromkeys(names, 10)
        self._millicores = dict.fromkeys(names, 100)
        self._suspended: set[str] = set()
        self._requests: Counter[str] = Counter()
        self.acts: Counter[tuple[Act, str]] = Counter()
        for name in names:
            self._apply(name)

    def do(self, event: Event) -> None:
        """Does what the plan says; pods are deleted only where there are any."""
        match event.act:
            case Act.STOP_OPERATOR | Act.KILL_OPERATOR:
                self._delete_pod(event, operator_pods(self._pumps.client))
            case Act.DELETE_TRAINER:
                selector = f"{TRAINER},{LABEL_NAME}"
                pods = self._core.list_namespaced_pod(self._pumps.namespace, label_selector=selector).items
                self._delete_pod(event, [pod for pod in pods if pod.status.phase == "Running"])
            case Act.EDIT_MODEL:
                self._epochs[event.name] += 1
            case Act.EDIT_RESOURCES:
                self._millicores[event.name] += 10
            case Act.SUSPEND_OR_RESUME:
                self._suspended ^= {event.name}
            case Act.RETRAIN:
                self._requests[event.name] += 1
        if event.act in USER_ACTS:
            self._apply(event.name)
            self.acts[event.act, event.name] += 1

    def resume_all(self) -> None:
        """Resumes what is suspended."""
        resumed, self._suspended = self._suspended, set()
        for name in resumed:
            self._apply(name)

    def count(self, acts: set[Act], name: str) -> int:
        """How often these acts happened to a TrainingJob."""
        return sum(self.acts[act, name] for act in acts)

    def _apply(self, name: str) -> None:
        self._pumps.apply(
            "gru",
            {"sequenceLength": 10, "epochs": self._epochs[name]},
            name=name,
            annotations={RETRAIN_ANNOTATION: f"request {self._requests[name]}"} if self._requests[name] else {},
            reuse="Never",
            resources={"requests": {"cpu": f"{self._millicores[name]}m"}},
            runPolicy={"suspend": name in self._suspended, "backoffLimit": 20},
        )

    def _delete_pod(self, event: Event, pods: list[Any]) -> None:
        for pod in sorted(pods, key=lambda pod: str(pod.metadata.name))[int(event.pick * len(pods)) :][:1]:
            options = {"grace_period_seconds": 0} if event.act is Act.KILL_OPERATOR else {}
            self._core.delete_namespaced_pod(pod.metadata.name, pod.metadata.namespace, **options)
            self.acts[event.act, (pod.metadata.labels or {}).get(LABEL_NAME, "")] += 1


def is_settled(job: dict[str, Any]) -> bool:
    """Whether the model of the current spec and of the last request is there."""
    return is_observed(job) and ending(job) == "Succeeded"


def verdict(pumps: Pumps, users: Users) -> list[Row]:
    """What must not happen, with the TrainingJobs that it happened to."""
    jobs = {job["metadata"]["name"]: dict(job) for job in look(pumps.client, pumps.namespace)}
    created, of_name = jobs_created(CoreV1Api(pumps.client), pumps.namespace), defaultdict(list)
    for job in created:
        of_name[job.rsplit("-", 3)[0]].append(job)
    with closing(pumps.database.connect()) as session, session.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM models")
        ((models,),) = cursor.fetchall()
        cursor.execute("SELECT uid, run, bucket_address FROM training_runs WHERE outcome = 'registered'")
        registered = {(uid, run): address for uid, run, address in cursor.fetchall()}
    rows = [
        ("TrainingJobs without their last model", [name for name, job in jobs.items() if not is_settled(job)]),
        ("Jobs created twice for one attempt", [name for name, number in created.items() if number > 1]),
        (
            "More runs than users asked for",
            [n for n, j in jobs.items() if j["status"]["run"] > 1 + users.count({Act.EDIT_MODEL, Act.RETRAIN}, n)],
        ),
        (
            "More attempts than users asked for",
            [name for name in jobs if len(of_name[name]) > 1 + users.count(USER_ACTS, name)],
        ),
        (
            "More failures than deleted pods",
            [n for n, j in jobs.items() if j["status"]["failures"] > users.count({Act.DELETE_TRAINER}, n)],
        ),
        (
            "Statuses that name another model than the registry",
            [
                name
                for name, job in jobs.items()
                if registered.get((job["metadata"]["uid"], job["status"]["run"]))
                != job["status"].get("registration", {}).get("bucketAddress")
            ],
        ),
    ]
    return [
        *(Row(act.value, sum(number for (each, _), number in users.acts.items() if each is act)) for act in Act),
        Row("Jobs created", len(created)),
        Row("Runs registered", len(registered)),
        Row("Models registered", models, () if models == len(registered) else ("models",)),
        *(Row(what, len(offenders), tuple(offenders)) for what, offenders in rows),
    ]


def test_nothing_is_lost_or_doubled_while_pods_are_deleted(pumps: Pumps, pytestconfig: pytest.Config) -> None:
    size = NODE_LONG if pytestconfig.getoption("--chaos") == "long" else NODE_SHORT
    seed = pytestconfig.getoption("--chaos-seed")
    users = Users(pumps, names(size))
    began = time.monotonic()
    for event in make_node_plan(seed, size):
        threading.Event().wait(max(0.0, began + event.at - time.monotonic()))
        users.do(event)
    users.resume_all()
    wait_until(
        lambda: all(is_settled(dict(job)) for job in look(pumps.client, pumps.namespace)),
        "every TrainingJob has its last model",
        patience_seconds=2 * PATIENCE_SECONDS,
    )
    rows = verdict(pumps, users)
    logger.info("Seed %d:\n%s", seed, table(rows))
    assert [row for row in rows if row.offenders] == []
    assert all(row.count for row in rows[: len(Act)])
