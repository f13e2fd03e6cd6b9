"""When a watch counts as silent."""

from trainingjob_operator.controller.watch_health import SILENT_SECONDS, WatchHealth

JOBS, PODS = "/apis/batch/v1/jobs", "/api/v1/pods"


class Clock:
    """A clock whose time a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def watching() -> tuple[WatchHealth, Clock]:
    clock = Clock()
    health = WatchHealth(clock)
    health.expect([JOBS, PODS])
    return health, clock


def test_the_watches_have_started_once_each_was_active() -> None:
    health, _ = watching()
    health.record_activity(JOBS)
    assert not health.started
    health.record_activity(PODS)
    assert health.started


def test_without_watches_nothing_has_started_and_there_is_no_fault() -> None:
    health, clock = watching()
    health.expect([])
    clock.now += 2 * SILENT_SECONDS
    assert (health.started, health.fault()) == (False, None)


def test_a_silent_watch_is_a_fault_that_names_its_last_response() -> None:
    health, clock = watching()
    clock.now += SILENT_SECONDS
    health.record_activity(JOBS)
    health.record_response(PODS, "the API server answers 403 Forbidden")
    assert health.fault() is None
    clock.now += 1
    assert health.fault() == f"no event and no bookmark of {PODS} for 61 s (the API server answers 403 Forbidden)"
    health.record_activity(PODS)
    assert health.fault() is None


def test_a_restart_does_not_hide_that_a_watch_is_silent() -> None:
    health, clock = watching()
    clock.now += SILENT_SECONDS + 1
    health.expect([JOBS, PODS])
    assert health.fault() is not None
    assert not health.started


def test_requests_for_other_paths_are_ignored() -> None:
    health, clock = watching()
    clock.now += SILENT_SECONDS + 1
    health.record_activity("/api/v1/namespaces")
    health.record_response("/api/v1/namespaces", "refused")
    assert "namespaces" not in (health.fault() or "")
