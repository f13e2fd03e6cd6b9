"""Each rule of the verdict finds what breaks it, and nothing in a history without faults."""

import copy
import dataclasses
from typing import Any

import pytest

from support.chaos.audit import OPERATOR, Audit, Written, read_audit
from support.chaos.stories import Story, UserRecord, spec
from support.chaos.verdict import Observations, verdict
from trainingjob_api.hashing import spec_hash

SPEC = spec(Story.SUCCEED)
LOST = "TrainingJobs lost: not at the end of their story"
TWICE = "Jobs created twice for one attempt"
BLAMED = "Runs failed as JobDeleted although nobody deleted the Job"
TURNED = "Runs that ended twice, or attempts counted down"


def status(phase: str = "Succeeded", reason: str = "Completed", **other: Any) -> dict[str, Any]:
    kind = "Failed" if phase == "Failed" else "Succeeded"
    conditions = [{"type": kind, "status": "True", "reason": reason}]
    return {
        "phase": phase,
        "run": 1,
        "attempt": 1,
        "failures": 0,
        "specHash": spec_hash(SPEC),
        "jobName": "pump-1-1",
        "jobUID": "job-1",
        "conditions": conditions,
        **other,
    }


def job(uid: str = "job-1", name: str = "pump-1-1") -> dict[str, Any]:
    labels = {"training.pumphealth.io/name": "pump"}
    owner = {"uid": "pump-uid"}
    conditions = [{"type": "Complete", "status": "True"}]
    metadata = {"name": name, "uid": uid, "labels": labels, "ownerReferences": [owner]}
    return {"metadata": metadata, "status": {"conditions": conditions}}


def well(**last: Any) -> Observations:
    """One TrainingJob that has succeeded, or has another last status."""
    final = status(**last)
    raw = {"metadata": {"name": "pump", "uid": "pump-uid"}, "spec": SPEC, "status": final}
    audit = Audit(jobs={"job-1": job()}, statuses=[Written("pump", "pump-uid", 7, final)])
    records = {"pump": UserRecord(Story.SUCCEED, created=True)}
    return Observations(records, {"pump": raw}, (job(),), audit, {}, {}, frozenset(), frozenset())


def broken(seen: Observations) -> set[str]:
    return {row.what for row in verdict(seen) if row.offenders}


def test_a_history_without_faults_breaks_no_rule() -> None:
    assert broken(well()) == set()


@pytest.mark.parametrize(
    ("last", "rules"),
    [
        ({"phase": "Running"}, {LOST}),
        ({"phase": "Failed", "reason": "JobDeleted"}, {LOST, BLAMED}),
        ({"failures": 1}, {"Failures counted that are none, or not counted"}),
        ({"attempt": 2}, {"Attempts without a cause"}),
        ({"jobName": "pump-2-1"}, {"Jobs of an attempt that no status names"}),
    ],
)
def test_a_wrong_last_status_is_found(last: dict[str, Any], rules: set[str]) -> None:
    assert broken(well(**last)) == rules


def test_a_second_job_of_an_attempt_is_found_unless_the_first_was_deleted_by_hand_unseen() -> None:
    seen = well()
    seen.audit.jobs["job-2"] = job("job-2")
    assert broken(seen) == {TWICE}
    seen.audit.deletions["pump-1-1"].add("admin")
    assert TWICE not in broken(seen)


def test_a_deletion_by_the_operator_is_none_by_hand() -> None:
    seen = well(phase="Failed", reason="JobDeleted")
    seen.audit.deletions["pump-1-1"].add(OPERATOR)
    assert BLAMED in broken(seen)
    seen.audit.deletions["pump-1-1"].add("admin")
    assert BLAMED not in broken(seen)


def test_trainers_of_two_jobs_are_found_unless_one_was_deleted_by_hand() -> None:
    seen = dataclasses.replace(well(), doubled=frozenset({"pump"}))
    assert broken(seen) == {"TrainingJobs with trainers of two Jobs at once"}
    seen.audit.deletions["pump-1-1"].add("admin")
    seen.audit.jobs.clear()
    assert broken(seen) == set()


def test_a_job_that_gets_no_pod_is_no_fault_of_the_operator_unless_there_is_one() -> None:
    seen = well(phase="Pending")
    seen.training_jobs["pump"]["status"]["conditions"][0].update(status="Unknown", reason="PodNotCreated")
    assert broken(seen) == set()
    assert broken(dataclasses.replace(seen, with_pods=frozenset({"pump"}))) == {LOST}


def test_a_failure_more_is_no_fault_where_a_pod_was_deleted_by_hand() -> None:
    assert broken(dataclasses.replace(well(failures=1), deleted_pods={"pump": 1})) == set()
    assert broken(dataclasses.replace(well(failures=2), deleted_pods={"pump": 1})) != set()


def test_a_run_that_continues_after_its_end_is_found() -> None:
    seen = well()
    later = copy.deepcopy(seen.audit.statuses[0].status) | {"phase": "Running"}
    seen.audit.statuses.append(Written("pump", "pump-uid", 9, later))
    assert broken(seen) == {TURNED}


def test_a_cut_line_and_refused_requests_are_no_entries_of_the_audit() -> None:
    refused = (
        '{"verb": "create", "objectRef": {"namespace": "pumps", "name": "a"}, "responseStatus": {"code": 409},'
        ' "user": {"username": "admin"}}'
    )
    assert read_audit([refused, '{"verb": "cre'], "pumps") == Audit()
