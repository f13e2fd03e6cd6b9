"""A server of progress metrics, like that of a trainer."""

import contextlib
import math
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Enum, Gauge, start_http_server

from cluster.processes import wait_until


class TrainerMetrics:
    """A server of progress metrics, like that of a trainer."""

    def __init__(self, address: str) -> None:
        """Serves no metrics yet."""
        self.address = address
        self._registry = CollectorRegistry()
        stages = ["Starting", "Loading", "Preparing", "Training", "Evaluating", "Publishing", "Registering"]
        self._stage = Enum("trainingjob_stage", "Stage", states=stages, registry=self._registry)
        names = {"ratio": "progress_ratio", "epoch": "epoch", "epochs": "epochs", "loss": "loss"}
        self._gauges = {key: Gauge(f"trainingjob_{name}", key, registry=self._registry) for key, name in names.items()}
        for gauge in self._gauges.values():
            gauge.set(math.nan)

        self._machines = Gauge("trainingjob_fleet_machines", "Machines", ["state"], registry=self._registry)

    def count(self, **machines: int) -> None:
        """Serves the machines of a fleet's run by state."""
        for state, number in machines.items():
            self._machines.labels(state).set(number)

    def update(self, stage: str | None = None, **figures: float) -> None:
        """Serves new metrics."""
        if stage is not None:
            self._stage.state(stage)
        for name, value in figures.items():
            self._gauges[name].set(value)

    @contextlib.contextmanager
    def serving(self) -> Iterator[None]:
        """Serves on the trainer's port, as soon as no other program listens on that port of all addresses."""
        started = []

        def start() -> bool:
            started.append(start_http_server(8080, self.address, self._registry))
            return True

        wait_until(start, f"port 8080 of {self.address} is free")
        ((server, thread),) = started
        yield
        server.shutdown()
        server.server_close()
        thread.join()


@contextlib.contextmanager
def trainer_metrics(address: str) -> Iterator[TrainerMetrics]:
    """Serves a trainer's metrics at a loopback address, which a test uses as the address of a pod."""
    figures = TrainerMetrics(address)
    with figures.serving():
        yield figures
