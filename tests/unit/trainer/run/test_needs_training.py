"""The conditions of ``spec.retrain``: any one that holds asks for a training, and an unknown error says nothing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainingjob_api.fleet_spec import Retrain
from trainingjob_trainer.run.freshness import ModelFacts, needs_training

ALL = Retrain(older_than_days=30, new_rows=1000, error_ratio=1.5)
FACTS = st.builds(ModelFacts, st.floats(-1, 4000), st.integers(0, 10**8), st.none() | st.floats(0, 1e6))
CONDITIONS = st.tuples(
    st.none() | st.integers(1, 3660), st.none() | st.integers(1, 10**8), st.none() | st.floats(1.01, 1000)
).filter(any)


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        (ModelFacts(30.0, 999, 1.5), None),
        (ModelFacts(30.0, 999, None), None),
        (ModelFacts(-0.1, 0, 0.0), None),
        (ModelFacts(30.1, 999, 1.5), "30.1 days old; olderThanDays is 30."),
        (ModelFacts(30.0, 1000, 1.5), "1,000 rows are newer than the data of its model; newRows is 1,000."),
        (ModelFacts(30.0, 999, 1.51), "is 1.51 times that at its registration; errorRatio is 1.5."),
    ],
)
def test_a_model_is_replaced_when_one_condition_holds(facts: ModelFacts, said: str | None) -> None:
    why = needs_training(ALL, facts)
    assert (why is None) == (said is None)
    assert said is None or said in (why or "")


@given(CONDITIONS, FACTS)
def test_the_conditions_together_ask_exactly_when_one_of_them_does(
    conditions: tuple[int | None, int | None, float | None], facts: ModelFacts
) -> None:
    names = ("older_than_days", "new_rows", "error_ratio")
    given = {name: value for name, value in zip(names, conditions, strict=True) if value is not None}
    each = [needs_training(Retrain.model_validate({name: value}), facts) for name, value in given.items()]
    assert (needs_training(Retrain.model_validate(given), facts) is not None) == any(each)
