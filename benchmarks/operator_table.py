"""The table of the operator on a control plane without a node, compared with plain Jobs."""

import statistics
from collections.abc import Mapping, Sequence

from benchmarks.goals import Check, at_most
from benchmarks.table import Row, Table, seconds

AT_ONCE, STANDING = 1000, 5000

JOBS_RATIO, STATUSES_RATIO = 4, 2.5
"""Goals: times that the operator takes until all Jobs exist and until the last status, of what bare Jobs take until
they exist and until their pods do.
"""

Round = Mapping[str, float]


def operator_table(bare: Sequence[Round], operated: Sequence[Round], one_run: Round) -> Table:
    """The table of all rounds.

    Args:
        bare: Seconds until all ``jobs`` and all ``pods`` of bare Jobs exist, for each round.
        operated: The same of TrainingJobs in the same rounds, and seconds ``idle``, ``statuses``, ``restart`` and
            ``restart with more``, number of ``restart writes``, and ``megabytes`` at most.
        one_run: Number of ``writes``, and seconds until a ``standby`` acts.
    """
    idle, restart, restart_with_more, megabytes = (
        statistics.median(_each(operated, name)) for name in ("idle", "restart", "restart with more", "megabytes")
    )
    restart_writes, bare_pods = max(_each(operated, "restart writes")), _each(bare, "pods")
    standby, writes = one_run["standby"], one_run["writes"]
    rows = [
        _alone("one, idle: its Job exists", f"{idle * 1000:.0f} ms", at_most("time", idle * 1000, 25, " ms")),
        _compared("all Jobs exist", _each(bare, "jobs"), _each(operated, "jobs"), JOBS_RATIO),
        _compared("all pods exist", bare_pods, _each(operated, "pods")),
        _compared("last status (bare: all pods exist)", bare_pods, _each(operated, "statuses"), STATUSES_RATIO),
        _alone(f"restart with {AT_ONCE} standing", seconds(restart), at_most("time", restart, 5, " s")),
        _alone("writes of that restart", f"{restart_writes:.0f}", at_most("writes", restart_writes, 0)),
        Row((f"restart with {STANDING} standing", "", seconds(restart_with_more), "")),
        _alone(
            f"memory with {STANDING} standing, at most", f"{megabytes:.0f} MB", at_most("memory", megabytes, 200, " MB")
        ),
        _alone("writes of one run", f"{writes:.0f}", at_most("writes", writes, 5)),
        _alone("a standby acts after", seconds(standby), at_most("time", standby, 20, " s")),
    ]
    measurements = {"bare Jobs": bare, "TrainingJobs": operated, "one run": one_run}
    note = "medians of the rounds; the ratio is the median of the ratios within each round"
    return Table("The operator", ("", "bare Jobs", "TrainingJobs", "ratio"), rows, measurements, note)


def _alone(words: str, measured: str, check: Check) -> Row:
    return Row((words, "", measured, ""), [check])


def _compared(words: str, bare: Sequence[float], operated: Sequence[float], goal: float | None = None) -> Row:
    """Seconds of many objects at once, bare and with the operator, of each round."""
    ratio = statistics.median(mine / plain for plain, mine in zip(bare, operated, strict=True))
    times = seconds(statistics.median(bare)), seconds(statistics.median(operated))
    checks = [] if goal is None else [at_most("ratio", ratio, goal)]
    return Row((f"{AT_ONCE} at once: {words}", *times, f"{ratio:.1f}"), checks)


def _each(rounds: Sequence[Round], name: str) -> Sequence[float]:
    return [each[name] for each in rounds]
