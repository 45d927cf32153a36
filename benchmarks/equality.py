"""Whether a native peer computes what our model computes. A peer that does not is not timed.

Both get equal weights and one batch. Dropout is off, since its masks come from different
generators. Compared are the loss, its gradients, and how far a step of the optimizer moves the
weights.
"""

from typing import Any

import keras
import numpy as np

from benchmarks import peers
from benchmarks.workload import Workload, network
from research.models.variables import weight_values
from research.training.gradients import loss_and_gradients
from research.training.quantities import relative_difference
from research.training.trainer import Trainer

TOLERANCE = 1e-4
"""The largest accepted difference in float32, relative to the largest value of an array."""
TOKENS = 3200
"""How many tokens are compared, in as many texts as they fill."""


def peer(workload: Workload, mode: str, dropout: float = 0.5) -> Any:
    """Return the native peer for the running backend, with our model's initial weights.

    Args:
      workload: the data.
      mode: one of the peer's `MODES`.
      dropout: share of units that dropout sets to zero.
    """
    weights = weight_values(network(workload))
    return peers.native(keras.backend.backend()).Peer(weights, dropout, mode)


def differences(workload: Workload, mode: str) -> dict[str, float]:
    """Return how far a peer is from our model: "loss", "gradients" and "step" -> difference.

    A difference is max|a - b| / max|b|, where b is our model's array. Of several arrays it is the
    largest.

    Args:
      workload: the data; only its sizes, vectors and first labels are used.
      mode: one of the peer's `MODES`.
    """
    # The windows of real texts are often equal, above all where there is padding. Then rounding
    # decides which is the maximum, and where the gradient goes. So words are random, and tokens are
    # few: a whole batch has 600,000 maxima, and some of them would be as close by chance.
    with_vector = np.flatnonzero(workload.matrix.any(axis=1)).astype("int32")
    length = workload.token_ids.shape[1]
    size = max(1, TOKENS // length), length
    token_ids = np.random.default_rng(0).choice(with_vector, size)
    labels = workload.labels[: size[0]]

    compared = peer(workload, mode, dropout=0)
    batches = compared.put(token_ids[None], labels[None])
    loss, gradients = compared.loss_and_gradients(batches[0])
    before = compared.weights()
    compared.train(batches)
    step = {path: after - before[path] for path, after in compared.weights().items()}

    ours = network(workload, dropout=0)
    ours.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    our_loss, our_gradients = loss_and_gradients(ours, token_ids, labels)
    our_step = _step(network(workload, dropout=0), token_ids, labels)
    return {
        "loss": relative_difference(np.array(loss), our_loss),
        "gradients": _largest_difference(gradients, our_gradients),
        "step": _largest_difference(step, our_step),
    }


def _largest_difference(arrays: dict[str, np.ndarray], ours: dict[str, np.ndarray]) -> float:
    if arrays.keys() != ours.keys():
        raise ValueError(
            f"expected the weights {sorted(ours)}, received {sorted(arrays)}; "
            "name the peer's weights by Keras's paths"
        )
    return max(relative_difference(arrays[path], ours[path]) for path in ours)


def _step(ours: keras.Model, token_ids: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Return how far a training step moves each weight of our model."""
    trainer = Trainer(ours, "rmsprop", learning_rate=1e-3)
    before = {variable.path: np.array(variable) for variable in ours.trainable_variables}
    for _ in trainer.epoch(token_ids, labels, np.arange(len(labels)), len(labels)):
        pass
    return {v.path: np.array(v) - before[v.path] for v in ours.trainable_variables}
