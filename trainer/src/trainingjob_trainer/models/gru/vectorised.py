"""The programs that train many machines at once: a single step, vectorised by JAX over the machines.

Chunks are read from rows on the device, as ``chunks.gather`` reads them on the host.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import keras

from trainingjob_trainer.models.gru.network import KEPT_NETWORKS


class Rows(NamedTuple):
    """The rows of each machine on the device: inputs (machines, rows, features) and targets (machines, rows)."""

    inputs: Any
    targets: Any


class Trained(NamedTuple):
    """What a step changes, of each machine: weights, variables of the optimizer, and the seed of its dropout."""

    weights: Any
    optimizer: Any
    seed: Any


class Steps(NamedTuple):
    """Chunks of each step and machine, shape (steps, machines, batch), and whether the machine takes the step."""

    start: Any
    stop: Any
    active: Any


@functools.lru_cache(maxsize=KEPT_NETWORKS)
def programs(network: keras.Model, length: int, targets_per_chunk: int) -> tuple[Any, Any]:
    """The programs of a network, for many machines at once: a slice of training, and the prediction of chunks."""
    optimizer = network.optimizer
    rate = next(i for i, variable in enumerate(optimizer.variables) if variable is optimizer.learning_rate)

    def gathered(rows: Rows, chunks: Steps) -> tuple[jax.Array, jax.Array, jax.Array]:
        """What ``chunks.gather`` reads."""
        start, stop = chunks.start[:, None], chunks.stop[:, None]
        target_rows = start + jnp.arange(targets_per_chunk)
        wanted = rows.targets[jnp.minimum(target_rows, jnp.maximum(stop - 1, start))]
        counted = ((target_rows < stop) & jnp.isfinite(wanted)).astype(jnp.float32)
        read = start - length + jnp.arange(length + targets_per_chunk - 1)
        return rows.inputs[jnp.minimum(read, jnp.maximum(stop - 2, start - 1))], jnp.nan_to_num(wanted), counted

    def step(before: Trained, rows: Rows, chunks: Steps) -> tuple[Trained, tuple[jax.Array, jax.Array]]:
        inputs, wanted, counted = gathered(rows, chunks)
        seeds = [before.seed for _ in network.non_trainable_variables]

        def loss(weights: Any) -> jax.Array:
            outputs, _ = network.stateless_call(weights, seeds, inputs, training=True)
            return jnp.mean(counted * (outputs[..., 0] - wanted) ** 2)

        value, gradients = jax.value_and_grad(loss)(before.weights)
        weights, variables = optimizer.stateless_apply(before.optimizer, gradients, before.weights)
        # Keras adds one to the second number of a seed in each step.
        after = Trained(weights, variables, before.seed + jnp.array([0, 1], before.seed.dtype))
        kept = jax.tree.map(functools.partial(jnp.where, chunks.active), after, before)
        return kept, (value, counted.sum())

    @jax.jit
    def train(before: Trained, rows: Rows, rates: Any, steps: Steps) -> tuple[Trained, tuple[jax.Array, jax.Array]]:
        variables = [*before.optimizer]
        variables[rate] = rates

        def one(trained: Trained, chunks: Steps) -> tuple[Trained, tuple[jax.Array, jax.Array]]:
            return jax.vmap(step)(trained, rows, chunks)

        return jax.lax.scan(one, before._replace(optimizer=variables), steps)

    @jax.jit
    def predict(weights: Any, chunks: Any) -> Any:
        unused = [variable.value for variable in network.non_trainable_variables]
        return jax.vmap(lambda own, read: network.stateless_call(own, unused, read, training=False)[0][..., 0])(
            weights, chunks
        )

    return train, predict
