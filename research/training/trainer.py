"""Training on any backend.

Only this room knows that backends differ. Keras's `train_step` computes the gradients on each of
them. On JAX it is a function of the state, `(state, data) -> (logs, state)`. On TensorFlow and
PyTorch it changes the model's variables.
"""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops

from research.files.npz import Form
from research.models.variables import assign, forms, weight_values, weights

OPTIMIZERS = {"rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam}

# Reading the loss waits for the device, so it is not read after every step.
STEPS_PER_REPORT = 8


class Trainer:
    """Trains a model by cross-entropy, one epoch at a time.

    Args:
      model: maps token ids, int32[examples, sequence_length], to logits,
        float32[examples, classes].
      optimizer: a key of `OPTIMIZERS`; Keras's defaults are used except for the learning rate.
      learning_rate: above 0.
      decay_steps: if given, the learning rate falls linearly to 2% over this many steps.
      class_weights: float32[classes], by which the loss of an example is multiplied; None for 1.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: str,
        learning_rate: float,
        decay_steps: int | None = None,
        class_weights: np.ndarray | None = None,
    ) -> None:
        self.model = model
        schedule: Any = learning_rate
        if decay_steps is not None:
            schedule = keras.optimizers.schedules.PolynomialDecay(
                learning_rate, decay_steps, end_learning_rate=0.02 * learning_rate
            )
        model.compile(
            # With a name, since Keras numbers unnamed optimizers and paths would differ.
            optimizer=OPTIMIZERS[optimizer](learning_rate=schedule, name=optimizer),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=False,  # `_compiled_step` compiles
        )
        model.optimizer.build(model.trainable_variables)
        # Keras creates metric variables with the first scores. A call of the model, which would
        # give some, takes seconds: JAX compiles each of its operations.
        label, logits = np.zeros(1, "int32"), np.zeros((1, model.output_shape[-1]), "float32")
        model.compute_metrics(None, ops.convert_to_tensor(label), ops.convert_to_tensor(logits))
        model.reset_metrics()
        self._step = _compiled_step(model, class_weights)

    def epoch(
        self,
        token_ids: np.ndarray,
        labels: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        first_step: int = 0,
    ) -> Iterator[tuple[int, dict[str, float]]]:
        """Train on the examples of `order`, batch by batch; the last batch may be smaller.

        Args:
          token_ids: int32[examples, sequence_length], which may be memory-mapped.
          labels: int32[examples].
          order: int64[examples], the order of the examples in this epoch.
          batch_size: examples a step.
          first_step: where to resume an interrupted epoch; the state must be that of this step.

        Yields:
          Every few steps, the number of steps done, and `loss` (nats) and `accuracy` as means over
          the epoch so far. At each yield the model has the weights of that step.
        """
        if first_step == 0:
            self.model.reset_metrics()
        steps = -(-len(order) // batch_size)

        def batches(start: int, stop: int) -> Iterator[tuple[Any, Any]]:
            for step in range(start, stop):
                examples = order[step * batch_size : (step + 1) * batch_size]
                x, y = token_ids[examples], labels[examples]
                yield ops.convert_to_tensor(x), ops.convert_to_tensor(y)

        for start in range(first_step, steps, STEPS_PER_REPORT):
            stop = min(start + STEPS_PER_REPORT, steps)
            yield stop, self.steps(batches(start, stop))

    def steps(self, batches: Iterable[tuple[Any, Any]]) -> dict[str, float]:
        """Take a step for each batch, and wait for the last one.

        Args:
          batches: at least one pair of token ids, int32[batch, sequence_length], and labels,
            int32[batch], on the device.

        Returns:
          `loss` (nats) and `accuracy`, as means since the epoch began.
        """
        state = _take_state(self.model)
        for token_ids, labels in batches:
            logs, state = self._step(state, token_ids, labels)
        _put_state(self.model, state)
        return {name: float(value) for name, value in logs.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Return all variables by path: of model, dropout, optimizer and metrics."""
        return {path: ops.convert_to_numpy(v.value) for path, v in self._variables().items()}

    def weights(self) -> dict[str, np.ndarray]:
        """Return the variables of the model by path, which are all that inference needs."""
        return weight_values(self.model)

    def forms(self) -> dict[str, Form]:
        """Return shape and type of each array of `state`."""
        return forms(self._variables())

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Assign a state that `state` returned, on this or another backend.

        Raises:
          ValueError: the state is that of another model or optimizer.
        """
        assign(self._variables(), state)

    def _variables(self) -> dict[str, Any]:
        of_metrics = {f"metrics/{i}": v for i, v in enumerate(self.model.metrics_variables)}
        of_optimizer = {v.path: v for v in self.model.optimizer.variables}
        return weights(self.model) | of_optimizer | of_metrics


def _compiled_step(
    model: keras.Model, class_weights: np.ndarray | None
) -> Callable[[Any, Any, Any], tuple[dict[str, Any], Any]]:
    """Return `(state, token_ids, labels) -> (logs, state)`; the state is used on JAX only."""

    def data(token_ids: Any, labels: Any) -> tuple[Any, ...]:
        """Return what Keras's `train_step` takes: the examples, and their weights if given."""
        if class_weights is None:
            return token_ids, labels
        of_classes = ops.convert_to_tensor(class_weights)
        return token_ids, labels, ops.take(of_classes, labels, axis=0)

    match keras.backend.backend():
        case "jax":
            import jax

            # A single step instead of a scan over several: inside a loop XLA compiles convolutions
            # differently for a CPU, and a step took 4.4 s instead of 0.1 s.
            step: Callable[[Any, Any, Any], tuple[dict[str, Any], Any]] = jax.jit(
                lambda state, x, y: model.train_step(state, data(x, y)), donate_argnums=0
            )
            return step
        case "tensorflow":
            import tensorflow as tf

            graph = tf.function(lambda x, y: model.train_step(data(x, y)), autograph=False)
            return lambda state, x, y: (graph(x, y), state)
        case _:
            return lambda state, x, y: (model.train_step(data(x, y)), state)


def _state_variables(model: keras.Model) -> tuple[list[Any], ...]:
    return (
        model.trainable_variables,
        model.non_trainable_variables,
        model.optimizer.variables,
        model.metrics_variables,
    )


def _take_state(model: keras.Model) -> Any:
    if keras.backend.backend() != "jax":
        return None
    return tuple([variable.value for variable in group] for group in _state_variables(model))


def _put_state(model: keras.Model, state: Any) -> None:
    # The step frees the arrays that it was given. So the variables of the model must not be read
    # between `_take_state` and `_put_state`.
    if state is not None:
        for variables, values in zip(_state_variables(model), state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
