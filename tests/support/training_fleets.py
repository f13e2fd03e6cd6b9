"""Operations on the TrainingFleets of a namespace, as a user of kubectl does them."""

from collections.abc import Mapping
from typing import Any, ClassVar

from cluster.processes import wait_until
from support.training_jobs import GROUP, LABEL_NAME, TrainingJobs
from trainingjob_api.names import RETRAIN_ANNOTATION, RETRY_FAILED_ANNOTATION


class TrainingFleets(TrainingJobs):
    """The TrainingFleets of one namespace, with the operations of a user of kubectl."""

    kind: ClassVar[str] = "TrainingFleet"
    plural: ClassVar[str] = "trainingfleets"
    example: ClassVar[Mapping[str, Any]] = {
        "machines": {"matching": "*"},
        "template": {"model": {"type": "gru"}},
        "workers": 2,
    }

    def workers(self, *, attempt: int = 1, run: int = 1, addresses: tuple[str, ...] = ("127.0.0.1",) * 2) -> list[Any]:
        """Starts the workers of an attempt, waits for the phase Running, and returns their pods."""
        labels = f"{LABEL_NAME}=pump,{GROUP}/run={run},{GROUP}/attempt={attempt}"

        def pods() -> list[Any]:
            return self.node.pods(self.namespace, labels)

        wait_until(lambda: len(pods()) == len(addresses), f"{len(addresses)} workers of attempt {attempt} are bound")
        started = pods()
        for pod, address in zip(started, addresses, strict=True):
            self.node.run(pod, address)
        self.wait_phase("Running", run=run)
        return started

    def end(self, pod: Any, exit_code: int = 0, *, run: int = 1, **content: Any) -> dict[str, Any]:
        """Ends a run by the report of one worker, and waits for the status."""
        phase = "Failed" if exit_code else "Succeeded"
        self.node.finish(pod, exit_code, self.report(pod, phase, **content))

        def ended() -> bool:
            self.node.remove_deleted(self.namespace)
            status = self.status()
            return (status.get("phase"), status.get("run")) == (phase, run)

        wait_until(ended, f"run {run} is {phase}")
        return self.status()

    def wait_phase_without_run(self, phase: str) -> dict[str, Any]:
        """Waits for a phase before the first run."""
        return self.wait(lambda status: status.get("phase") == phase and "run" not in status)

    def request(self, *, retrain: str | None = None, retry_failed: str | None = None) -> None:
        """Annotates the fleet."""
        values = {RETRAIN_ANNOTATION: retrain, RETRY_FAILED_ANNOTATION: retry_failed}
        self.patch(annotations={name: value for name, value in values.items() if value is not None})
