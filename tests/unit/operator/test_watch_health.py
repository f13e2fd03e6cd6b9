"""When a watch counts as silent."""

from trainingjob_operator.controller.watch_health import SILENT_SECONDS, WatchHealth

JOBS, PODS = "/apis/batch/v1/jobs", "/api/v1/pods"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def watching() -> tuple[WatchHealth, Clock]:
    clock = Clock()
    health = WatchHealth(clock)
    health.expect([JOBS, PODS])
    return health, clock


def test_all_watches_are_complete_once_each_was_heard_of() -> None:
    health, _ = watching()
    health.record_activity(JOBS)
    assert not health.started
    health.record_activity(PODS)
    assert health.started


def test_nothing_expected_is_neither_complete_nor_a_fault() -> None:
    health, clock = watching()
    health.expect([])
    clock.now += 2 * SILENT_SECONDS
    assert (health.started, health.fault()) == (False, None)


def test_only_a_silent_watch_is_a_fault_and_its_last_answer_is_told() -> None:
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


def test_other_paths_are_nobody_elses_watch() -> None:
    health, clock = watching()
    clock.now += SILENT_SECONDS + 1
    health.record_activity("/api/v1/namespaces")
    health.record_response("/api/v1/namespaces", "refused")
    assert "namespaces" not in (health.fault() or "")
