"""A simulation of one TrainingFleet with its Jobs and the pods of its workers."""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from support.operator_objects import World
from trainingjob_api.names import RETRY_FAILED_ANNOTATION
from trainingjob_operator.core.parent import Parent, TrainingFleet

FLEET_SPEC: Mapping[str, Any] = {
    "machines": {"matching": "*"},
    "template": {"model": {"type": "gru"}},
    "workers": 2,
    "accelerator": {"policy": "Disabled"},
}
NIGHTLY: Mapping[str, Any] = {"cron": "30 2 * * *", "startingDeadlineSeconds": 3600}


class FleetWorld(World):
    """The objects of one TrainingFleet, and the operator that acts on them."""

    kind: ClassVar[type[Parent]] = TrainingFleet
    example: ClassVar[Mapping[str, Any]] = FLEET_SPEC

    def start_workers(self, count: int = 2) -> Self:
        """Accepts the run and starts its workers."""
        self.settle()
        for _ in range(count):
            self.add_pod().bind().run()
        return self.settle()

    def worker(self, index: int) -> Self:
        """Makes a pod of the newest Job the one that the methods about the newest pod act on."""
        name = self.job["metadata"]["name"]
        mine = sorted(pod for pod in self.pods if pod.startswith(f"{name}-"))
        self.pods[mine[index]] = self.pods.pop(mine[index])
        return self

    def succeed_all(self, **machines: int) -> Self:
        """A worker reports the end of the run, and its Job completes."""
        report = self.report("Succeeded", machines=machines or {"selected": 3, "registered": 3})
        return self.end_pod(0, report).stop_workers().end_job("Complete").settle()

    def fail_some(self, failed: int = 1, **machines: int) -> Self:
        """A worker reports that too many machines failed, and its Job fails."""
        failures = [{"machine": f"M-{n}", "reason": "InsufficientData", "message": "12 rows"} for n in range(failed)]
        counts = {"selected": 3, "registered": 3 - failed, "failed": failed, **machines}
        report = self.report("Failed", reason="TooManyFailed", machines=counts, failures=failures, message="1 of 3")
        return self.end_pod(18, report).stop_workers().end_job("Failed", "PodFailurePolicy").settle()

    def stop_workers(self) -> Self:
        """The Job controller ends the workers that still run."""
        for name in [name for name, pod in self.pods.items() if pod["status"]["phase"] == "Running"]:
            self.pods[name] = self.pods.pop(name)
            self.end_pod(14, self.report("Stopped", reason="Evicted"))
        return self

    def request_retry(self, value: str) -> Self:
        """Asks to try the failed machines again."""
        return self.annotate(RETRY_FAILED_ANNOTATION, value)
