"""Shows that every installed backend computes the same: `python -m research.parity [MODEL ...]`.

Run it once after adding a model. Each backend, in a process of its own and on the CPU, gets the same
weights, drawn by NumPy, and the same token ids and labels. These quantities are compared:

    logits             of a batch, without dropout
    logits, dropout    of the same batch as training sees it; one unit dropped differently shows
    loss               of a training step, so with dropout too
    gradients          of that step, for every weight, the embeddings among them
    rmsprop, adam      weights and slots after three steps, from zero, with given gradients
    rmsprop training   weights and slots after training for `--steps` steps, and likewise for adam;
                       in float64 only

The difference of two arrays is max|a - b| / max|b|, b being of the first backend, and the largest
difference of a quantity's arrays counts. It may be 1e-5 in float32 and 1e-10 in float64.

In float32, an optimizer is compared by the steps that it makes of *given* gradients, whose sizes
run from 1e-12 to 1, and not by steps of training. Optimizers divide by the size of the gradient, so
where a gradient is nothing but rounding (1e-9 here and -1e-9 there) the step is as well, yet it may
be large: Keras' Adam takes its first step as if it were lr * sign(gradient) for every gradient well
above 3e-6, and magnifies what is far below by 300; its RMSprop magnifies that by 3. In float64
rounding is a billion times smaller, and training itself is compared.

Keras has no float64 of its own but on TensorFlow: its type promotion makes float32 of it elsewhere,
so on PyTorch a `Dense` layer multiplies float64 matrices in float32 and says nothing
(https://github.com/keras-team/keras/issues/23704). The processes that compare float64 correct that.
Without it, one rounding in float32 is enough to choose another of two nearly equal values in a max
pooling, and from there training parts for good.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from research import backends, cli, runs

TOLERANCES = {"float32": 1e-5, "float64": 1e-10}
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

    steps: int = 20
    batch_size: int = 16
    sequence_length: int = 200
    vocabulary_size: int = 2000
    embedding_dim: int = 50
    classes: int = 20


@dataclasses.dataclass(frozen=True)
class Row:
    """A quantity of a model, compared.

    Attributes:
      model: a key of `models.MODELS`.
      quantity: a name from the list above.
      differences: backend -> largest relative difference to the first backend.
      worst: the array with the largest of them.
    """

    model: str
    quantity: str
    differences: Mapping[str, float]
    worst: str

    def agrees(self, tolerance: float) -> bool:
        """Returns whether all differences are within the tolerance, which no NaN is."""
        return all(difference <= tolerance for difference in self.differences.values())


def main(models: tuple[str, ...] = (), /, steps: int = Size.steps) -> None:
    """Compares what the installed backends compute, and exits with 1 if it is not the same.

    Args:
      models: the models to compare; all, unless you name some.
      steps: how many steps of training to compare in float64.
    """
    compared = backends.installed()
    if len(compared) < 2:
        raise ValueError(
            f"expected two backends or more to compare, received {', '.join(compared) or 'none'}; "
            "install another: pip install jax, or torch"
        )
    left_out = [name for name in backends.BACKENDS if name not in compared]
    if left_out:
        print(f"left out, since not installed: {', '.join(left_out)}")

    failed = []
    table = _table(compared)
    for precision, tolerance in TOLERANCES.items():
        arrays = {}
        for backend in compared:
            started = time.perf_counter()
            arrays[backend] = compute(backend, precision, models, Size(steps))
            seconds = time.perf_counter() - started
            print(f"computed on {backend} in {precision}, {seconds:.0f} s", flush=True)
        for row in compare(arrays):
            verdict = "pass" if row.agrees(tolerance) else "FAIL"
            if verdict == "FAIL":
                failed.append(f"{row.model} {row.quantity} in {precision}")
            differences = [f"{difference:.1e}" for difference in row.differences.values()]
            table.add_row(
                row.model,
                precision,
                row.quantity,
                *differences,
                f"{tolerance:.0e}",
                verdict,
                row.worst,
            )
    Console(highlight=False, markup=False).print(table)
    if failed:
        raise ValueError(
            f"expected all backends to compute the same, received differences above the tolerance "
            f"in {len(failed)} quantities, first {failed[0]}; begin with the uppermost FAIL"
        )


def compute(
    backend: str,
    precision: str,
    models: tuple[str, ...] = (),
    size: Size = Size(),  # noqa: B008 - frozen
    epsilon: float | None = None,
) -> dict[str, np.ndarray]:
    """Computes all quantities on a backend, in a process of its own.

    Args:
      backend: an installed one.
      precision: a key of `TOLERANCES`.
      models: keys of `models.MODELS`; all, if none.
      size: how much.
      epsilon: for the optimizers instead of Keras' own, to see that a wrong one is found.

    Returns:
      "model|quantity|array" -> float[...].

    Raises:
      ValueError: it failed; what the process wrote to stderr is printed.
    """
    task = {"models": models, "size": dataclasses.asdict(size), "epsilon": epsilon}
    settings = {
        "KERAS_BACKEND": backend,
        "KERAS_FLOATX": precision,
        "JAX_ENABLE_X64": str(int(precision == "float64")),
        # On a GPU each library has its own rules for when it may round factors to 10 bits.
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "arrays.npz")
        child = subprocess.run(
            [sys.executable, "-c", _CHILD, json.dumps(task), path],
            env=os.environ | settings,
            stderr=subprocess.PIPE,
            text=True,
        )
        if child.returncode != 0:
            print(child.stderr, file=sys.stderr)
            raise ValueError(
                f"expected the models to run on {backend} in {precision}, received "
                f"{child.stderr.strip().splitlines()[-1:]}; its traceback is above"
            )
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)


_CHILD = """
import json, sys
from pathlib import Path
from research import parity
task = json.loads(sys.argv[1])
size = parity.Size(**task["size"])
parity.write_quantities(Path(sys.argv[2]), task["models"], size, task["epsilon"])
"""


def write_quantities(path: Path, names: list[str], size: Size, epsilon: float | None) -> None:
    """Writes the arrays that `compute` returns, computed by this process' backend."""
    backends.select()
    from research import models  # after the backend is settled

    _keep_float64()
    arrays = {}
    for name in names or models.MODELS:
        for quantity, members in _quantities(name, size, epsilon).items():
            arrays |= {f"{name}|{quantity}|{member}": value for member, value in members.items()}
    runs.write_arrays(path, arrays)


