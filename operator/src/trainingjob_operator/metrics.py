"""The metrics and probes of the operator itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, Counter, Gauge, Histogram, generate_latest

PREFIX = "trainingjob_operator"
_MINUTE, _HOUR = 60, 3600
API_REQUESTS = Counter(f"{PREFIX}_api_requests_total", "Requests to the Kubernetes API", ["verb", "resource", "code"])
RECONCILIATIONS = Counter(
    f"{PREFIX}_reconciliations_total", "Reconciliations of TrainingJobs and TrainingFleets by result", ["result"]
)
for _result in ("ok", "api-error", "error"):
    # A counter that first appears with the value 1 has no increase for Prometheus.
    RECONCILIATIONS.labels(_result)
RECONCILIATION_SECONDS = Histogram(f"{PREFIX}_reconciliation_seconds", "Duration of one reconciliation")
RUNS_ENDED = Counter(f"{PREFIX}_runs_ended_total", "Runs that have ended", ["kind", "model", "phase", "reason"])
RUN_SECONDS = Histogram(
    f"{PREFIX}_run_seconds",
    "Duration of the runs that have ended, from acceptance to result",
    ["kind", "model", "phase"],
    buckets=(_MINUTE, 2 * _MINUTE, 5 * _MINUTE, 15 * _MINUTE, 30 * _MINUTE, _HOUR, 2 * _HOUR, 6 * _HOUR, 24 * _HOUR),
)
CHANGES = Counter(f"{PREFIX}_changes_total", "Changes of objects by source: watch or resync", ["resource", "source"])
WATCH_RESTARTS = Counter(f"{PREFIX}_watch_restarts_total", "Restarts of the watches after an error or silence")
MISSING_RIGHTS = Gauge(
    f"{PREFIX}_missing_rights", "1 for each right that the operator lacks", ["namespace", "verb", "resource"]
)
LAST_RESYNC = Gauge(f"{PREFIX}_last_resync_timestamp_seconds", "Time of the last resync")
EVENTS_LOST = Counter(f"{PREFIX}_events_lost_total", "Events that were not recorded")


@dataclass(frozen=True)
class Probe:
    """The answer to a probe of the kubelet.

    Attributes:
        passed: Whether the probe succeeds.
        text: The body of the response.
    """

    passed: bool
    text: str


async def serve(port: int, probes: Mapping[str, Callable[[], Probe]]) -> web.AppRunner:
    """Serve /metrics and the probes in the event loop, so that the probes fail if the loop hangs.

    Args:
        port: TCP port on all addresses; 0 takes a free one.
        probes: By path.
    """

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def probe(request: web.Request) -> web.Response:
        answer = probes[request.path]()
        return web.Response(text=answer.text, status=200 if answer.passed else 500)

    application = web.Application()
    application.add_routes([web.get("/metrics", scrape), *(web.get(path, probe) for path in probes)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, port=port).start()
    return runner
