"""Patience and rate follow Keras' EarlyStopping and ReduceLROnPlateau with min_delta 0, and survive an interruption."""

import json
from dataclasses import asdict

import numpy as np
import pytest

from trainingjob_trainer.models.gru.schedule import Schedule, State, after_epoch, is_finished


@pytest.mark.parametrize("seed", range(6))
def test_the_schedule_equals_the_callbacks_of_keras(seed: int) -> None:
    import keras

    losses = 1e-4 * np.random.default_rng(seed).random(60).round(2 if seed % 2 else 8)
    schedule = Schedule(epochs=60, steps=1, learning_rate=1e-3, stop_patience=7, learning_rate_patience=2, seed=0)
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile(optimizer=keras.optimizers.SGD(1e-3), loss="mean_squared_error")
    model.stop_training = False
    stop = keras.callbacks.EarlyStopping("val_loss", min_delta=0, patience=7)
    slow = keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=2, min_delta=0, min_lr=1e-6)
    for callback in (stop, slow):
        callback.set_model(model)
        callback.on_train_begin()
    state = State(schedule.learning_rate)
    for epoch, loss in enumerate(losses):
        state = after_epoch(state, schedule, float(loss))
        for callback in (stop, slow):
            callback.on_epoch_end(epoch, {"val_loss": float(loss)})
        assert state.learning_rate == pytest.approx(float(model.optimizer.learning_rate), rel=1e-6)
        assert state.best_epoch == stop.best_epoch + 1
        assert is_finished(state, schedule) == (model.stop_training or epoch == 59)
        if model.stop_training:
            break


def test_a_state_restored_from_json_continues_in_the_same_way() -> None:
    schedule = Schedule(epochs=9, steps=1, learning_rate=1e-3, stop_patience=7, learning_rate_patience=2, seed=0)
    fresh = State(**json.loads(json.dumps(asdict(State(schedule.learning_rate)))))
    assert after_epoch(fresh, schedule, 0.1) == after_epoch(State(schedule.learning_rate), schedule, 0.1)
    later = after_epoch(after_epoch(State(schedule.learning_rate), schedule, 1 / 3), schedule, 0.1)
    read_back = State(**json.loads(json.dumps(asdict(later))))
    assert after_epoch(read_back, schedule, 0.2) == after_epoch(later, schedule, 0.2)
