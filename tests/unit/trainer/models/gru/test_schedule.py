"""A training is planned from the size of the data; patience follows Keras' EarlyStopping and ReduceLROnPlateau."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainingjob_api.spec import Gru
from trainingjob_trainer.models.gru.schedule import (
    EPOCHS,
    HIGHEST_PEAK,
    LOWEST_PEAK,
    MAXIMUM_STEPS,
    MINIMUM_STEPS,
    Schedule,
    State,
    after_epoch,
    is_finished,
    learning_rate,
    peak_rate,
    plan,
    share_of_peak,
)

many_steps = st.integers(1, 10_000_000)


@given(many_steps)
def test_an_automatic_plan_is_bounded(steps_in_pass: int) -> None:
    planned = plan(Gru(), 7, steps_in_pass)
    assert planned.epochs == EPOCHS
    assert MINIMUM_STEPS <= planned.steps <= MAXIMUM_STEPS
    assert LOWEST_PEAK <= planned.learning_rate <= HIGHEST_PEAK


@pytest.mark.parametrize(
    ("steps_in_pass", "steps", "peak"),
    [(1, 12, 0.012), (14, 19, 0.012), (30, 42, 0.012), (143, 91, 0.00889), (17_010, 1000, 0.003)],
)
def test_steps_and_rate_follow_from_the_size_of_the_data(steps_in_pass: int, steps: int, peak: float) -> None:
    planned = plan(Gru(), 7, steps_in_pass)
    assert (planned.steps, planned.learning_rate) == (steps, pytest.approx(peak, abs=5e-5))


@given(many_steps, many_steps)
def test_more_data_never_mean_fewer_steps_or_a_higher_rate(one: int, other: int) -> None:
    smaller, larger = (plan(Gru(), 7, steps) for steps in sorted((one, other)))
    assert smaller.steps <= larger.steps
    assert smaller.learning_rate >= larger.learning_rate


@given(many_steps)
def test_what_the_spec_sets_is_planned_exactly(steps_in_pass: int) -> None:
    settings = Gru(
        epochs=100,
        steps_per_epoch=125,
        learning_rate=0.02,
        early_stopping_patience=9,
        reduce_lr_on_plateau_patience=3,
    )
    assert plan(settings, 7, steps_in_pass) == Schedule(100, 125, 0.02, 50, 9, 3, 7)


def test_more_epochs_are_planned_with_the_automatic_steps_of_an_epoch() -> None:
    usual, longer = plan(Gru(), 7, 150), plan(Gru(epochs=4 * EPOCHS), 7, 150)
    assert longer.epochs == 4 * usual.epochs
    assert longer.steps == usual.steps
    assert longer.learning_rate == peak_rate(longer.epochs * longer.steps) < usual.learning_rate


@given(st.integers(1, 30), st.integers(1, 300), st.floats(1e-6, 1))
def test_the_rate_rises_to_its_peak_once_and_falls_to_zero(epochs: int, steps: int, peak: float) -> None:
    schedule = Schedule(epochs, steps, peak, start_from_epoch=0, stop_patience=9, learning_rate_patience=9, seed=0)
    rates = np.array(
        [
            learning_rate(State(peak, epoch=epoch, step=step), schedule, 1)
            for epoch in range(epochs)
            for step in range(steps)
        ]
    )
    top = int(rates.argmax())
    assert (rates > 0).all()
    assert (rates <= peak).all()
    assert (np.diff(rates[: top + 1]) >= 0).all()
    assert (np.diff(rates[top:]) <= 0).all()
    if len(rates) >= 100:
        assert rates[top] > 0.95 * peak
        assert rates[-1] < 0.001 * peak
        assert top <= 0.15 * len(rates)


def test_a_reduction_multiplies_the_rest_of_the_planned_rates() -> None:
    schedule = Schedule(10, 4, 0.02, start_from_epoch=0, stop_patience=9, learning_rate_patience=1, seed=0)
    state = after_epoch(after_epoch(State(schedule.learning_rate), schedule, 0.1), schedule, 0.2)
    assert state.learning_rate == 0.01
    for step in range(4):
        planned = 0.02 * share_of_peak(8 + step + 0.5, 40)
        assert learning_rate(replace(state, step=step), schedule, 1) == pytest.approx(planned / 2)


@pytest.mark.parametrize("seed", range(6))
def test_the_schedule_equals_the_callbacks_of_keras(seed: int) -> None:
    import keras

    losses = 1e-4 * np.random.default_rng(seed).random(60).round(2 if seed % 2 else 8)
    start = 3 * seed
    schedule = Schedule(60, 1, 1e-3, start_from_epoch=start, stop_patience=7, learning_rate_patience=2, seed=0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(1e-3), loss="mean_squared_error")
    model.stop_training = False
    stop = keras.callbacks.EarlyStopping("val_loss", min_delta=0, patience=7, start_from_epoch=start)
    slow = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=2, min_delta=0, min_lr=1e-6)
    for callback in (stop, slow):
        callback.set_model(model)
        callback.on_train_begin()
    state = State(schedule.learning_rate)
    for epoch, loss in enumerate(losses):
        state = after_epoch(state, schedule, float(loss))
        # ReduceLROnPlateau has no first epoch of its own.
        for callback in (stop, slow) if epoch >= start else (stop,):
            callback.on_epoch_end(epoch, {"val_loss": float(loss)})
        assert state.learning_rate == pytest.approx(float(model.optimizer.learning_rate), rel=1e-6)
        assert state.best_epoch == (stop.best_epoch + 1 if epoch >= start else 0)
        assert is_finished(state, schedule) == (model.stop_training or epoch == 59)
        if model.stop_training:
            break


def test_a_state_restored_from_json_continues_in_the_same_way() -> None:
    schedule = Schedule(9, 1, 1e-3, start_from_epoch=0, stop_patience=7, learning_rate_patience=2, seed=0)
    fresh = State(**json.loads(json.dumps(asdict(State(schedule.learning_rate)))))
    assert after_epoch(fresh, schedule, 0.1) == after_epoch(State(schedule.learning_rate), schedule, 0.1)
    later = after_epoch(after_epoch(State(schedule.learning_rate), schedule, 1 / 3), schedule, 0.1)
    read_back = State(**json.loads(json.dumps(asdict(later))))
    assert after_epoch(read_back, schedule, 0.2) == after_epoch(later, schedule, 0.2)
