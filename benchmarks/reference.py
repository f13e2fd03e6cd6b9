"""The reference: the pipeline in the simplest way, with pandas, Keras on TensorFlow and scikit-learn.

The comparison is fair: the reference gets the same rows, cleaned inputs and windows as the product, and all cores.
Keras and xgboost are imported inside, so that each process pays for what it measures and no more.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Floats = NDArray[np.floating]

EPOCHS = 10
BATCH_SIZE = 32
FOLDS = 3
GRID = {
    "n_estimators": [100, 200],
    "max_depth": [4, 6, 8],
    "learning_rate": [0.05, 0.1, 0.2],
    "subsample": [0.8, 1.0],
}


def load(connection: Any, machine: str, columns: list[str]) -> pd.DataFrame:
    """Reads the columns of one machine in time order with ``pandas.read_sql``."""
    selected = ", ".join(f'"{column}"' for column in ["timestamp", *columns])
    return pd.read_sql(
        f'SELECT {selected} FROM processed_data WHERE motor_pump = %(machine)s ORDER BY "timestamp"',
        connection,
        params={"machine": machine},
    )


def windows(inputs: Floats, score: Floats, starts: NDArray[np.integer], length: int) -> tuple[Floats, Floats]:
    """A Python list of window slices, made one array of float64.

    Returns:
        X of shape (windows, length, features) and y of shape (windows,), the score of the row after each window.
    """
    x = [inputs[start : start + length] for start in starts]
    y = [score[start + length] for start in starts]
    return np.array(x, dtype=np.float64), np.array(y, dtype=np.float64)


def network(length: int, features: int) -> Any:
    """The network of the domain, compiled the usual way."""
    import keras

    model = keras.Sequential(
        [
            keras.Input((length, features)),
            keras.layers.GRU(64, return_sequences=True),
            keras.layers.Dropout(0.2),
            keras.layers.GRU(32),
            keras.layers.Dense(1),
        ]
    )
    model.compile(optimizer=keras.optimizers.Adam(1e-3), loss="mean_squared_error", metrics=["mae"])
    return model


def fit_gru(
    train: tuple[Floats, Floats],
    validation: tuple[Floats, Floats],
    *,
    seed: int,
    epochs: int = EPOCHS,
    autotune: bool = True,
    callbacks: Sequence[Any] = (),
) -> tuple[Any, Any]:
    """Trains with ``model.fit(batch_size=32)``, early stopping and a rate that falls on a plateau.

    Returns:
        The model with its best weights, and Keras' history.
    """
    import keras

    keras.utils.set_random_seed(seed)
    x, y = train
    model = network(x.shape[1], x.shape[2])
    history = model.fit(
        *((x, y) if autotune else (_without_autotune(x, y),)),
        batch_size=BATCH_SIZE if autotune else None,
        epochs=epochs,
        validation_data=validation,
        callbacks=[
            keras.callbacks.EarlyStopping("val_loss", patience=15, restore_best_weights=True),
            keras.callbacks.ReduceLROnPlateau("val_loss", factor=0.5, patience=5, min_lr=1e-6),
            *callbacks,
        ],
        verbose=0,
    )
    return model, history


def _without_autotune(x: Floats, y: Floats) -> Any:
    """The same batches from a tf.data pipeline whose autotuning, which costs waits on few cores, is off."""
    import tensorflow as tf

    options = tf.data.Options()
    options.autotune.enabled = False
    return tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x)).batch(BATCH_SIZE).with_options(options)


def search_xgb(inputs: pd.DataFrame, label: NDArray[np.integer], *, jobs: int, threads: int) -> Any:
    """``GridSearchCV`` over the 36 settings and 3 folds, best recall, refitted.

    Args:
        inputs: The training rows.
        label: 0 or 1 for each of them.
        jobs: Processes of the search.
        threads: Threads of each fit.
    """
    from sklearn.model_selection import GridSearchCV
    from xgboost import XGBClassifier

    negatives, positives = np.bincount(label, minlength=2)
    classifier = XGBClassifier(
        objective="binary:logistic", random_state=42, scale_pos_weight=negatives / positives, n_jobs=threads
    )
    return GridSearchCV(classifier, GRID, scoring="recall", cv=FOLDS, n_jobs=jobs).fit(inputs, label)
