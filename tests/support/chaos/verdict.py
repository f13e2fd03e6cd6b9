"""What must hold after all faults, as rows of a table with those that break it. Pure."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from support.chaos.audit import Audit, Written
from support.chaos.stories import EXPECTATIONS, Expectation, UserRecord
from support.training_jobs import condition
from trainingjob_api.hashing import spec_hash
from trainingjob_api.names import LABEL_NAME, RETRAIN_ANNOTATION

TrainingJobs = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: is counted.
        count: how many.
        offenders: names of what must not be there; empty if all is well.
    """

    what: str
    count: int
    offenders: tuple[str, ...] = ()


@dataclass(frozen=True)
class Observations:
    """Everything that was seen.

    Attributes:
        records: what the users did, by name of the TrainingJob.
        training_jobs: as they are at the end, by name.
        jobs: the Jobs at the end.
        audit: the writes in between.
        failed_pods: how many failed pods each Job had, by its uid, without disruptions.
        deleted_pods: how many pods of each TrainingJob were deleted by hand.
        doubled: TrainingJobs of which trainers of two Jobs may have run at once.
        with_pods: TrainingJobs that have a pod at the end.
    """

    records: Mapping[str, UserRecord]
    training_jobs: TrainingJobs
    jobs: tuple[Mapping[str, Any], ...]
    audit: Audit
    failed_pods: Mapping[str, int]
    deleted_pods: Mapping[str, int]
    doubled: frozenset[str]
    with_pods: frozenset[str]


def is_settled(raw: Mapping[str, Any] | None, record: UserRecord) -> bool:
    """Whether a TrainingJob has come to the end of its story, for its current spec and the last request."""
    if raw is None:
        return False
    status, expected = raw.get("status", {}), EXPECTATIONS[record.story]
    if not is_observed(raw) or status.get("phase") != expected.phase:
        return False
    reason = condition(status, "Succeeded")[1]
    if reason == "JobDeleted" or expected.reason not in {None, reason}:
        return False
    must_act = expected.attempts > 1 or record.removed is not None
    return record.acted or not must_act


def is_observed(raw: Mapping[str, Any]) -> bool:
    """Whether the status is about the current spec and the last request for a run."""
    status, requested = raw.get("status", {}), raw["metadata"].get("annotations", {}).get(RETRAIN_ANNOTATION)
    return status.get("specHash") == spec_hash(raw["spec"]) and status.get("observedRetrainRequest") == requested


def table(rows: list[Row]) -> str:
    """The rows as text, one below the other."""
    width = max(len(row.what) for row in rows)
    return "\n".join(f"    {row.what:{width}} {row.count:6} {' '.join(row.offenders)}" for row in rows)


def verdict(seen: Observations) -> list[Row]:
    """Everything that must never happen, with those that it happened to."""
    created = _jobs_by_name(seen.audit)
    runs = {name: int(raw.get("status", {}).get("run", 0)) for name, raw in seen.training_jobs.items()}
    attempts = _attempts(seen)
    by_hand, forgotten = _names_of(created, seen.audit), _forgotten(seen)
    facts = [
        Row("TrainingJobs", len(seen.records)),
        Row("Runs", sum(runs.values())),
        Row("Attempts", sum(attempts.values())),
        Row("Jobs created", sum(map(len, created.values()))),
        Row("Jobs deleted by hand", len(seen.audit.by_hand())),
        Row("TrainingJobs whose Job the Job controller has forgotten", len(forgotten)),
    ]
    rest = _without(seen, forgotten)
    rules: list[tuple[str, Iterable[str]]] = [
        ("TrainingJobs lost: not at the end of their story", _lost(rest)),
        ("Jobs created twice for one attempt", _created_twice(created, seen.audit)),
        ("Jobs of an attempt that no status names", _unclaimed(created, seen)),
        # The Job controller can still create a pod for a Job that was deleted by hand a moment before.
        ("TrainingJobs with trainers of two Jobs at once", seen.doubled - by_hand),
        ("Runs that ended twice, or attempts counted down", _turned_back(seen.audit.statuses)),
        ("Runs without a cause", _without_cause(rest, by_hand, runs, runs=True)),
        ("Attempts without a cause", _without_cause(rest, by_hand, attempts, runs=False)),
        ("Runs failed as JobDeleted although nobody deleted the Job", _blamed(seen)),
        ("Failures counted that are none, or not counted", _miscounted(seen)),
        ("Unfinished Jobs of a TrainingJob that has ended", _left(rest)),
    ]
    return facts + [Row(what, len(found), found) for what, found in ((w, tuple(sorted(set(f)))) for w, f in rules)]


def _jobs_by_name(audit: Audit) -> dict[str, list[Mapping[str, Any]]]:
    found = defaultdict(list)
    for job in audit.jobs.values():
        found[job["metadata"]["name"]].append(job)
    return found


def _names_of(created: Mapping[str, list[Mapping[str, Any]]], audit: Audit) -> set[str]:
    """The TrainingJobs of which a Job was deleted by hand; the audit may lack the creation of that Job."""
    by_status = {(written.status.get("jobName"), written.name) for written in audit.statuses}
    by_label = {(name, job["metadata"]["labels"][LABEL_NAME]) for name, jobs in created.items() for job in jobs}
    by_hand = audit.by_hand()
    return {name for job, name in by_status | by_label if job in by_hand}


