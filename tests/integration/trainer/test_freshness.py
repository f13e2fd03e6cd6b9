"""``spec.retrain`` on real servers: a machine is left alone while its registered model is young, fed and good."""

import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integration.trainer.installation import MACHINE, Installation, small_spec
from trainingjob_api.fleet_spec import Retrain
from trainingjob_api.training_run import TrainingRun, Window
from trainingjob_trainer.data.dataset import Dataset
from trainingjob_trainer.errors import TrainingError
from trainingjob_trainer.models.factory import prepare_data
from trainingjob_trainer.run.freshness import Due, Fresh, examine
from trainingjob_trainer.storage.object_store import ObjectStore as Bucket
from trainingjob_trainer.storage.telemetry import load_telemetry

BY_ERROR = Retrain(error_ratio=1.5)
MANY_ROWS = Retrain(new_rows=100_000)


def middle(installation: Installation) -> datetime:
    ((instant,),) = installation.rows(
        'SELECT percentile_disc(0.5) WITHIN GROUP (ORDER BY "timestamp") FROM processed_data'
    )
    return instant.astimezone(UTC)  # type: ignore[no-any-return]


def register(installation: Installation, model_type: str = "gru") -> TrainingRun:
    """Register a model of the first half of the telemetry, and return a run on all of it."""
    run = installation.training_run(small_spec(model_type, installation.bucket))
    result = installation.launch(run.model_copy(update={"window": Window(end=middle(installation))}))
    assert result.reason == "Completed", result.message
    return run


def decide(
    installation: Installation,
    run: TrainingRun,
    retrain: Retrain,
    dataset: Callable[[], Dataset] | None = None,
    age: timedelta = timedelta(),
) -> Fresh | Due:
    store = Bucket.from_environment(installation.object_store.environment(), installation.bucket)
    prepare = dataset or (lambda: prepare_data(load_telemetry(run.spec, run.window), run.spec))
    return examine(run, retrain, store, prepare, datetime.now(UTC) + age)


def must_not_load() -> Dataset:
    raise AssertionError("the telemetry was loaded")


def test_a_machine_without_a_registered_model_is_trained(installation: Installation) -> None:
    run = installation.training_run(small_spec("gru", installation.bucket))
    assert decide(installation, run, MANY_ROWS, must_not_load) == Due("It has no registered model.")


def test_age_and_new_rows_decide_without_loading_the_telemetry(installation: Installation) -> None:
    run = register(installation)
    ((after,),) = installation.rows(
        "SELECT count(*) FROM processed_data, models WHERE \"timestamp\" >= data_end_date + interval '1 second'"
    )
    assert isinstance(decide(installation, run, Retrain(new_rows=after, error_ratio=2), must_not_load), Due)
    fresh = decide(installation, run, Retrain(new_rows=after + 1, older_than_days=7), must_not_load)
    assert isinstance(fresh, Fresh)
    assert fresh.message == f"Its model is 0.0 days old, and {after:,} rows are newer than its data."
    assert fresh.model.bucket_address.startswith(f"gru_model_weights_{MACHINE}_")
    assert fresh.model.data_end_date.utcoffset() == timedelta()
    old = decide(installation, run, Retrain(older_than_days=7, error_ratio=2), must_not_load, timedelta(days=8))
    assert old == Due("Its model is 8.0 days old; olderThanDays is 7.")


def test_a_model_that_predicts_fresh_rows_as_before_is_kept(installation: Installation) -> None:
    decision = decide(installation, register(installation), BY_ERROR)
    assert isinstance(decision, Fresh)
    assert "times that at its registration" in decision.message


def test_a_model_whose_error_grew_relative_to_persistence_is_replaced(installation: Installation) -> None:
    run = register(installation)
    # The health score does not change, but the network never saw such a temperature.
    installation.rows(
        'UPDATE processed_data SET "Cool_T" = 120 - "Cool_T" / 4 FROM models WHERE "timestamp" > data_end_date'
    )
    decision = decide(installation, run, Retrain(error_ratio=1.01))
    assert isinstance(decision, Due)
    assert "errorRatio is 1.01." in decision.message


def test_too_few_fresh_running_rows_say_nothing(installation: Installation) -> None:
    run = register(installation)
    installation.rows('UPDATE processed_data SET running = 0 FROM models WHERE "timestamp" > data_end_date')
    assert isinstance(decide(installation, run, BY_ERROR, must_not_load), Fresh)


@pytest.mark.parametrize("retrain", [BY_ERROR, Retrain(new_rows=1), Retrain(older_than_days=1)])
@pytest.mark.parametrize("missing", ["NULL", "'NaN'"])
def test_a_silent_sensor_is_a_reason_of_its_own_and_no_training(
    installation: Installation, retrain: Retrain, missing: str
) -> None:
    run = register(installation, "xgb" if retrain.error_ratio is None else "gru")
    installation.rows(f'UPDATE processed_data SET "Oil_P" = {missing} FROM models WHERE "timestamp" > data_end_date')
    with pytest.raises(TrainingError, match=f"machine {MACHINE}: Oil_P has no value in the") as failure:
        decide(installation, run, retrain, must_not_load, timedelta(days=9))
    assert (failure.value.reason, failure.value.transient) == ("DataUnavailable", False)


def test_a_sensor_that_the_fleet_no_longer_asks_for_may_be_silent(installation: Installation) -> None:
    run = register(installation)
    installation.rows('UPDATE processed_data SET "Bat_V" = NULL FROM models WHERE "timestamp" > data_end_date')
    features = ["Oil_P", "Oil_L", "Recalque", "Succao", "Eng_RPM"]
    gru = run.spec.model.gru.model_dump(by_alias=True, mode="json") | {"features": features}
    spec = small_spec("gru", installation.bucket, model={"type": "gru", "gru": gru})
    assert isinstance(decide(installation, installation.training_run(spec), MANY_ROWS, must_not_load), Fresh)


def test_an_xgb_model_is_judged_by_age_and_rows_alone(installation: Installation) -> None:
    run = register(installation, "xgb")
    both = Retrain(new_rows=100_000, error_ratio=1.001)
    assert isinstance(decide(installation, run, both, must_not_load), Fresh)
    assert isinstance(decide(installation, run, BY_ERROR, must_not_load), Due)


def test_a_model_that_cannot_be_read_is_replaced(installation: Installation) -> None:
    run = register(installation)
    ((address,),) = installation.rows("SELECT bucket_address FROM models")
    installation.client.put_object(installation.bucket, address, io.BytesIO(b"not a model"), 11)
    decision = decide(installation, run, BY_ERROR, must_not_load)
    assert isinstance(decision, Due)
    assert f"{address} was changed" in decision.message


def test_the_registry_of_another_program_may_have_dates_without_a_time_zone(installation: Installation) -> None:
    run = register(installation)
    installation.rows(
        "ALTER TABLE models ALTER data_start_date TYPE date, "
        "ALTER data_end_date TYPE timestamp USING data_end_date AT TIME ZONE 'UTC'"
    )
    decision: Any = decide(installation, run, MANY_ROWS, must_not_load)
    assert decision.model.data_end_date.tzinfo is not None
