"""Training and prediction on whichever backend runs; the one place that knows backends differ.

Keras' `train_step` holds the gradients of each backend. On JAX it is a function of the state,
`(state, data) -> (logs, state)`; on TensorFlow and PyTorch it changes the model's variables.
"""

import functools
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import keras
import numpy as np
from keras import ops
from scipy.special import softmax

OPTIMIZERS = {"rmsprop": keras.optimizers.RMSprop, "adam": keras.optimizers.Adam}

# Reading the running loss waits for the device, so it is done once in so many steps.
STEPS_PER_REPORT = 8


class Trainer:
    """Trains a model by cross-entropy, one epoch at a time.

    Args:
      model: maps token ids, int32[examples, sequence_length], to logits,
        float32[examples, classes].
      optimizer: a key of `OPTIMIZERS`; Keras' defaults but for the learning rate.
      learning_rate: above 0.
      decay_steps: if given, the learning rate falls linearly to 2% of it over so many steps.
    """

    def __init__(
        self,
        model: keras.Model,
        optimizer: str,
        learning_rate: float,
        decay_steps: int | None = None,
    ) -> None:
        self.model = model
        schedule: Any = learning_rate
        if decay_steps is not None:
            schedule = keras.optimizers.schedules.PolynomialDecay(
                learning_rate, decay_steps, end_learning_rate=0.02 * learning_rate
            )
        model.compile(
            # By default a process numbers its optimizers, and the state's names would differ.
            optimizer=OPTIMIZERS[optimizer](learning_rate=schedule, name=optimizer),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            metrics=["accuracy"],
            jit_compile=False,  # `_compiled_step` compiles
        )
        model.optimizer.build(model.trainable_variables)
        # The variables of the metrics come into being with the first batch.
        length = model.input_shape[1] or 1
        model.test_on_batch(np.zeros((1, length), "int32"), np.zeros(1, "int32"))
        model.reset_metrics()
        self._step = _compiled_step(model)

    def epoch(
        self,
        token_ids: np.ndarray,
        labels: np.ndarray,
        order: np.ndarray,
        batch_size: int,
        first_step: int = 0,
    ) -> Iterator[tuple[int, dict[str, float]]]:
        """Trains on the examples of `order`, batch by batch; the last batch may be smaller.

        Args:
          token_ids: int32[examples, sequence_length], perhaps memory-mapped.
          labels: int32[examples].
          order: int64[examples], the epoch's order.
          batch_size: examples a step.
          first_step: where to go on in an epoch that was left, with the state of that moment.

        Yields:
          Every few steps, the steps done and the means over the epoch so far: `loss` (nats) and
          `accuracy`. Whenever it yields, the model holds the weights of that step.
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
        """Takes a step for each batch, and waits for the last.

        Args:
          batches: token ids, int32[batch, sequence_length], and labels, int32[batch], one or more,
            on the device.

        Returns:
          The means since the epoch began: `loss` (nats) and `accuracy`.
        """
        state = _take_state(self.model)
        for token_ids, labels in batches:
            logs, state = self._step(state, token_ids, labels)
        _put_state(self.model, state)
        return {name: float(value) for name, value in logs.items()}

    def state(self) -> dict[str, np.ndarray]:
        """Returns every variable by its path: weights, dropout's counters, optimizer, metrics."""
        return {path: ops.convert_to_numpy(v.value) for path, v in self._variables().items()}

    def restore(self, state: dict[str, np.ndarray]) -> None:
        """Takes over a state from this or another backend.

        Raises:
          ValueError: the state is that of another model or optimizer.
        """
        assign(self._variables(), state)

    def _variables(self) -> dict[str, Any]:
        of_metrics = {f"metrics/{i}": v for i, v in enumerate(self.model.metrics_variables)}
        of_optimizer = {v.path: v for v in self.model.optimizer.variables}
        return weights(self.model) | of_optimizer | of_metrics


def weights(model: keras.Model) -> dict[str, Any]:
    """Returns the model's variables by path, which is the same on every backend."""
    return {variable.path: variable for variable in model.variables}


def assign(variables: dict[str, Any], values: dict[str, np.ndarray]) -> None:
    """Assigns to each variable the value under its name, in the variable's own dtype.

    Raises:
      ValueError: the names or the shapes are not the same.
    """
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    received = {name: value.shape for name, value in values.items()}
    if expected != received:
        differing = sorted(
            name
            for name in expected.keys() | received.keys()
            if expected.get(name) != received.get(name)
        )
        name = differing[0]
        raise ValueError(
            f"expected {name} of shape {expected.get(name)}, received {received.get(name)}, and "
            f"{len(differing) - 1} more differ; use the options that the run was trained with"
        )
    for name, variable in variables.items():
        variable.assign(ops.convert_to_tensor(values[name], dtype=variable.dtype))


