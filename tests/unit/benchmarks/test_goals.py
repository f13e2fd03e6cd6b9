"""Verdicts: measured values beside their goals."""

import pytest

from benchmarks.goals import Check, at_least, at_most, goals, holds, verdict


@pytest.mark.parametrize(
    ("check", "met"),
    [
        (at_most("CPU", 9.9, 10), True),
        (at_most("CPU", 10, 10), True),
        (at_most("CPU", 10.1, 10), False),
        (at_most("CPU", float("nan"), 10), False),
        (at_most("CPU", None, 10), False),
        (at_least("faster", 5.1, 5), True),
        (at_least("faster", 5, 5), True),
        (at_least("faster", 4.9, 5), False),
        (at_least("faster", float("nan"), 5), False),
        (at_least("faster", None, 5), False),
        (holds("same winner", True), True),
        (holds("same winner", False), False),
    ],
)
def test_a_goal_is_met_up_to_its_bound_and_never_without_a_value(check: Check, met: bool) -> None:
    assert check.met is met


@pytest.mark.parametrize(
    ("checks", "words", "judged"),
    [
        ([], "none", ""),
        ([at_most("CPU", 9, 10, " s")], "CPU at most 10 s", "met"),
        ([at_least("faster", 5, 5, " x"), at_most("memory", 1, 2)], "faster at least 5 x, memory at most 2", "met"),
        ([at_most("CPU", 9, 10, " s"), holds("same", False)], "CPU at most 10 s, same yes", "missed: same"),
        ([at_most("CPU", 11, 10), at_most("RMSE", None, 1)], "CPU at most 10, RMSE at most 1", "missed: CPU, RMSE"),
    ],
)
def test_a_verdict_names_every_quantity_that_misses_its_goal(checks: list[Check], words: str, judged: str) -> None:
    assert goals(checks) == words
    assert verdict(checks) == judged
