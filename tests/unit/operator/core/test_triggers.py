"""When a TrainingFleet with a schedule starts, skips and catches up runs."""

import bisect
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.fleet_objects import FLEET_SPEC, NIGHTLY, FleetWorld
from trainingjob_api.schedule import next_time
from trainingjob_api.text import instant, timestamp
from trainingjob_operator.core.decision import Requeue, SkipRun, StartAttempt
from trainingjob_operator.core.fleet_status import with_schedule
from trainingjob_operator.core.parent import TrainingFleet
from trainingjob_operator.core.triggers import skip_run, start_run

HOUR = 3600
DUE = "2026-03-02T02:30:00Z"
"""The first time of the schedule NIGHTLY after the start of each world, which is on 1 March at 12:00."""


def scheduled(**schedule: Any) -> FleetWorld:
    return FleetWorld(schedule={**NIGHTLY, **schedule}).settle()


def wait_until(world: FleetWorld, time: str) -> FleetWorld:
    moment = instant(time)
    assert moment is not None
    return world.pass_time((moment - world.now).total_seconds())


def test_a_fleet_waits_for_its_first_scheduled_run() -> None:
    world = scheduled()
    assert (world.status["phase"], world.status["nextScheduleTime"]) == ("Scheduled", DUE)
    assert world.condition("Succeeded") == ("Unknown", "Scheduled")
    assert world.condition("Reconciling")[0] == world.condition("Stalled")[0] == "False"
    assert "run" not in world.status
    assert world.jobs == {}
    assert world.step() is None
    decision = world.decide()
    assert isinstance(decision, Requeue)
    assert decision.at == instant(DUE)


def test_a_run_is_claimed_by_its_scheduled_minute_before_its_job_is_created() -> None:
    world = wait_until(scheduled(), "2026-03-02T02:30:07Z")
    world.step()
    assert (world.status["run"], world.status["trigger"]) == (1, "Scheduled")
    assert world.status["lastScheduleTime"] == DUE
    assert world.status["nextScheduleTime"] == "2026-03-03T02:30:00Z"
    assert world.jobs == {}
    world.settle()
    assert len(world.jobs) == 1


def test_a_fleet_keeps_its_result_until_the_next_run() -> None:
    world = wait_until(scheduled(), DUE).start_workers().succeed_all().pass_time(HOUR).settle()
    assert (world.status["phase"], world.status["nextScheduleTime"]) == ("Succeeded", "2026-03-03T02:30:00Z")
    world.remove_job().pass_time(24 * HOUR).settle()
    assert (world.status["run"], world.status["phase"]) == (2, "Pending")


def test_a_run_that_is_due_while_another_is_unfinished_is_skipped_with_an_event() -> None:
    world = wait_until(scheduled(), DUE).start_workers().pass_time(24 * HOUR).settle()
    assert (world.status["run"], world.status["phase"], len(world.jobs)) == (1, "Running", 1)
    assert world.status["lastScheduleTime"] == DUE
    assert world.status["nextScheduleTime"] == "2026-03-04T02:30:00Z"
    assert world.events == ["The run scheduled for 2026-03-03T02:30:00Z is skipped: run 1 has not ended"]
    assert world.succeed_all().status["run"] == 1


def test_one_run_catches_up_after_a_downtime_within_the_deadline() -> None:
    world = wait_until(scheduled(), "2026-03-05T03:29:00Z").settle()
    assert (world.status["run"], world.status["lastScheduleTime"]) == (1, "2026-03-05T02:30:00Z")
    assert world.events == []


def test_no_run_catches_up_after_the_deadline() -> None:
    world = wait_until(scheduled(), "2026-03-05T03:31:00Z").settle()
    assert "run" not in world.status
    assert world.status["nextScheduleTime"] == "2026-03-06T02:30:00Z"
    (event,) = world.events
    assert "2026-03-05T02:30:00Z is skipped" in event
    assert "startingDeadlineSeconds = 3600" in event


def test_a_fleet_created_during_a_downtime_catches_up() -> None:
    world = wait_until(FleetWorld(schedule=NIGHTLY), "2026-03-02T03:00:00Z").settle()
    assert world.status["lastScheduleTime"] == DUE


def test_a_suspended_schedule_starts_nothing_and_catches_up_nothing() -> None:
    world = scheduled().edit(runPolicy={"suspend": True}).settle()
    assert world.status["phase"] == "Suspended"
    assert "nextScheduleTime" not in world.status
    wait_until(world, "2026-03-02T03:00:00Z").settle().edit(runPolicy={"suspend": False}).settle()
    assert (world.status["phase"], world.status["nextScheduleTime"]) == ("Scheduled", "2026-03-03T02:30:00Z")
    assert "run" not in world.status


