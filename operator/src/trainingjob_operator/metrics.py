"""What Prometheus and the kubelet's probe can learn about the operator itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

PREFIX = "trainingjob_operator"
API_REQUESTS = Counter(f"{PREFIX}_api_requests_total", "Calls of the Kubernetes API", ["verb", "resource", "code"])
RECONCILIATIONS = Counter(f"{PREFIX}_reconciliations_total", "Looks at a TrainingJob by result", ["result"])
RECONCILIATION_SECONDS = Histogram(f"{PREFIX}_reconciliation_seconds", "Duration of one look at a TrainingJob")
RUNS_ENDED = Counter(f"{PREFIX}_runs_ended_total", "Runs that ended", ["model", "phase", "reason"])
WATCH_RESTARTS = Counter(f"{PREFIX}_watch_restarts_total", "Restarts of kopf after an error")
LAST_RESYNC = Gauge(f"{PREFIX}_last_resync_timestamp_seconds", "When everything was last read anew")
EVENTS_LOST = Counter(f"{PREFIX}_events_lost_total", "Events that could not be recorded")


class Counts(Collector):
    """Gauges that are counted when they are asked for."""

    def __init__(self, phases: Callable[[], Iterable[tuple[str, str]]], waiting: Callable[[], int]) -> None:
        """Counts by model type and phase, and keys that wait for a worker."""
        self._phases, self._waiting = phases, waiting

    def collect(self) -> Iterable[Metric]:
        """Give the gauges."""
        jobs = GaugeMetricFamily(f"{PREFIX}_trainingjobs", "TrainingJobs by phase", labels=["model", "phase"])
        counts: dict[tuple[str, str], int] = {}
        for labels in self._phases():
            counts[labels] = counts.get(labels, 0) + 1
        for labels, count in sorted(counts.items()):
            jobs.add_metric(labels, count)
        yield jobs
        yield GaugeMetricFamily(f"{PREFIX}_workqueue_depth", "TrainingJobs that wait for a worker", self._waiting())


async def serve(port: int, unhealthy: Callable[[], str | None]) -> web.AppRunner:
    """Serve /metrics and /healthz from the event loop itself: when that hangs, so does the probe.

    Args:
        port: TCP port on all addresses; 0 takes a free one.
        unhealthy: Gives what is wrong, or None.
    """

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def probe(_: web.Request) -> web.Response:
        fault = unhealthy()
        return web.Response(text=fault or "ok", status=500 if fault else 200)

    application = web.Application()
    application.add_routes([web.get("/metrics", scrape), web.get("/healthz", probe)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
