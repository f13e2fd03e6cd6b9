"""What every part of a worker needs."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

from trainingjob_api.fleet_run import FleetRun
from trainingjob_trainer.fleet.leases import Leases
from trainingjob_trainer.fleet.patience import patiently, pause
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.run.progress import RunProgress
from trainingjob_trainer.storage.artifact_paths import TIMESTAMP
from trainingjob_trainer.storage.ledger import Ledger
from trainingjob_trainer.storage.ledger_rows import FrozenRun
from trainingjob_trainer.storage.object_store import ObjectStore

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


@dataclass(frozen=True)
class WorkerContext:
    """One worker of a run: the run, the device to compute on, and the servers.

    Attributes:
        fleet: The run as the operator wrote it.
        frozen: The run as the ledger has it.
        device: The device to compute on.
        progress: Receives heartbeats, and says whether to stop.
        store: The object store for models and page.
        ledger: The ledger of the run.
        leases: Those of this process.
    """

    fleet: FleetRun
    frozen: FrozenRun
    device: Device
    progress: RunProgress
    store: ObjectStore
    ledger: Ledger
    leases: Leases

    @property
    def folder(self) -> str:
        """Prefix of the keys of what belongs to the whole run."""
        return f"runs/fleets/{self.fleet.namespace}-{self.fleet.name}/{self.frozen.frozen_at.strftime(TIMESTAMP)}/"

    def patiently(
        self, action: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """Call the action; repeat it after transient errors. See ``patience.patiently``."""
        return patiently(self.progress, action, *arguments, **named)

    def once(self, task: str, perform: Callable[[int], Mapping[str, Any]]) -> Mapping[str, Any]:
        """The result of a task that one worker does for all: the first one that takes its lease, while others wait.

        Args:
            task: Name of the task.
            perform: Does the task and returns its result, which is JSON; it receives the number of the attempt, from 1.

        Raises:
            TrainingError: Suspended; the error of a server that is not available for long; any exception of
                ``perform`` is passed on.
        """
        while (result := self.patiently(self.ledger.task_result, task)) is None:
            attempt = self.patiently(self.ledger.claim_task, task)
            if attempt is None:
                self.pause()
                continue
            with self.leases.holding(task):
                self.patiently(self.ledger.finish_task, task, perform(attempt))
        return result

    def pause(self) -> None:
        """Wait before the ledger is read again; see ``patience.pause``."""
        pause(self.progress, self.ledger.lease_seconds / 12)
