"""What is known of the cluster, in whatever order it is heard."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from support.operator_objects import UID, World
from trainingjob_operator.controller.cache import Known, Store
from trainingjob_operator.core.objects import Job, Key, Pod, TrainingJob

KEY = Key("pumps", "pump")


def family() -> tuple[TrainingJob, Job, Pod]:
    view = World().start().view()
    return view.trainingjob, view.jobs[0], view.pods[0]


@given(st.permutations([0, 1, 2]), st.booleans())
def test_a_family_is_found_together_in_whatever_order_it_is_heard_of(order: list[int], twice: bool) -> None:
    store, members = Store(), family()
    for index in order * (2 if twice else 1):
        store.put(members[index])
    view = store.view(KEY)
    assert view is not None
    assert (view.trainingjob, view.jobs, view.pods) == (members[0], (members[1],), (members[2],))


def test_every_member_names_the_trainingjob_to_look_at() -> None:
    assert {Store().put(member) for member in family()} == {KEY}


def test_older_news_and_repeated_news_change_nothing() -> None:
    store, (trainingjob, _, _) = Store(), family()
    newer = replace(trainingjob, version=trainingjob.version + 1)
    assert store.put(newer) == KEY
    assert store.put(trainingjob) is None
    assert store.put(newer) is None
    view = store.view(KEY)
    assert view is not None
    assert view.trainingjob.version == newer.version


def test_an_echo_of_what_was_deleted_does_not_bring_it_back() -> None:
    store, (trainingjob, job, _) = Store(), family()
    store.put(trainingjob)
    store.put(job)
    assert store.drop(replace(job, version=job.version + 5)) == KEY
    assert store.put(replace(job, version=job.version + 1)) is None
    view = store.view(KEY)
    assert view is not None
    assert view.jobs == ()


def test_a_list_removes_what_vanished_unheard_and_keeps_what_came_after_it() -> None:
    store, (trainingjob, job, pod) = Store(), family()
    for member in (trainingjob, job, pod):
        store.put(member)
    late = replace(job, uid="late", version=1000)
    store.put(late)
    assert store.replace(Job, "", [], 500) == {KEY}
    view = store.view(KEY)
    assert view is not None
    assert view.jobs == (late,)
    assert store.put(replace(job, version=499)) is None, "an echo from before the list"


def test_a_list_of_one_namespace_says_nothing_about_another() -> None:
    store, (trainingjob, _, _) = Store(), family()
    store.put(trainingjob)
    assert store.replace(TrainingJob, "elsewhere", [], 500) == set()
    assert store.view(KEY) is not None


def test_a_list_of_one_family_says_nothing_about_another() -> None:
    store, (trainingjob, job, _) = Store(), family()
    other_parent = replace(trainingjob, uid="other", name="other")
    other_job = replace(job, uid="other-job", owner="other", parent="other")
    for known in (trainingjob, job, other_parent, other_job):
        store.put(known)
    store.replace(Job, "pumps", [], 500, uid=UID)
    view, other = store.view(KEY), store.view(Key("pumps", "other"))
    assert view is not None
    assert other is not None
    assert (view.jobs, other.jobs) == ((), (other_job,))


def test_a_pod_is_found_by_its_label_when_its_job_is_gone_and_no_longer_controls_it() -> None:
    store, (trainingjob, job, pod) = Store(), family()
    for known in (trainingjob, job, pod):
        store.put(known)
    store.drop(job)
    orphan = replace(pod, owner="", version=pod.version + 10)
    assert store.put(orphan) == KEY
    view = store.view(KEY)
    assert view is not None
    assert (view.jobs, view.leftover_pods) == ((), (orphan,))
    assert store.drop(orphan) == KEY
    view = store.view(KEY)
    assert view is not None
    assert view.pods == ()


def test_a_pod_that_is_labelled_anew_changes_its_family() -> None:
    store, (trainingjob, _, pod) = Store(), family()
    store.put(trainingjob)
    store.put(pod)
    store.put(replace(pod, trainingjob="another", version=pod.version + 10))
    view = store.view(KEY)
    assert view is not None
    assert view.pods == ()


def test_a_namesake_that_was_created_anew_takes_the_place_of_the_old_one() -> None:
    store, (trainingjob, job, _) = Store(), family()
    known: list[Known] = [trainingjob, job]
    for member in known:
        store.put(member)
    namesake = replace(trainingjob, uid="anew", version=trainingjob.version + 10)
    store.put(namesake)
    view = store.view(KEY)
    assert view is not None
    assert (view.trainingjob.uid, view.jobs) == ("anew", ())
    assert store.drop(trainingjob) is None
    assert store.view(KEY) is not None