def compare(arrays: Mapping[str, Mapping[str, np.ndarray]]) -> list[Row]:
    """Compares each backend with the first.

    Args:
      arrays: backend -> what `compute` returned.
    """
    (_, reference), *others = arrays.items()
    members: dict[tuple[str, str], list[str]] = {}
    for key in reference:
        model, quantity, _ = key.split("|")
        members.setdefault((model, quantity), []).append(key)
    rows = []
    for (model, quantity), keys in members.items():
        found = {
            backend: {key: relative_difference(values[key], reference[key]) for key in keys}
            for backend, values in others
        }
        worst = max(keys, key=lambda key: max(by_key[key] for by_key in found.values()))
        largest = {backend: max(by_key.values()) for backend, by_key in found.items()}
        rows.append(Row(model, quantity, largest, worst.split("|")[2]))
    return rows


def relative_difference(value: np.ndarray, reference: np.ndarray) -> float:
    """Returns max|value - reference| / max|reference|.

    It is 0 where both are zero throughout, and infinite where one holds a NaN or an infinity.

    Args:
      value: float[...].
      reference: float[...], of the same shape.
    """
    if not (np.isfinite(value).all() and np.isfinite(reference).all()):
        return float("inf")
    difference = float(np.abs(value.astype("float64") - reference).max())
    return difference and difference / max(float(np.abs(reference).max()), sys.float_info.min)


def _quantities(name: str, size: Size, epsilon: float | None) -> dict[str, dict[str, Any]]:
    """Returns quantity -> array's name -> float[...]."""
    import keras

    from research import loop, models

    generator = np.random.default_rng(0)
    embeddings = generator.normal(0, 0.4, (size.vocabulary_size, size.embedding_dim))
    embeddings[:2] = 0  # padding and out-of-vocabulary
    token_ids, labels = _examples(generator, size)
    batch = token_ids[: size.batch_size], labels[: size.batch_size]

    def build() -> keras.Model:
        return models.build(
            name, embeddings, size.sequence_length, size.classes, trainable_embeddings=True
        )

    def trainer(optimizer: str) -> loop.Trainer:
        trainer = loop.Trainer(build(), optimizer, LEARNING_RATE)
        if epsilon is not None:
            trainer.model.optimizer.epsilon = epsilon
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
    for optimizer in loop.OPTIMIZERS:
        found[optimizer] = _steps_with_given_gradients(trainer(optimizer))
    if keras.config.floatx() == "float64":
        for optimizer in loop.OPTIMIZERS:
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
    model.compile(optimizer, loss=model.loss, jit_compile=False)
    loss = np.asarray(model.train_on_batch(token_ids, labels))
    state = {v.path: -keras.ops.convert_to_numpy(v.value) for v in optimizer.variables}
    return loss, {name: value for name, value in state.items() if "momentum" in name}


def _steps_with_given_gradients(trainer: Any) -> dict[str, np.ndarray]:
    """Returns weights and slots after a few steps, from zero, with gradients of all sizes."""
    generator = np.random.default_rng(1)
    weights = trainer.model.trainable_variables
    for variable in weights:  # what is added to zero keeps all its digits
        variable.assign(np.zeros(variable.shape, variable.dtype))
    for _ in range(GIVEN_STEPS):
        gradients = []
        for variable in weights:
            sign_and_size = generator.uniform(-12, 12, variable.shape)
            gradients.append(np.sign(sign_and_size) * 10 ** -np.abs(sign_and_size))
        trainer.model.optimizer.apply(
            [variable._convert_to_tensor(gradient) for variable, gradient in zip(weights, gradients)]
        )
    return _floats(trainer.state())


def _floats(state: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    # The metrics are not compared: they are a report, and Keras keeps some in float32.
    return {
        name: value
        for name, value in state.items()
        if value.dtype.kind == "f" and not name.startswith("metrics/")
    }
