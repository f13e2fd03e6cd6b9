"""Which machines a run of a fleet selects."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainingjob_api.fleet_spec import Machines
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.fleet.decisions.selection import select_machines

TABLE = "processed_data"


def machines(**fields: object) -> Machines:
    return Machines.model_validate({"matching": "*"} | fields)


def test_names_are_taken_as_they_are_without_the_excluded_ones() -> None:
    wanted = machines(matching=None, names=["B", "A", "OLD-1"], exclude=["OLD-*"])
    assert select_machines(wanted, [], 300, TABLE).machines == ["A", "B"]


def test_names_that_are_all_excluded_are_refused() -> None:
    with pytest.raises(TrainingError, match=r"none of the 2 machines of machines\.names") as refused:
        select_machines(machines(matching=None, names=["A", "B"], exclude=["?"]), [], None, TABLE)
    assert refused.value.reason == "InvalidConfiguration"


def test_a_pattern_is_case_sensitive_and_exclusions_win() -> None:
    found = ["PUMP-1", "PUMP-2", "pump-3", "OTHER"]
    assert select_machines(machines(matching="PUMP-*", exclude=["*-2"]), found, None, TABLE).machines == ["PUMP-1"]


def test_names_that_are_not_allowed_are_noted_and_cost_no_other() -> None:
    selection = select_machines(machines(), ["A", "b c", "x" * 64, "a.h5", ""], None, TABLE)
    assert selection.machines == ["A"]
    (note,) = selection.notes
    assert "'b c'" in note
    assert "'a.h5'" in note


@pytest.mark.parametrize(("found", "last_run", "allowed"), [(5, 10, True), (4, 10, False), (1, 2, True), (1, 3, False)])
def test_a_run_with_fewer_machines_than_half_of_the_last_one_is_refused(
    found: int, last_run: int, allowed: bool
) -> None:
    names = [f"PUMP-{number}" for number in range(found)]
    if allowed:
        assert select_machines(machines(), names, last_run, TABLE).machines == names
    else:
        with pytest.raises(TrainingError, match=f"finds {found} machines .* last run had {last_run}"):
            select_machines(machines(), names, last_run, TABLE)


@pytest.mark.parametrize(("found", "reason"), [([], "DataUnavailable"), (["b c"], "DataUnavailable")])
def test_a_pattern_without_a_machine_is_refused(found: list[str], reason: str) -> None:
    with pytest.raises(TrainingError) as refused:
        select_machines(machines(), found, None, TABLE)
    assert refused.value.reason == reason


def test_more_than_two_thousand_machines_are_refused() -> None:
    with pytest.raises(TrainingError, match="2001 machines"):
        select_machines(machines(), [f"PUMP-{number}" for number in range(2001)], None, TABLE)


@given(st.lists(st.text(min_size=1), unique=True))
def test_every_text_in_the_table_is_a_machine_or_is_left_out(found: list[str]) -> None:
    selection = select_machines(machines(minPercentOfLastRun=0), ["PUMP-1", *found], None, TABLE)
    assert "PUMP-1" in selection.machines
    assert set(selection.machines) <= {"PUMP-1", *found}
