"""The loss and the gradients of one training step, on any backend."""

from typing import Any

import keras
import numpy as np


def loss_and_gradients(
    model: Any, token_ids: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return the loss of a training step, and the gradients by the paths of the weights.

    This compiles the model anew, and takes a step that changes its weights.

    Args:
      model: a Keras model that was compiled with a loss.
      token_ids: int32[examples, sequence_length].
      labels: int32[examples].
    """
    # With a learning rate of 1, the first momentum is the negative gradient without rounding.
    optimizer = keras.optimizers.SGD(learning_rate=1.0, momentum=0.5)
    model.compile(optimizer, loss=model.loss)
    loss = np.asarray(model.train_on_batch(token_ids, labels))
    return loss, {
        variable.path: -keras.ops.convert_to_numpy(momentum.value)
        for variable, momentum in zip(model.trainable_variables, optimizer.momentums, strict=True)
    }
