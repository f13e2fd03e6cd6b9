"""The metrics endpoint of the trainer, read by the operator and by Prometheus."""

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client import Enum as StateMetric

from trainingjob_api.progress import ProgressMetric, Stage
from trainingjob_trainer.run.progress import Progress


class MetricsEndpoint:
    """Serves the present progress under ``/metrics`` from a thread of its own until the process ends."""

    def __init__(self, port: int) -> None:
        """Start to serve.

        Args:
            port: TCP port on all addresses.

        Raises:
            OSError: The port is taken.
        """
        registry = CollectorRegistry()
        self._stage = StateMetric(ProgressMetric.STAGE, "What the run is doing.", states=list(Stage), registry=registry)
        self._ratio = Gauge(ProgressMetric.RATIO, "Share of the whole run that is done.", registry=registry)
        self._advanced_at = Gauge(
            ProgressMetric.LAST_ADVANCE,
            "When something moved on last, in seconds since 1970.",
            registry=registry,
        )
        self._gauges = {
            "epoch": Gauge(ProgressMetric.EPOCH, "Epochs that ended.", registry=registry),
            "epochs": Gauge(ProgressMetric.EPOCHS, "Epochs that there will be at most.", registry=registry),
            "loss": Gauge(ProgressMetric.LOSS, "Training loss in units of the score.", registry=registry),
            "validation_loss": Gauge(
                ProgressMetric.VALIDATION_LOSS, "Validation loss in units of the score.", registry=registry
            ),
        }
        self(Progress())
        start_http_server(port, registry=registry)

    def __call__(self, progress: Progress) -> None:
        """Show this progress from now on; what is unknown is NaN."""
        self._stage.state(progress.stage)
        self._ratio.set(progress.ratio)
        self._advanced_at.set(progress.heartbeat_at or float("nan"))
        for name, gauge in self._gauges.items():
            known = progress.epochs > 0 and getattr(progress, name) is not None
            gauge.set(getattr(progress, name) if known else float("nan"))