def test_a_changed_schedule_starts_from_now() -> None:
    world = wait_until(scheduled(), "2026-03-02T02:00:00Z")
    world.edit(schedule={"cron": "0 1 * * *", "startingDeadlineSeconds": 6 * HOUR}).settle()
    assert world.status["nextScheduleTime"] == "2026-03-03T01:00:00Z"
    assert "run" not in world.status


def test_with_a_schedule_an_edit_of_the_spec_waits_for_the_next_run() -> None:
    world = wait_until(scheduled(), DUE).start_workers().fail_some(1)
    world.edit(machines={"matching": "A-*"}).settle()
    assert (world.status["run"], world.status["observedGeneration"]) == (1, 2)
    world.remove_job().pass_time(24 * HOUR).settle()
    assert (world.status["run"], world.status["trigger"]) == (2, "Scheduled")


def test_a_retrain_request_starts_a_run_between_two_scheduled_ones() -> None:
    world = scheduled().request_retrain("now").settle()
    assert (world.status["run"], world.status["trigger"]) == (1, "RetrainRequested")
    assert "lastScheduleTime" not in world.status
    assert world.status["nextScheduleTime"] == DUE


def test_a_removed_schedule_starts_a_run_at_once() -> None:
    world = scheduled()
    del world.raw["spec"]["schedule"]
    world.edit(workers=3).settle()
    assert (world.status["run"], world.status["trigger"]) == (1, "Created")


def test_an_added_schedule_starts_no_run_before_its_time() -> None:
    world = FleetWorld().start_workers().succeed_all()
    world.edit(schedule=NIGHTLY, machines={"matching": "A-*"}).settle()
    assert (world.status["run"], world.status["nextScheduleTime"]) == (1, DUE)


@pytest.mark.parametrize(
    ("schedule", "field"),
    [({"cron": "99 2 * * *"}, "spec.schedule.cron"), ({"timeZone": "Mars/Olympus"}, "spec.schedule.timeZone")],
)
def test_an_invalid_schedule_is_named_until_it_is_corrected(schedule: dict[str, str], field: str) -> None:
    world = scheduled(**schedule)
    assert world.condition("Failed") == ("True", "InvalidConfiguration")
    assert field in world.message
    world.edit(schedule=NIGHTLY).settle()
    assert (world.status["phase"], world.status["nextScheduleTime"]) == ("Scheduled", DUE)


def test_a_schedule_that_becomes_invalid_leaves_the_result_and_stalls_the_fleet() -> None:
    world = wait_until(scheduled(), DUE).start_workers().succeed_all()
    world.edit(schedule={"cron": "99 2 * * *"}).settle()
    assert world.condition("Succeeded") == ("True", "Completed")
    assert world.condition("Stalled") == ("True", "InvalidConfiguration")
    assert world.step() is None
    world.edit(schedule=NIGHTLY).settle()
    assert world.condition("Stalled") == ("False", "Completed")


def test_a_replica_whose_clock_is_behind_starts_no_run_twice() -> None:
    world = wait_until(scheduled(), DUE).start_workers().succeed_all()
    world.pass_time(-5).settle()
    assert world.pass_time(10).settle().status["run"] == 1


@pytest.mark.parametrize(
    ("zone", "cron", "day", "runs"),
    [
        ("America/New_York", "30 1 * * *", "2026-11-01", ["2026-11-01T05:30:00Z"]),
        ("America/New_York", "30 2 * * *", "2026-03-08", ["2026-03-08T07:00:00Z"]),
        ("Europe/Berlin", "30 2 * * *", "2026-10-25", ["2026-10-25T00:30:00Z"]),
        ("Europe/Berlin", "30 2 * * *", "2026-03-29", ["2026-03-29T01:00:00Z"]),
        ("America/Sao_Paulo", "30 2 * * *", "2026-03-29", ["2026-03-29T05:30:00Z"]),
    ],
)
def test_a_time_that_the_clocks_repeat_or_skip_has_one_run(zone: str, cron: str, day: str, runs: list[str]) -> None:
    world = FleetWorld(schedule={"cron": cron, "timeZone": zone, "startingDeadlineSeconds": 60})
    world.raw["metadata"]["creationTimestamp"] = timestamp(datetime.fromisoformat(f"{day}T00:00:00+00:00"))
    wait_until(world, f"{day}T00:00:00Z").settle()
    started = []
    for _ in range(12 * 60):
        run = world.status.get("run")
        if world.pass_time(60).settle().status.get("run") != run:
            started.append(world.status["lastScheduleTime"])
            world.start_workers().succeed_all().remove_job()
    assert started == runs


