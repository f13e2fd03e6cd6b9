"""An operator on a machine whose clock is wrong: no deadline passes early."""

import pytest

from support.operator_process import Operator
from support.training_jobs import TrainingJobs, condition

pytestmark = pytest.mark.needs("controllers")
HOUR = 3600


@pytest.mark.parametrize("clock_error_seconds", [HOUR, -HOUR])
def test_no_deadline_passes_early_by_a_clock_that_is_an_hour_off(
    operator: Operator, jobs: TrainingJobs, clock_error_seconds: int
) -> None:
    operator.start(clock_error_seconds=clock_error_seconds)
    nowhere = {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}
    jobs.apply("waits", scheduling=nowhere, runPolicy={"schedulingTimeoutSeconds": 600})
    jobs.apply("starts")
    status = jobs.wait_phase("Queued", name="waits")
    assert condition(status, "Succeeded")[1] == "Unschedulable"
    pod = jobs.node.pod(jobs.namespace, "training.pumphealth.io/name=starts")
    jobs.node.fail_to_pull_image(pod)
    status = jobs.wait(lambda status: condition(status, "Succeeded")[1] == "ImagePullFailed", name="starts")
    assert status["phase"] == "Pending"


def test_a_deadline_passes_in_time_by_a_clock_that_is_an_hour_behind(operator: Operator, jobs: TrainingJobs) -> None:
    operator.start(clock_error_seconds=-HOUR)
    nowhere = {"nodeSelector": {"kubernetes.io/hostname": "nowhere"}}
    jobs.apply(scheduling=nowhere, runPolicy={"schedulingTimeoutSeconds": 5})
    status = jobs.wait_phase("Failed")
    assert condition(status, "Failed") == ("True", "SchedulingTimeout")
