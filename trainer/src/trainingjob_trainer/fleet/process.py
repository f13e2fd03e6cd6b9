"""The process of a worker; see ``run.process``."""

import logging
import os
import socket
import uuid
from collections.abc import Callable
from dataclasses import replace

from trainingjob_api.fleet_run import FleetRun
from trainingjob_trainer.fleet.decisions.outcome import counted, ratio
from trainingjob_trainer.models.device import Device
from trainingjob_trainer.run.exporter import FleetEndpoint
from trainingjob_trainer.run.process import RuntimeConfig, in_process
from trainingjob_trainer.run.progress import Listener, RunProgress
from trainingjob_trainer.run.result import RunResult
from trainingjob_trainer.storage.ledger import LEASE_SECONDS, Ledger
from trainingjob_trainer.storage.ledger_rows import Counts

logger = logging.getLogger(__name__)


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
    endpoint = _endpoint(config.metrics_port)

    def take_part(device: Device, progress: RunProgress) -> RunResult:
        from trainingjob_trainer.fleet.worker import work
        from trainingjob_trainer.storage.object_store import ObjectStore

        def show(counts: Counts) -> None:
            on_counts(counts)
            # A worker that stops early reports them too.
            progress.record(machines=counted(counts))
            if endpoint is not None:
                endpoint.show(counted(counts), ratio(counts))

        store = ObjectStore.from_environment(os.environ, fleet.spec.template.artifacts.bucket)
        ledger = Ledger(fleet.uid, fleet.run, f"{socket.gethostname()}-{uuid.uuid4().hex[:8]}", lease_seconds)
        return work(fleet, device, progress, store, ledger, show)

    listeners: list[Listener] = [*config.listeners, *([endpoint] if endpoint else [])]
    return in_process(fleet, replace(config, metrics_port=None, listeners=listeners), take_part)


def _endpoint(port: int | None) -> FleetEndpoint | None:
    if port is None:
        return None
    try:
        return FleetEndpoint(port)
    except OSError as error:
        logger.warning("metrics cannot be served on port %d: %s", port, error)
        return None
