"""The process of a worker; see ``run.process``."""

import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import replace

from trainingjob_api.fleet_run import FleetRun, machine_counts
from trainingjob_trainer.fleet.decisions.outcome import ratio
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.run.exporter import FleetEndpoint, served
from trainingjob_trainer.run.process import RuntimeConfig, in_process
from trainingjob_trainer.run.progress import Listener, RunProgress
from trainingjob_trainer.run.result import RunResult
from trainingjob_trainer.storage.ledger import LEASE_SECONDS, Ledger
from trainingjob_trainer.storage.ledger_rows import Counts


def launch_worker(
    fleet: FleetRun,
    config: RuntimeConfig,
    on_counts: Callable[[Counts], None] = lambda counts: None,
    lease_seconds: float = LEASE_SECONDS,
) -> RunResult:
    """Take part in a run of a fleet; every exception becomes a result.

    Args:
        fleet: The run.
        config: See ``RuntimeConfig``.
        on_counts: Receives the number of machines in each state from time to time.
        lease_seconds: How long this worker may be silent until others take over its machines.

    Raises:
        KeyboardInterrupt: At a second SIGINT.
    """
    endpoint = served(FleetEndpoint, config.metrics_port)

    def take_part(device: Device, progress: RunProgress) -> RunResult:
        from trainingjob_trainer.fleet.worker import work
        from trainingjob_trainer.storage.object_store import ObjectStore

        def show(counts: Counts) -> None:
            on_counts(counts)
            # A worker that stops early reports them too.
            progress.record(machines=machine_counts(counts))
            if endpoint is not None:
                endpoint.show(machine_counts(counts), ratio(counts))

        store = ObjectStore.from_environment(os.environ, fleet.spec.template.artifacts.bucket)
        ledger = Ledger(fleet.uid, fleet.run, f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}", lease_seconds)
        return work(fleet, device, progress, store, ledger, show)

    listeners: list[Listener] = [*config.listeners, *([endpoint] if endpoint else [])]
    return in_process(fleet, replace(config, metrics_port=None, listeners=listeners), take_part)
