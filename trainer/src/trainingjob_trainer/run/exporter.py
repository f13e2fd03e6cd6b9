"""Live progress for whoever asks: the trainer's Prometheus endpoint, read by the operator and by Prometheus itself."""

from prometheus_client import CollectorRegistry, Gauge, start_http_server
from prometheus_client import Enum as StateMetric

from trainingjob_trainer.run.progress import Progress, Stage

DEFAULT_PORT = 8080


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
        self._stage = StateMetric(
            "trainingjob_stage",
            "What the run is doing.",
            states=[stage.label for stage in Stage],
            registry=registry,
        )
        self._ratio = Gauge("trainingjob_progress_ratio", "Share of the whole run that is done.", registry=registry)
        self._advanced_at = Gauge(
            "trainingjob_last_advance_timestamp_seconds",
            "When something moved on last, in seconds since 1970.",
            registry=registry,
        )
        self._gauges = {
            "epoch": Gauge("trainingjob_epoch", "Epochs that ended.", registry=registry),
            "epochs": Gauge("trainingjob_epochs", "Epochs that there will be at most.", registry=registry),
            "loss": Gauge("trainingjob_loss", "Training loss in units of the score.", registry=registry),
            "validation_loss": Gauge(
                "trainingjob_validation_loss", "Validation loss in units of the score.", registry=registry
            ),
        }
        self(Progress())
        start_http_server(port, registry=registry)

    def __call__(self, progress: Progress) -> None:
        """Show this progress from now on; what is unknown is NaN."""
        self._stage.state(progress.stage.label)
        self._ratio.set(progress.ratio)
        self._advanced_at.set(progress.advanced_at or float("nan"))
        for name, gauge in self._gauges.items():
            known = progress.epochs > 0 and getattr(progress, name) is not None
            gauge.set(getattr(progress, name) if known else float("nan"))
