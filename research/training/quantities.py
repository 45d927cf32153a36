"""What one backend computes, to be compared with what the others compute.

`python -m research.training.quantities PATH TASK` computes it in a process of its own, since a
process has exactly one backend. TASK is a `Task` as JSON. The arrays are written to the `.npz` file
PATH under keys of the form "model|quantity|array". Weights, token ids and labels are drawn by
NumPy, so they are the same for every backend. The embeddings are trained, so they have gradients
too. For each model these quantities are computed:

    logits             of one batch, without dropout
    logits, dropout    of the same batch, with dropout
    loss               of one training step, with dropout
    gradients          of that step, for every weight
    rmsprop training   weights and slots after `Task.steps` steps of training; only in float64
    adam training      the same with Adam
    weighted training  the same with RMSprop, and a weight for each class

For the model "any", which stands for all of them:

    rmsprop, adam      weights and slots after three steps from zero, with given gradients

An optimizer divides a gradient by its size. Where a gradient is nothing but rounding, so is the
step, and the step is not small. That is why float32 compares optimizers on given gradients, and
only float64, where rounding is a billion times smaller, compares training itself.
"""

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.files import npz
from research.models import registry
from research.models.options import ModelOptions
from research.processes import backends

LEARNING_RATE = 1e-3
GIVEN_STEPS = 3
GIVEN_WEIGHTS = 1000


@dataclasses.dataclass(frozen=True)
class Task:
    """What is computed, and how much of it.

    Attributes:
      precision: "float32" or "float64".
      models: keys of `registry.MODELS`.
      steps: training steps, in float64.
      batch_size: examples a step.
      sequence_length: tokens of a text.
      vocabulary_size: rows of the embeddings.
      embedding_dim: columns of the embeddings.
      classes: the number of classes.
      epsilon: for the optimizers; None for Keras's default. A test uses another one to show that a
        wrong optimizer is noticed.
    """

    precision: str
    models: Sequence[str]
    steps: int = 10
    batch_size: int = 16
    sequence_length: int = 160
    vocabulary_size: int = 1000
    embedding_dim: int = 32
    classes: int = 20
    epsilon: float | None = None


def relative_difference(value: np.ndarray, reference: np.ndarray) -> float:
    """Return max|value - reference| / max|reference|.

    It is 0 if both are zero everywhere, and infinite if either holds NaN or infinity.

    Args:
      value: float[...].
      reference: float[...], of the same shape.
    """
    if not (np.isfinite(value).all() and np.isfinite(reference).all()):
        return float("inf")
    difference = np.abs(value.astype("float64") - reference).max()
    if difference == 0:
        return 0.0
    largest = np.abs(reference).max()
    return float(difference / largest) if largest else float("inf")


def main() -> None:
    """Compute what the command line says and write it."""
    path, task = sys.argv[1:]
    npz.write(Path(path), compute(Task(**json.loads(task))))


def compute(task: Task) -> dict[str, np.ndarray]:
    """Return all quantities as "model|quantity|array" -> float[...].

    It sets Keras's precision for the whole process.
    """
    backends.select()
    import keras  # after the backend is settled

    keras.config.set_floatx(task.precision)
    if task.precision == "float64":
        _keep_float64()
    computed = {name: _quantities_of_model(name, task) for name in task.models}
    computed["any"] = _steps_with_given_gradients(task.epsilon)
    return {
        f"{model}|{quantity}|{array}": value
        for model, quantities in computed.items()
        for quantity, arrays in quantities.items()
        for array, value in arrays.items()
    }