def weight_values(model: keras.Model) -> dict[str, np.ndarray]:
    """Returns the values of the model's variables by path."""
    return {path: ops.convert_to_numpy(v.value) for path, v in weights(model).items()}


def predict_probabilities(
    model: keras.Model, token_ids: np.ndarray, batch_size: int = 256
) -> np.ndarray:
    """Returns the probability of each class, float32[examples, classes].

    Args:
      model: maps token ids to logits. If the length of its input is None, the padding at the end
        of a text makes no difference, and most of it is left out.
      token_ids: int32[examples, sequence_length], at least one.
      batch_size: examples at a time.
    """
    forward = _compiled_forward(model)
    examples, sequence_length = token_ids.shape
    lengths = np.full(examples, sequence_length)
    if model.input_shape[1] is None:
        lengths = sequence_length - (token_ids[:, ::-1] != 0).argmax(axis=1)
    order = np.argsort(lengths, kind="stable")
    logits = []
    for start in range(0, examples, batch_size):
        batch = order[start : start + batch_size]
        # Of few shapes, since each is compiled: eighths of the length, powers of two of texts.
        eighths = -(-8 * int(lengths[batch].max()) // sequence_length)
        longest = -(-eighths * sequence_length // 8)
        rows = min(batch_size, 1 << (len(batch) - 1).bit_length())
        x = np.zeros((rows, longest), "int32")
        x[: len(batch)] = token_ids[batch, :longest]
        logits.append((batch, forward(ops.convert_to_tensor(x))))
    probabilities = np.empty((examples, model.output_shape[-1]), "float32")
    for batch, of_batch in logits:
        probabilities[batch] = softmax(ops.convert_to_numpy(of_batch)[: len(batch)], axis=-1)
    return probabilities


def device() -> str:
    """Returns the kind and name of the device that this process computes on."""
    match keras.backend.backend():
        case "jax":
            import jax

            found = jax.devices()[0]
            return f"{found.platform}: {found.device_kind}"
        case "tensorflow":
            import tensorflow as tf

            gpus = tf.config.list_physical_devices("GPU")
            if gpus:
                name = tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU")
                return f"gpu: {name}"
            return "cpu: cpu"
        case _:
            import torch

            if torch.cuda.is_available():
                return f"gpu: {torch.cuda.get_device_name()}"
            return "cpu: cpu"


def _compiled_step(model: keras.Model) -> Callable[[Any, Any, Any], tuple[dict[str, Any], Any]]:
    """Returns `(state, token_ids, labels) -> (logs, state)`; only JAX has a state to pass on."""
    match keras.backend.backend():
        case "jax":
            import jax

            # A single step, and no scan over several: inside a loop XLA compiles convolutions
            # for a CPU in another way, and a step took 4.4 s where alone it takes 0.1 s.
            step: Callable[[Any, Any, Any], tuple[dict[str, Any], Any]] = jax.jit(
                lambda state, x, y: model.train_step(state, (x, y)), donate_argnums=0
            )
            return step
        case "tensorflow":
            import tensorflow as tf

            graph = tf.function(lambda x, y: model.train_step((x, y)), autograph=False)
            return lambda state, x, y: (graph(x, y), state)
        case _:
            return lambda state, x, y: (model.train_step((x, y)), state)


def _compiled_forward(model: keras.Model) -> Callable[[Any], Any]:
    """Returns `token_ids -> logits`, without dropout; the same function for the same model."""
    if not hasattr(model, "compiled_forward"):
        model.compiled_forward = _compile_forward(model)
    forward: Callable[[Any], Any] = model.compiled_forward
    return forward


def _compile_forward(model: keras.Model) -> Callable[[Any], Any]:
    match keras.backend.backend():
        case "jax":
            import jax

            forward = jax.jit(lambda *values: model.stateless_call(*values, training=False)[0])
            return lambda x: forward(
                [v.value for v in model.trainable_variables],
                [v.value for v in model.non_trainable_variables],
                x,
            )
        case "tensorflow":
            import tensorflow as tf

            @functools.cache  # a graph for each shape; left alone, TensorFlow warns of so many
            def graph(shape: tuple[int, ...]) -> Callable[[Any], Any]:
                traced = tf.function(lambda x: model(x, training=False), autograph=False)
                concrete: Callable[[Any], Any] = traced.get_concrete_function(
                    tf.TensorSpec(shape, tf.int32)
                )
                return concrete

            return lambda x: graph(tuple(x.shape))(x)
        case _:
            import torch

            def forward(x: Any) -> Any:
                with torch.inference_mode():
                    return model(x, training=False)

            return forward


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
    # Donated arrays are gone, so between the two calls the model's variables must not be read.
    if state is not None:
        for variables, values in zip(_state_variables(model), state, strict=True):
            for variable, value in zip(variables, values, strict=True):
                variable.assign(value)
