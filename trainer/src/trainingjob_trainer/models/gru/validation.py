"""Validation of a network during its training, on chunks of the validation part.

The targets of a chunk share the computation as in training: two GRU steps for each target instead of sixty. A target
sees at least the rows of its window.
"""

from dataclasses import dataclass

import keras
import numpy as np
from numpy.typing import NDArray

from trainingjob_trainer.data.arrays import Floats
from trainingjob_trainer.data.windows import Windows
from trainingjob_trainer.models.gru.baselines import LinearScore, network_weight
from trainingjob_trainer.models.gru.chunks import gather, tile
from trainingjob_trainer.models.gru.prediction import subsample
from trainingjob_trainer.models.gru.target import Target

VALIDATION_TARGETS = 2048
"""Targets that are predicted after each epoch, at most, in evenly spaced chunks."""


@dataclass(frozen=True)
class Validation:
    """The validation part as a training network reads it; all values are standardised as the target is.

    Attributes:
        inputs: Batches of chunks, each of shape (batch, rows, features).
        scored: Which outputs of the network are targets, shape (batches * batch, targets of a chunk).
        actual: Their values, shape (targets,).
        by_ridge: The prediction of ridge regression that the network is mixed with; None mixes nothing.
        scale: Units of the score that one unit of the target stands for.
        trust_network: See ``baselines.network_weight``.
    """

    inputs: list[Floats]
    scored: NDArray[np.bool_]
    actual: Floats
    by_ridge: Floats | None
    scale: float
    trust_network: bool = False

    def loss(self, network: keras.Model) -> float:
        """Mean squared error, in units of the score, of the model that the network's weights would make now."""
        return float(np.mean(self.squared_errors(self.outputs(network))))

    def outputs(self, network: keras.Model) -> Floats:
        """What the network says for each row of the chunks, shape (batches * batch, targets of a chunk)."""
        return np.concatenate([np.asarray(network.predict_on_batch(batch))[..., 0] for batch in self.inputs])

    def squared_errors(self, outputs: Floats) -> Floats:
        """The squared error of each target, in units of the score, shape (targets,); see ``loss``."""
        predicted = outputs[self.scored].astype(np.float64)
        if self.by_ridge is not None and np.isfinite(predicted).all():
            weight = self.network_weight(outputs)
            predicted = weight * predicted + (1 - weight) * self.by_ridge
        errors: Floats = (predicted - self.actual) ** 2 * self.scale**2
        return errors

    def network_weight(self, outputs: Floats) -> float:
        """The weight of the network in that model."""
        if self.by_ridge is None:
            return 1.0
        predicted = outputs[self.scored].astype(np.float64)
        return network_weight(self.actual, predicted, self.by_ridge, trust_network=self.trust_network)


def validation_on_chunks(
    windows: Windows,
    target: Target,
    ridge: LinearScore | None,
    targets_per_chunk: int,
    batch: int,
    *,
    trust_network: bool = False,
) -> Validation:
    """Reads the chunks of the validation part.

    Args:
        windows: Those of the validation part.
        target: What the network learns.
        ridge: What the network may be mixed with; None mixes nothing.
        targets_per_chunk: Rows of a chunk with a target, at most.
        batch: Chunks that the network reads at once.
        trust_network: See ``baselines.network_weight``.
    """
    chunks = tile(windows, targets_per_chunk)
    chunks = chunks[subsample(chunks, max(1, VALIDATION_TARGETS // targets_per_chunk))]
    parts = [chunks[first : first + batch] for first in range(0, len(chunks), batch)]

    def read(score: Floats) -> tuple[list[Floats], Floats, NDArray[np.bool_]]:
        rows = np.full(len(windows.targets), np.nan, np.float32)
        rows[windows.target_rows] = target.standardise(windows, score)
        read = [gather(windows, rows, part, targets_per_chunk, batch) for part in parts]
        scored = np.concatenate([weights for _, _, weights in read]) > 0
        values = np.concatenate([values[..., 0] for _, values, _ in read])
        return [inputs for inputs, _, _ in read], values[scored].astype(np.float64), scored

    inputs, actual, scored = read(windows.target)
    by_ridge = read(ridge(windows))[1] if ridge else None
    return Validation(inputs, scored, actual, by_ridge, target.scale, trust_network)