def _quantities_of_model(name: str, task: Task) -> dict[str, dict[str, Any]]:
    """Return quantity -> array -> float[...]."""
    import keras

    from research.training.gradients import loss_and_gradients
    from research.training.trainer import OPTIMIZERS, Trainer

    generator = np.random.default_rng(0)
    embeddings = generator.normal(0, 0.4, (task.vocabulary_size, task.embedding_dim))
    embeddings[:2] = 0  # padding and out-of-vocabulary
    token_ids, labels = _examples(generator, task)
    batch = token_ids[: task.batch_size], labels[: task.batch_size]

    def build() -> keras.Model:
        options = ModelOptions(trainable_embeddings=True)
        return registry.build(name, embeddings, task.sequence_length, task.classes, options)

    def build_trainer(optimizer: str, class_weights: np.ndarray | None = None) -> Trainer:
        trainer = Trainer(build(), optimizer, LEARNING_RATE, class_weights=class_weights)
        _set_constants(trainer.model.optimizer, task.epsilon)
        return trainer

    def trained(trainer: Trainer) -> dict[str, np.ndarray]:
        for _ in trainer.epoch(token_ids, labels, np.arange(len(labels)), task.batch_size):
            pass
        return _float_arrays(trainer.state())

    logits = build().predict_on_batch(batch[0])
    with_dropout = keras.ops.convert_to_numpy(build()(batch[0], training=True))
    loss, gradients = loss_and_gradients(build_trainer("rmsprop").model, *batch)
    quantities = {
        "logits": {"logits": logits},
        "logits, dropout": {"logits": with_dropout},
        "loss": {"loss": loss},
        "gradients": gradients,
    }
    if task.precision == "float64":
        for optimizer in OPTIMIZERS:
            quantities[f"{optimizer} training"] = trained(build_trainer(optimizer))
        weights = np.linspace(0.5, 2, task.classes, dtype="float32")
        quantities["weighted training"] = trained(build_trainer("rmsprop", weights))
    return quantities


def _examples(generator: np.random.Generator, task: Task) -> tuple[np.ndarray, np.ndarray]:
    """Return token ids, int32[examples, sequence_length], and labels, int32[examples].

    As in real texts, word frequencies follow Zipf's law, and padding ends a row. The first row is
    all padding.
    """
    shape = (task.steps * task.batch_size, task.sequence_length)
    ranks = np.arange(1, task.vocabulary_size)
    token_ids = generator.choice(ranks, shape, p=(1 / ranks) / (1 / ranks).sum()).astype("int32")
    lengths = generator.integers(1, task.sequence_length + 1, len(token_ids))
    lengths[0] = 0
    token_ids[np.arange(task.sequence_length) >= lengths[:, None]] = 0
    return token_ids, generator.integers(0, task.classes, len(token_ids), dtype="int32")


def _steps_with_given_gradients(epsilon: float | None) -> dict[str, dict[str, np.ndarray]]:
    """Return optimizer -> array -> float[...], after steps with gradients from 1e-12 to 1."""
    import keras

    from research.training.trainer import OPTIMIZERS

    arrays = {}
    for name, make in OPTIMIZERS.items():
        optimizer = make(learning_rate=LEARNING_RATE)
        _set_constants(optimizer, epsilon)
        generator = np.random.default_rng(1)
        # From zero, since what is added to zero keeps all its digits.
        weights = keras.Variable("zeros", shape=(GIVEN_WEIGHTS,), name="weights")
        optimizer.build([weights])
        for _ in range(GIVEN_STEPS):
            signs = generator.choice([-1, 1], GIVEN_WEIGHTS)
            sizes = 10 ** generator.uniform(-12, 0, GIVEN_WEIGHTS)
            optimizer.apply([keras.ops.convert_to_tensor(signs * sizes, dtype=weights.dtype)])
        variables = {variable.path: variable for variable in [weights, *optimizer.variables]}
        arrays[name] = _float_arrays(
            {path: keras.ops.convert_to_numpy(v.value) for path, v in variables.items()}
        )
    return arrays


def _float_arrays(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    # Metrics are left out: they change no training, and Keras keeps some of them in float32.
    return {
        name: value
        for name, value in state.items()
        if value.dtype.kind == "f" and not name.startswith("metrics/")
    }


def _keep_float64() -> None:
    """Stop Keras from rounding float64 to float32 on JAX and PyTorch.

    Its type promotion does so silently in `matmul`, and so in `Dense`. The rounding is enough for a
    ReLU or a pooling to choose another one of two nearly equal values, and from there training
    parts for good. See https://github.com/keras-team/keras/issues/23704.
    """
    import keras

    # A version of Keras may lack this table. If it still rounds, the comparison shows it.
    promotion = vars(sys.modules[keras.backend.result_type.__module__])
    promotion.get("BIT64_TO_BIT32_DTYPE", {})["float64"] = "float64"


def _set_constants(optimizer: Any, epsilon: float | None) -> None:
    """Round Adam's decay rates to float32, and set the epsilon if there is one.

    `keras.ops.cast` rounds Python numbers to float32 on TensorFlow only, even in float64.
    """
    for name in ("beta_1", "beta_2"):
        if hasattr(optimizer, name):
            setattr(optimizer, name, float(np.float32(getattr(optimizer, name))))
    if epsilon is not None:
        optimizer.epsilon = epsilon


if __name__ == "__main__":
    main()
