"""The metrics endpoint of the trainer, for the operator and Prometheus."""

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client import Enum as StateMetric

from trainingjob_api.fleet_run import FLEET_MACHINES_METRIC
from trainingjob_api.progress import ProgressMetric, Stage
from trainingjob_trainer.run.progress import Progress

Endpoint = TypeVar("Endpoint")

logger = logging.getLogger(__name__)


def served(endpoint: Callable[[int], Endpoint], port: int | None) -> Endpoint | None:
    """The endpoint at a port. A port that cannot be used is only logged: metrics are no condition of a run.

    Args:
        endpoint: Starts it.
        port: TCP port; None starts nothing.
    """
    if port is None:
        return None
    try:
        return endpoint(port)
    except OSError as error:
        logger.warning("metrics cannot be served on port %d: %s", port, error)
        return None


class MetricsEndpoint:
    """Serves the current progress under ``/metrics`` from its own thread until the process ends."""

    def __init__(self, port: int) -> None:
        """Start the server.

        Args:
            port: TCP port; the server listens on all addresses.

        Raises:
            OSError: The port is already in use.
        """
        registry = CollectorRegistry()
        self._stage = StateMetric(
            ProgressMetric.STAGE, "Current stage of the run.", states=list(Stage), registry=registry
        )
        self._ratio = Gauge(ProgressMetric.RATIO, "Fraction of the run that is done.", registry=registry)
        self._advanced_at = Gauge(
            ProgressMetric.LAST_ADVANCE,
            "Time of the last progress, in seconds since 1970.",
            registry=registry,
        )
        self._gauges = {
            "epoch": Gauge(ProgressMetric.EPOCH, "Completed epochs.", registry=registry),
            "epochs": Gauge(ProgressMetric.EPOCHS, "Maximum number of epochs.", registry=registry),
            "loss": Gauge(ProgressMetric.LOSS, "Training loss in units of the score.", registry=registry),
            "validation_loss": Gauge(
                ProgressMetric.VALIDATION_LOSS, "Validation loss in units of the score.", registry=registry
            ),
        }
        self(Progress())
        start_http_server(port, registry=registry)

    def __call__(self, progress: Progress) -> None:
        """Update the metrics; unknown values are NaN."""
        self._stage.state(progress.stage)
        self._ratio.set(progress.ratio)
        self._advanced_at.set(progress.heartbeat_at or float("nan"))
        for name, gauge in self._gauges.items():
            known = progress.epochs > 0 and getattr(progress, name) is not None
            gauge.set(getattr(progress, name) if known else float("nan"))


class FleetEndpoint:
    """Serves the states of a fleet's machines under ``/metrics`` from its own thread until the process ends."""

    def __init__(self, port: int) -> None:
        """Start the server; see ``MetricsEndpoint``."""
        registry = CollectorRegistry()
        self._machines = Gauge(FLEET_MACHINES_METRIC, "Machines of the run by state.", ["state"], registry=registry)
        self._ratio = Gauge(ProgressMetric.RATIO, "Fraction of the machines that are final.", registry=registry)
        self._advanced_at = Gauge(
            ProgressMetric.LAST_ADVANCE, "Time of the last progress, in seconds since 1970.", registry=registry
        )
        start_http_server(port, registry=registry)

    def __call__(self, progress: Progress) -> None:
        """Receive a heartbeat of the worker."""
        self._advanced_at.set(progress.heartbeat_at or float("nan"))

    def show(self, machines: Mapping[str, int], ratio: float) -> None:
        """Update the metrics of the run; before the first call there are none.

        Args:
            machines: Number of machines by state.
            ratio: Fraction of the machines that are final.
        """
        for state, number in machines.items():
            self._machines.labels(state).set(number)
        self._ratio.set(ratio)
