"""DOC."""

import dataclasses
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.files import atomic
from research.models import registry
from research.processes import backends
from research.training.trainer import OPTIMIZERS, Trainer

LEARNING_RATE = 1e-3
GIVEN_STEPS = 3


@dataclasses.dataclass(frozen=True)
class Size:
    """How much is computed.

    Attributes:
      steps: of training, in float64.
      batch_size: examples a step.
      sequence_length: tokens of a text.
      vocabulary_size: rows of the embeddings.
      embedding_dim: columns of the embeddings.
      classes: how many.
    """

    steps: int = 10
    batch_size: int = 16
    sequence_length: int = 160
    vocabulary_size: int = 1000
    embedding_dim: int = 32
    classes: int = 20


def write_quantities(
    path: Path, precision: str, names: Sequence[str], size: Size, epsilon: float | None
) -> None:
    """Writes the arrays that `compute` returns; its process runs nothing but this."""
    backends.select()
    import keras  # after the backend is settled

    # LAZY IMPORTS

    keras.config.set_floatx(precision)
    if precision == "float64":
        _keep_float64()
    found = {name: _quantities(name, size, epsilon) for name in names}
    found["any"] = {}
    for name, make in OPTIMIZERS.items():
        optimizer = make(learning_rate=LEARNING_RATE)
        _set_constants(optimizer, epsilon)
        found["any"][name] = _steps_with_given_gradients(optimizer)
    arrays = {
        f"{model}|{quantity}|{member}": value
        for model, quantities in found.items()
        for quantity, members in quantities.items()
        for member, value in members.items()
    }
    atomic.write_arrays(path, arrays)


def _keep_float64() -> None:
    """Stops Keras from turning float64 into float32 on JAX and PyTorch.

    Its type promotion does so in `matmul`, and thus in `Dense`, and says nothing:
    https://github.com/keras-team/keras/issues/23704.
    """
    import keras

    # A Keras without this table is let be: if it still rounds, the comparison will tell.
    promotion = vars(sys.modules[keras.backend.result_type.__module__])
    promotion.get("BIT64_TO_BIT32_DTYPE", {})["float64"] = "float64"


def _set_constants(optimizer: Any, epsilon: float | None) -> None:
    """Rounds Adam's decay rates to float32, and sets the epsilon if one is given.

    On TensorFlow, in float64 too, `keras.ops.cast` rounds Python numbers so, and not elsewhere.
    """
    for name in ("beta_1", "beta_2"):
        if hasattr(optimizer, name):
            setattr(optimizer, name, float(np.float32(getattr(optimizer, name))))
    if epsilon is not None:
        optimizer.epsilon = epsilon


def _quantities(name: str, size: Size, epsilon: float | None) -> dict[str, dict[str, Any]]:
    """Returns quantity -> array's name -> float[...]."""
    import keras

    # LAZY IMPORTS

    generator = np.random.default_rng(0)
    embeddings = generator.normal(0, 0.4, (size.vocabulary_size, size.embedding_dim))
    embeddings[:2] = 0  # padding and out-of-vocabulary
    token_ids, labels = _examples(generator, size)
    batch = token_ids[: size.batch_size], labels[: size.batch_size]

    def build() -> keras.Model:
        return registry.build(
            name, embeddings, size.sequence_length, size.classes, trainable_embeddings=True
        )

    def trainer(optimizer: str) -> Trainer:
        trainer = Trainer(build(), optimizer, LEARNING_RATE)
        _set_constants(trainer.model.optimizer, epsilon)
        return trainer

    logits = build().predict_on_batch(batch[0])
    dropout = keras.ops.convert_to_numpy(build()(batch[0], training=True))
    loss, gradients = _loss_and_gradients(trainer("rmsprop").model, *batch)
    found = {
        "logits": {"logits": logits},
        "logits, dropout": {"logits": dropout},
        "loss": {"loss": loss},
        "gradients": gradients,
    }
    if keras.config.floatx() == "float64":
        for optimizer in OPTIMIZERS:
            learner = trainer(optimizer)
            for _ in learner.epoch(token_ids, labels, np.arange(len(labels)), size.batch_size):
                pass
            found[f"{optimizer} training"] = _floats(learner.state())
    return found


def _examples(generator: np.random.Generator, size: Size) -> tuple[np.ndarray, np.ndarray]:
    """Returns token ids, int32[examples, sequence_length], and labels, int32[examples].

    As in texts, frequencies follow Zipf's law and padding ends a row. The first is only padding.
    """
    shape = (size.steps * size.batch_size, size.sequence_length)
    ranks = np.arange(1, size.vocabulary_size)
    token_ids = generator.choice(ranks, shape, p=(1 / ranks) / (1 / ranks).sum()).astype("int32")
    lengths = generator.integers(1, size.sequence_length + 1, len(token_ids))
    lengths[0] = 0
    token_ids[np.arange(size.sequence_length) >= lengths[:, None]] = 0
    return token_ids, generator.integers(0, size.classes, len(token_ids), dtype="int32")


def _loss_and_gradients(
    model: Any, token_ids: np.ndarray, labels: np.ndarray
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Returns the loss of a training step and its gradients by the names of the weights."""
    import keras

    # With a rate of 1, the first momentum is the gradient, negated: no cancellation, no rounding.
    optimizer = keras.optimizers.SGD(learning_rate=1.0, momentum=0.5)
    model.compile(optimizer, loss=model.loss)
    loss = np.asarray(model.train_on_batch(token_ids, labels))
    return loss, {
        variable.path: -keras.ops.convert_to_numpy(momentum.value)
        for variable, momentum in zip(model.trainable_variables, optimizer.momentums, strict=True)
    }


def _steps_with_given_gradients(optimizer: Any) -> dict[str, np.ndarray]:
    """Returns weights and slots after a few steps, from zero, with gradients of all sizes."""
    import keras

    generator = np.random.default_rng(1)
    # What is added to zero keeps all its digits.
    weights = keras.Variable("zeros", shape=(1000,), name="weights")
    optimizer.build([weights])
    for _ in range(GIVEN_STEPS):
        signs, sizes = generator.choice([-1, 1], 1000), 10 ** generator.uniform(-12, 0, 1000)
        optimizer.apply([keras.ops.convert_to_tensor(signs * sizes, dtype=weights.dtype)])
    variables = {variable.path: variable for variable in [weights, *optimizer.variables]}
    return _floats({name: keras.ops.convert_to_numpy(v.value) for name, v in variables.items()})


def _floats(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    # The metrics are not compared: they are a report, and Keras keeps some in float32.
    return {
        name: value
        for name, value in state.items()
        if value.dtype.kind == "f" and not name.startswith("metrics/")
    }
