"""What the tables are computed from: curves, rounds, rows."""

import json
import math

import pytest

from benchmarks.__main__ import TABLES
from benchmarks.goals import at_most, verdict
from benchmarks.operator_table import operator_table
from benchmarks.reached import seconds_until
from benchmarks.scope import FULL, QUICK, Scope
from benchmarks.table import Row, Table, as_json, seconds
from benchmarks.training import told_at

EPOCHS = [(1.0, 0.2, math.nan), (3.0, 0.4, math.nan)]


@pytest.mark.parametrize("scope", [FULL, QUICK], ids=lambda scope: scope.name)
def test_every_table_of_a_scope_exists(scope: Scope) -> None:
    assert set(scope.tables) <= set(TABLES)


@pytest.mark.parametrize(("moment", "told"), [(0.5, 0.0), (1.0, 0.2), (2.9, 0.2), (3.0, 0.4), (9.0, 0.4)])
def test_the_progress_at_a_moment_is_what_was_last_told(moment: float, told: float) -> None:
    assert told_at(EPOCHS, moment) == told


@pytest.mark.parametrize(("rmse", "moment"), [(0.9, 1.0), (0.8, 2.0), (0.6, 3.0), (0.5, None)])
def test_an_error_is_reached_by_the_first_epoch_that_is_as_good(rmse: float, moment: float | None) -> None:
    assert seconds_until([(1.0, 0.9), (2.0, 0.7), (3.0, 0.6)], rmse) == moment


@pytest.mark.parametrize(
    ("value", "written"), [(None, "-"), (0.124, "0.12 s"), (9.99, "9.99 s"), (12.34, "12.3 s"), (123.4, "123 s")]
)
def test_seconds_have_at_most_three_significant_digits(value: float | None, written: str) -> None:
    assert seconds(value) == written


def test_the_json_of_a_row_has_its_cells_goals_and_verdict() -> None:
    table = Table("Title", ("rows", "time"), [Row(("10", "3.00 s"), [at_most("time", 3.0, 2, " s")])], ())
    (row,) = json.loads(json.dumps(as_json(table), default=vars))["rows"]
    assert row == {
        "rows": "10",
        "time": "3.00 s",
        "goals": [{"quantity": "time", "goal": "at most 2 s", "value": 3.0, "met": False}],
        "verdict": "missed: time",
    }


def test_the_operator_is_compared_with_bare_jobs_of_the_same_round() -> None:
    bare = [{"jobs": 1.0, "pods": 2.0}, {"jobs": 2.0, "pods": 4.0}, {"jobs": 4.0, "pods": 8.0}]
    alone = {"idle": 0.02, "restart": 1, "restart with more": 9, "restart writes": 0, "megabytes": 150}
    operated = [
        {"jobs": ratio * of["jobs"], "pods": of["pods"], "statuses": 3 * of["pods"], **alone}
        for ratio, of in zip((5, 3, 3), bare, strict=True)
    ]
    table = operator_table(bare, operated, {"writes": 5, "standby": 19})
    found = {row.cells[0]: (row.cells[3], verdict(row.checks)) for row in table.rows}
    assert found["1000 at once: all Jobs exist"] == ("3.0", "met")
    assert found["1000 at once: last status (bare: all pods exist)"] == ("3.0", "missed: ratio")
    assert found["1000 at once: all pods exist"] == ("1.0", "")
    assert [judged for _, judged in found.values()].count("met") == 7
