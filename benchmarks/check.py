"""That a native peer computes what our model computes; one that doesn't is not timed.

Both get equal weights and one batch, without dropout, whose masks come from other generators. What
is compared: the loss, its gradients, and how far a step of the optimizer moves the weights.
"""

import importlib
from typing import Any

import keras
import numpy as np

from benchmarks.work import Work
from research.models import registry
from research.models.variables import weight_values
from research.training.trainer import Trainer
from research.parity import relative_difference

TOLERANCE = 1e-4
"""Largest difference allowed in float32, as a share of the array's largest value."""
TEXTS = 16
"""Texts that are compared."""


def model(work: Work, dropout: float = 0.5, precision: str = "float32") -> keras.Model:
    """Returns our model with its initial weights."""
    sizes = work.token_ids.shape[1], len(work.class_names)
    return registry.build("tutorial", work.matrix, *sizes, dropout=dropout, precision=precision)


def peer(work: Work, mode: str, dropout: float = 0.5) -> Any:
    """Returns the peer in the running backend's framework, with our model's initial weights.

    Args:
      work: the data.
      mode: one of the peer's `MODES`.
      dropout: the rate.
    """
    module = importlib.import_module(f"benchmarks.peers_{keras.backend.backend()}")
    return module.Peer(weight_values(model(work)), dropout, mode)


def differences(work: Work, mode: str) -> dict[str, float]:
    """Returns how far a peer is from our model: "loss", "gradients" and "step" -> difference.

    Each is the largest difference as a share of the array's largest value, and of all arrays the
    worst.

    Args:
      work: the data, of which the sizes, the vectors and some labels are taken.
      mode: one of the peer's `MODES`.
    """
    # Random words, since texts have equal windows, of padding above all: of these, rounding
    # decides which is the maximum, and through it where the gradient goes. Few texts, since among
    # the 600,000 maxima of a whole batch there are some such by chance.
    known = np.flatnonzero(work.matrix.any(axis=1)).astype("int32")
    token_ids = np.random.default_rng(0).choice(known, (TEXTS, work.token_ids.shape[1]))
    labels = work.labels[:TEXTS]
    compared = peer(work, mode, dropout=0)
    batches = compared.put(token_ids[None], labels[None])
    loss, gradients = compared.loss_and_gradients(batches[0])
    before = compared.weights()
    compared.train(batches)
    moved = {path: after - before[path] for path, after in compared.weights().items()}

    our_loss, our_gradients = _loss_and_gradients(model(work, dropout=0), token_ids, labels)
    return {
        "loss": relative_difference(np.array(loss), our_loss),
        "gradients": _largest(gradients, our_gradients),
        "step": _largest(moved, _step(model(work, dropout=0), token_ids, labels)),
    }


def _largest(values: dict[str, np.ndarray], reference: dict[str, np.ndarray]) -> float:
    if values.keys() != reference.keys():
        raise ValueError(
            f"expected the weights {sorted(reference)}, received {sorted(values)}; "
            "give the peer's weights Keras' paths"
        )
    return max(relative_difference(values[path], reference[path]) for path in reference)


def _loss_and_gradients(
    ours: keras.Model, token_ids: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    # With a rate of 1, the first momentum is the gradient, negated: no cancellation, no rounding.
    optimizer = keras.optimizers.SGD(learning_rate=1.0, momentum=0.5)
    ours.compile(optimizer, loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    loss = np.asarray(ours.train_on_batch(token_ids, labels))
    return loss, {
        variable.path: -keras.ops.convert_to_numpy(momentum.value)
        for variable, momentum in zip(ours.trainable_variables, optimizer.momentums, strict=True)
    }


def _step(ours: keras.Model, token_ids: np.ndarray, labels: np.ndarray) -> dict[str, np.ndarray]:
    """Returns how far a training step of ours moves each weight."""
    trainer = Trainer(ours, "rmsprop", learning_rate=1e-3)
    # `Trainer` may have run the model already, so the weights are put back to the initial ones.
    before = {variable.path: np.array(variable) for variable in ours.trainable_variables}
    for _ in trainer.epoch(token_ids, labels, np.arange(len(labels)), len(labels)):
        pass
    return {v.path: np.array(v) - before[v.path] for v in ours.trainable_variables}