@dataclass
class Year:
    """A fleet over a year: what happens from outside, and what the operator starts and skips."""

    zone: str
    cron: str
    deadline: timedelta
    duration: timedelta
    down: list[tuple[int, int]]
    suspended: list[tuple[int, int]]
    status: dict[str, Any] = field(default_factory=dict)

    BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
    END = datetime(2027, 1, 1, tzinfo=UTC)

    def times(self) -> list[datetime]:
        """Every scheduled minute."""
        found = [next_time(self.cron, self.zone, self.BEGIN)]
        while found[-1] < self.END:
            found.append(next_time(self.cron, self.zone, found[-1]))
        return found

    def within(self, now: datetime, periods: list[tuple[int, int]]) -> bool:
        """Whether one of these periods, by first hour of the year and length in hours, contains a time."""
        hour = (now - self.BEGIN) / timedelta(hours=1)
        return any(first <= hour < first + length for first, length in periods)

    def moments(self, times: list[datetime], delays: list[int]) -> list[datetime]:
        """When the operator looks at the fleet: after scheduled minutes, and while the fleet is suspended."""
        hours = [hour for first, length in self.suspended for hour in range(first, first + length, 3)]
        looks = {time + timedelta(seconds=delay) for time in times for delay in delays}
        looks |= {self.BEGIN + timedelta(hours=hour) for hour in hours}
        return sorted(look for look in looks if look < self.END and not self.within(look, self.down))

    def step(self, now: datetime, *, running: bool) -> StartAttempt | SkipRun | None:
        """The operator decides, and writes the status."""
        spec = {
            **FLEET_SPEC,
            "schedule": {
                "cron": self.cron,
                "timeZone": self.zone,
                "startingDeadlineSeconds": int(self.deadline.total_seconds()),
            },
            "runPolicy": {"suspend": self.within(now, self.suspended)},
        }
        fleet = replace(_FLEET, created=self.BEGIN, spec=spec, status=self.status)
        decision = skip_run(fleet, now) if running else start_run(fleet, now)
        run = {"run": decision.run} if isinstance(decision, StartAttempt) else {}
        status = with_schedule({"observedGeneration": 1, **self.status, **run}, fleet, decision or Requeue(), now)
        self.status = status
        return decision


_FLEET = TrainingFleet.parse(FleetWorld().raw)
periods = st.lists(st.tuples(st.integers(0, 365 * 24), st.integers(1, 60)), max_size=12)


years = st.builds(
    Year,
    zone=st.sampled_from(["America/Sao_Paulo", "Europe/Berlin", "America/New_York"]),
    cron=st.sampled_from(["30 2 * * *", "0 */6 * * *", "30 2 * * 1", "15 1-3 * * *", "0 0 1 * *"]),
    deadline=st.sampled_from([600, 6 * HOUR, 40 * HOUR]).map(lambda seconds: timedelta(seconds=seconds)),
    duration=st.sampled_from([600, 5 * HOUR, 30 * HOUR]).map(lambda seconds: timedelta(seconds=seconds)),
    down=periods,
    suspended=periods,
)


@settings(deadline=None, max_examples=20, suppress_health_check=[HealthCheck.too_slow])
@given(year=years, delays=st.lists(st.integers(0, 12 * HOUR), min_size=1, max_size=4))
def test_over_a_year_each_scheduled_minute_has_one_run_or_a_reason(year: Year, delays: list[int]) -> None:
    times = year.times()
    handled, running_until = year.BEGIN, year.BEGIN
    was_suspended = False
    for now in year.moments(times, delays):
        running = now < running_until
        decision = year.step(now, running=running)
        if year.within(now, year.suspended):
            assert decision is None
            assert "nextScheduleTime" not in year.status
            was_suspended = True
            continue
        if was_suspended:
            # The operator learns of the resumption now; nothing before counts.
            handled, was_suspended = now, False
        following = bisect.bisect_right(times, now)
        due = times[following - 1] if following and times[following - 1] > handled else None
        assert year.status["nextScheduleTime"] == timestamp(times[following])
        if due is None:
            assert decision is None
            continue
        handled = now
        if running or now - due > year.deadline:
            assert isinstance(decision, SkipRun)
        else:
            assert isinstance(decision, StartAttempt)
            assert decision.scheduled == due
            assert year.status["lastScheduleTime"] == timestamp(due)
            running_until = now + year.duration
