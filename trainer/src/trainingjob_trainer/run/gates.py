"""Gates: what the metrics of a model must be for it to be registered."""

from collections.abc import Iterable, Mapping
from typing import Any

from trainingjob_api.spec import Gate


def failed_gates(gates: Iterable[Gate], metrics: Mapping[str, Any]) -> list[str]:
    """What each gate that does not hold says, such as ``skill is -0.12, at least 0 is asked for``.

    A bound itself is allowed. A metric that has no value on this data fails its gate.
    """
    failures = []
    for gate in gates:
        value = metrics.get(gate.metric)
        if value is None:
            failures.append(f"{gate.metric} has no value on this test part")
        elif gate.min is not None and value < gate.min:
            failures.append(f"{gate.metric} is {value:.6g}, at least {gate.min:g} is asked for")
        elif gate.max is not None and value > gate.max:
            failures.append(f"{gate.metric} is {value:.6g}, at most {gate.max:g} is asked for")
    return failures
