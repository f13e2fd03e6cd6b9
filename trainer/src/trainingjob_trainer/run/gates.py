"""Gates: bounds that the metrics of a model must meet before it is registered."""

from collections.abc import Iterable, Mapping
from typing import Any

from trainingjob_api.metrics import IMPROVEMENT
from trainingjob_api.spec import Gate


def failed_gates(gates: Iterable[Gate], metrics: Mapping[str, Any]) -> list[str]:
    """One text for each failed gate, such as ``skill is -0.12, at least 0 is required``.

    Bounds are inclusive. A metric without a value fails its gate, except the improvement: it has no value
    where there is no model to compare with.
    """
    failures = []
    for gate in gates:
        value = metrics.get(gate.metric)
        if value is None:
            if gate.metric == IMPROVEMENT:
                continue
            failures.append(f"{gate.metric} has no value on this test part")
        elif gate.min is not None and value < gate.min:
            failures.append(f"{gate.metric} is {value:.6g}, at least {gate.min:g} is required")
        elif gate.max is not None and value > gate.max:
            failures.append(f"{gate.metric} is {value:.6g}, at most {gate.max:g} is allowed")
    return failures
