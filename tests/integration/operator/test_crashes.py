"""Operators that are killed, restarted, stopped or run twice lose nothing, and repeat nothing."""

import random
import signal

import pytest

from cluster.processes import wait_until
from support.operator_process import SYSTEM_NAMESPACE, Operator
from support.training_jobs import TrainingJobs

pytestmark = pytest.mark.needs("controllers")
TRAINING_JOBS = 40


def test_two_operators_that_are_killed_repeatedly_create_one_job_per_attempt(
    operator: Operator, jobs: TrainingJobs
) -> None:
    rng = random.Random(7)
    running = [operator.start(), operator.start()]
    names = [f"pump-{number}" for number in range(TRAINING_JOBS)]
    for number, name in enumerate(names):
        jobs.apply(name)
        if number % 5 == 4:
            jobs.play_kubelet()
            operator.kill(running.pop(rng.randrange(len(running))))
            running.append(operator.start(wait=False))

    def all_ended() -> bool:
        jobs.play_kubelet()
        return jobs.phases() == {"Succeeded": TRAINING_JOBS}

    wait_until(all_ended, "every TrainingJob succeeds", patience_seconds=120)
    statuses = [jobs.status(name) for name in names]
    assert {(status["run"], status["attempt"]) for status in statuses} == {(1, 1)}
    assert jobs.job_names_ever() == {status["jobName"]: 1 for status in statuses}


def test_a_restart_writes_nothing_in_any_state(operator: Operator, jobs: TrainingJobs) -> None:
    process = operator.start()
    jobs.apply("running")
    jobs.running("running")
    jobs.apply("succeeded")
    jobs.succeed(jobs.running("succeeded"))
    jobs.apply("failed")
    jobs.node.finish(jobs.running("failed"), 17)
    jobs.wait_phase("Failed", name="failed")
    jobs.apply("suspended", runPolicy={"suspend": True})
    jobs.wait_phase("Suspended", name="suspended")
    jobs.apply("queued", scheduling={"nodeSelector": {"kubernetes.io/hostname": "nowhere"}})
    jobs.wait_phase("Queued", name="queued")
    wait_until(
        lambda: all(job.spec.ttl_seconds_after_finished for name in ("succeeded", "failed") for job in jobs.jobs(name)),
        "the ended Jobs have their time to live",
    )
    operator.kill(process)

    second = operator.start()
    # When a new TrainingJob has been processed, the existing ones have been reconciled before it.
    jobs.apply("marker", runPolicy={"suspend": True})
    jobs.wait_phase("Suspended", name="marker")
    assert operator.writes(second) == {"PATCH trainingjobs": 1}


def test_changes_during_an_outage_of_the_operator_are_handled_afterwards(
    operator: Operator, jobs: TrainingJobs
) -> None:
    process = operator.start()
    jobs.apply("ends")
    ends = jobs.running("ends")
    jobs.apply("vanishes")
    jobs.running("vanishes")
    operator.kill(process)
    jobs.node.finish(ends, 0, jobs.report(ends, reason="Completed"))
    (vanishing,) = jobs.jobs("vanishes")
    jobs.delete_job(vanishing.metadata.name)
    jobs.wait_gone(vanishing.metadata.name)
    jobs.apply("new")

    operator.start()
    jobs.wait_phase("Succeeded", name="ends")
    jobs.wait_phase("Failed", name="vanishes")
    jobs.running("new")
    assert jobs.jobs("vanishes") == []


def test_sigterm_ends_the_operator_cleanly(operator: Operator, jobs: TrainingJobs) -> None:
    process = operator.start()
    jobs.apply()
    jobs.running()
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(10) == 0
    assert "Traceback" not in process.log.read_text()


def test_an_invalid_configuration_ends_the_operator_with_a_message(operator: Operator) -> None:
    process = operator.start(wait=False, TRAINER_IMAGE_CPU="", CONCURRENCY="many")
    assert process.process.wait(20) == 1
    said = process.log.read_text()
    assert "TRAINER_IMAGE_CPU is missing" in said
    assert "CONCURRENCY: must be" in said


def test_a_second_replica_becomes_leader_when_the_leader_is_killed(operator: Operator, jobs: TrainingJobs) -> None:
    first, second = (operator.start(POD_NAMESPACE=SYSTEM_NAMESPACE, POD_NAME=name) for name in ("first", "second"))
    jobs.apply("before")
    jobs.succeed(jobs.running("before"))
    assert operator.writes(second) == {}
    operator.kill(first)
    jobs.apply("after")
    jobs.succeed(jobs.running("after"))
    assert operator.writes(second)["POST jobs"] == 1
    second.process.send_signal(signal.SIGTERM)
    assert second.process.wait(10) == 0
    third = operator.start(POD_NAMESPACE=SYSTEM_NAMESPACE, POD_NAME="third")
    jobs.apply("last")
    jobs.running("last")
    assert operator.writes(third)["POST jobs"] == 1
    third.process.send_signal(signal.SIGTERM)
    third.process.wait(10)
