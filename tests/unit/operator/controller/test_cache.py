"""The cache, for any order of the events."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from support.fleet_objects import FleetWorld
from support.operator_objects import World
from support.simulated_objects import UID
from trainingjob_operator.controller.cache import Cache, Resource
from trainingjob_operator.core.objects import Job, Pod
from trainingjob_operator.core.parent import Key, TrainingJob

KEY = Key("TrainingJob", "pumps", "pump")


def family() -> tuple[TrainingJob, Job, Pod]:
    snapshot = World().start().snapshot()
    return snapshot.parent, snapshot.jobs[0], snapshot.all_pods[0]


@given(st.permutations([0, 1, 2]), st.booleans())
def test_a_snapshot_is_complete_in_any_order_of_the_events(order: list[int], twice: bool) -> None:
    cache, members = Cache(), family()
    for index in order * (2 if twice else 1):
        cache.put(members[index])
    snapshot = cache.snapshot(KEY)
    assert snapshot is not None
    assert (snapshot.parent, snapshot.jobs, snapshot.all_pods) == (members[0], (members[1],), (members[2],))


def test_each_event_gives_the_trainingjob_to_reconcile() -> None:
    assert {Cache().put(member) for member in family()} == {KEY}


def test_a_trainingjob_and_a_trainingfleet_of_one_name_are_kept_apart() -> None:
    cache, fleet = Cache(), FleetWorld().start_workers().snapshot()
    for member in (*family(), replace(fleet.parent, uid="fleet"), replace(fleet.jobs[0], uid="job", owner="fleet")):
        cache.put(member)
    job, fleet_job = cache.snapshot(KEY), cache.snapshot(Key("TrainingFleet", "pumps", "pump"))
    assert job is not None
    assert fleet_job is not None
    assert (job.parent.kind, fleet_job.parent.kind) == ("TrainingJob", "TrainingFleet")
    assert [each.uid for each in fleet_job.jobs] == ["job"]
    assert {cache.drop(each) for each in fleet_job.jobs} == {Key("TrainingFleet", "pumps", "pump")}


def test_older_and_repeated_versions_change_nothing() -> None:
    cache, (trainingjob, _, _) = Cache(), family()
    newer = replace(trainingjob, version=trainingjob.version + 1)
    assert cache.put(newer) == KEY
    assert cache.put(trainingjob) is None
    assert cache.put(newer) is None
    snapshot = cache.snapshot(KEY)
    assert snapshot is not None
    assert snapshot.parent.version == newer.version


def test_an_outdated_event_does_not_restore_a_deleted_object() -> None:
    cache, (trainingjob, job, _) = Cache(), family()
    cache.put(trainingjob)
    cache.put(job)
    assert cache.drop(replace(job, version=job.version + 5)) == KEY
    assert cache.put(replace(job, version=job.version + 1)) is None
    snapshot = cache.snapshot(KEY)
    assert snapshot is not None
    assert snapshot.jobs == ()


def test_a_list_removes_objects_that_are_missing_and_older_than_the_list() -> None:
    cache, (trainingjob, job, pod) = Cache(), family()
    for member in (trainingjob, job, pod):
        cache.put(member)
    late = replace(job, uid="late", version=1000)
    cache.put(late)
    assert cache.replace(Job, "", [], 500) == {KEY}
    snapshot = cache.snapshot(KEY)
    assert snapshot is not None
    assert snapshot.jobs == (late,)
    assert cache.put(replace(job, version=499)) is None, "an echo from before the list"


def test_a_list_of_one_namespace_does_not_affect_another() -> None:
    cache, (trainingjob, _, _) = Cache(), family()
    cache.put(trainingjob)
    assert cache.replace(TrainingJob, "elsewhere", [], 500) == set()
    assert cache.snapshot(KEY) is not None


def test_a_list_for_one_trainingjob_does_not_affect_another() -> None:
    cache, (trainingjob, job, _) = Cache(), family()
    other_parent = replace(trainingjob, uid="other", name="other")
    other_job = replace(job, uid="other-job", owner="other", parent="other")
    for known in (trainingjob, job, other_parent, other_job):
        cache.put(known)
    cache.replace(Job, "pumps", [], 500, uid=UID)
    snapshot, other = cache.snapshot(KEY), cache.snapshot(Key("TrainingJob", "pumps", "other"))
    assert snapshot is not None
    assert other is not None
    assert (snapshot.jobs, other.jobs) == ((), (other_job,))


def test_an_orphaned_pod_is_found_by_its_label() -> None:
    cache, (trainingjob, job, pod) = Cache(), family()
    for known in (trainingjob, job, pod):
        cache.put(known)
    cache.drop(job)
    orphan = replace(pod, owner="", version=pod.version + 10)
    assert cache.put(orphan) == KEY
    snapshot = cache.snapshot(KEY)
    assert snapshot is not None
    assert (snapshot.jobs, snapshot.leftover_pods) == ((), (orphan,))
    assert cache.drop(orphan) == KEY
    snapshot = cache.snapshot(KEY)
    assert snapshot is not None
    assert snapshot.all_pods == ()


def test_a_pod_with_a_changed_label_belongs_to_another_trainingjob() -> None:
    cache, (trainingjob, _, pod) = Cache(), family()
    cache.put(trainingjob)
    cache.put(pod)
    cache.put(replace(pod, parent_uid="another", version=pod.version + 10))
    snapshot = cache.snapshot(KEY)
    assert snapshot is not None
    assert snapshot.all_pods == ()


def test_a_recreated_trainingjob_replaces_the_old_one() -> None:
    cache, (trainingjob, job, _) = Cache(), family()
    known: list[Resource] = [trainingjob, job]
    for member in known:
        cache.put(member)
    namesake = replace(trainingjob, uid="anew", version=trainingjob.version + 10)
    cache.put(namesake)
    snapshot = cache.snapshot(KEY)
    assert snapshot is not None
    assert (snapshot.parent.uid, snapshot.jobs) == ("anew", ())
    assert cache.drop(trainingjob) is None
    assert cache.snapshot(KEY) is not None