def _attempts(seen: Observations) -> dict[str, int]:
    """How many attempts of all runs each TrainingJob has had."""
    last: dict[str, dict[int, int]] = defaultdict(dict)
    current = {raw["metadata"]["uid"]: name for name, raw in seen.training_jobs.items()}
    finals = [(raw["metadata"]["uid"], raw.get("status", {})) for raw in seen.training_jobs.values()]
    for uid, status in [*((written.uid, written.status) for written in seen.audit.statuses), *finals]:
        if uid in current and "run" in status:
            of_run = last[current[uid]]
            of_run[status["run"]] = max(status["attempt"], of_run.get(status["run"], 0))
    return {name: sum(last[name].values()) for name in seen.training_jobs}


def _lost(seen: Observations) -> Iterator[str]:
    return (name for name, record in seen.records.items() if not is_settled(seen.training_jobs.get(name), record))


def _forgotten(seen: Observations) -> set[str]:
    """Those whose Job gets no pod, which the status says too.

    When the API server was killed, the Job controller of Kubernetes 1.36 can believe for good that a pod is there.
    """
    waiting = {
        name
        for name, raw in seen.training_jobs.items()
        if condition(raw.get("status", {}), "Succeeded") == ("Unknown", "PodNotCreated")
    }
    return waiting - seen.with_pods


def _without(seen: Observations, names: set[str]) -> Observations:
    records = {name: record for name, record in seen.records.items() if name not in names}
    training_jobs = {name: raw for name, raw in seen.training_jobs.items() if name not in names}
    return replace(seen, records=records, training_jobs=training_jobs)


def _created_twice(created: Mapping[str, list[Mapping[str, Any]]], audit: Audit) -> Iterator[str]:
    """A Job that was deleted by hand before any status named its uid is created again, and is no fault."""
    named = {written.status.get("jobUID") for written in audit.statuses}
    by_hand = audit.by_hand()
    for name, jobs in created.items():
        replaced = [job for job in jobs if name in by_hand and job["metadata"]["uid"] not in named]
        if len(jobs) > max(1, len(replaced) + 1):
            yield name


def _unclaimed(created: Mapping[str, list[Mapping[str, Any]]], seen: Observations) -> Iterator[str]:
    named = {written.status.get("jobName") for written in seen.audit.statuses}
    named |= {raw.get("status", {}).get("jobName") for raw in seen.training_jobs.values()}
    return (name for name in created if name not in named)


def _turned_back(statuses: Iterable[Written]) -> Iterator[str]:
    before: dict[str, Written] = {}
    for written in statuses:
        last = before.get(written.uid)
        if last is not None and last.status.get("run"):
            then, now = _position(last), _position(written)
            ended = last.status["phase"] in {"Succeeded", "Failed"}
            if now < then or (ended and now[0] == then[0] and written.status["phase"] != last.status["phase"]):
                yield written.name
        before[written.uid] = written


def _position(written: Written) -> tuple[int, int]:
    return written.status["run"], written.status["attempt"]


def _without_cause(seen: Observations, by_hand: set[str], counted: Mapping[str, int], *, runs: bool) -> Iterator[str]:
    """Exactly those of the story, with two exceptions.

    Where a Job was deleted by hand, there may be as many more as users requested. An attempt more is allowed for each
    pod that was deleted by hand: if its report is deleted with it, another trainer has to find the model.
    """
    for name, record in seen.records.items():
        expected = _expected(EXPECTATIONS[record.story], runs=runs)
        most = 1 + record.edits + len(record.requests) if name in by_hand else expected
        most += 0 if runs else seen.deleted_pods.get(name, 0)
        if not (1 if name in by_hand else expected) <= counted.get(name, 0) <= most:
            yield name


def _expected(expectation: Expectation, *, runs: bool) -> int:
    return expectation.runs if runs else expectation.attempts


def _blamed(seen: Observations) -> Iterator[str]:
    by_hand = seen.audit.by_hand()
    for written in seen.audit.statuses:
        if condition(written.status, "Failed") == ("True", "JobDeleted") and written.status["jobName"] not in by_hand:
            yield written.name


def _miscounted(seen: Observations) -> Iterator[str]:
    """A pod that was deleted by hand can be gone before anybody sees whether it failed."""
    for name, raw in seen.training_jobs.items():
        status = raw.get("status", {})
        if status.get("phase") == "Succeeded":
            difference = abs(status["failures"] - seen.failed_pods.get(status["jobUID"], 0))
            if difference > seen.deleted_pods.get(name, 0):
                yield name


def _left(seen: Observations) -> Iterator[str]:
    """Jobs that are being deleted, or of a deleted TrainingJob, are left to the garbage collector."""
    parents = {raw["metadata"]["uid"] for raw in seen.training_jobs.values()}
    for job in seen.jobs:
        ended = any(
            each["type"] in {"Complete", "Failed"} and each["status"] == "True"
            for each in job["status"].get("conditions", ())
        )
        if not ended and "deletionTimestamp" not in job["metadata"] and _parent(job) in parents:
            yield job["metadata"]["name"]


def _parent(job: Mapping[str, Any]) -> str:
    return str(job["metadata"]["ownerReferences"][0]["uid"])


def failed_pods(ended: Iterable[tuple[str, bool]]) -> Counter[str]:
    """How many pods of each Job failed.

    Args:
        ended: uid of the Job, and whether the pod counts as a failure.
    """
    return Counter(job for job, failed in ended if failed)
