"""Gates: a metric equal to a bound passes, a metric without a value fails."""

from typing import Any

import pytest

from trainingjob_api.spec import Gate
from trainingjob_trainer.run.gates import failed_gates


@pytest.mark.parametrize(
    ("gate", "value", "holds"),
    [
        ({"min": 0.0}, 0.0, True),
        ({"min": 0.0}, -0.01, False),
        ({"max": 0.1}, 0.1, True),
        ({"max": 0.1}, 0.11, False),
        ({"min": 0.0, "max": 0.1}, 0.05, True),
        ({"min": 0.0}, None, False),
    ],
)
def test_a_gate_includes_its_bounds(gate: dict[str, float], value: Any, holds: bool) -> None:
    failures = failed_gates([Gate(metric="skill", **gate)], {"skill": value})
    assert (failures == []) is holds
    assert all("skill" in failure for failure in failures)


def test_a_gate_on_the_improvement_passes_without_a_model_to_compare_with() -> None:
    gate = Gate(metric="improvement", min=0.1)
    assert failed_gates([gate], {"improvement": None}) == failed_gates([gate], {"improvement": 0.1}) == []
    assert failed_gates([gate], {"improvement": 0.09}) == ["improvement is 0.09, at least 0.1 is required"]
