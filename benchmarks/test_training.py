"""Times a training step: ours, that of `model.fit`, and that of a native peer.

Each test runs in a process that `python -m benchmarks.run` starts.
"""

import itertools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from benchmarks import arithmetic, equality, peers, timing
from benchmarks.effort import Effort
from benchmarks.peers import tutorial
from benchmarks.workload import Workload, network
from research.processes.memory import keep_freed_memory
from research.training.trainer import Trainer

BACKEND = keras.backend.backend()
JIT = {
    ("jax", True): "XLA, a step a call",
    ("tensorflow", False): "tf.function",
    ("tensorflow", True): "tf.function, XLA",
    ("torch", True): "torch.compile",
}
"""What compiles a step of Keras, by backend and `jit_compile`."""

MODES = peers.native(BACKEND).MODES
OPTIMIZER = "rmsprop"  # the tutorial's, for each model


def test_step(benchmark: Any, workload: Workload, effort: Effort) -> None:
    """Our compiled step, on batches that are on the device. It waits at the end of each round."""
    keep_freed_memory()  # as our commands do
    model = network(workload)
    trainer = Trainer(model, OPTIMIZER, learning_rate=1e-3)
    on_device = [
        (ops.convert_to_tensor(x), ops.convert_to_tensor(y))
        for x, y in zip(*_batches(workload), strict=True)
    ]
    batches = itertools.cycle(on_device)

    def train(steps: int) -> None:
        trainer.steps(itertools.islice(batches, steps))

    steps, first_call_s = timing.steps_in_a_round(train, len(on_device))
    timing.rounds(
        benchmark,
        effort,
        lambda: train(steps),
        jit=JIT.get((BACKEND, BACKEND == "jax"), "none"),
        first_call_s=first_call_s,
        **_about(workload, model, steps),
    )


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_epoch(benchmark: Any, workload: Workload, effort: Effort, precision: str) -> None:
    """An epoch as `research.train` runs it, from token ids in a memory-mapped file."""
    keep_freed_memory()
    model = network(workload, precision=precision)
    trainer = Trainer(model, OPTIMIZER, learning_rate=1e-3)
    batch_size, epochs = workload.point.batch_size, itertools.count()

    def train(steps: int) -> None:
        order = np.random.default_rng((0, next(epochs))).permutation(workload.epoch_examples)
        order = order[: steps * batch_size]
        for _ in trainer.epoch(workload.token_ids, workload.labels, order, batch_size):
            pass

    _time_epochs(benchmark, workload, effort, train, model, BACKEND == "jax")


def test_fit(benchmark: Any, workload: Workload, effort: Effort) -> None:
    """An epoch of the tutorial's `model.fit`, without its progress bar and validation."""
    model = _model_to_fit(workload)
    examples, batch_size = workload.epoch_examples, workload.point.batch_size
    # In memory, as the tutorial's vectorizer returns them.
    x_train, y_train = np.array(workload.token_ids[:examples], "int64"), workload.labels[:examples]

    def train(steps: int) -> None:
        x, y = x_train[: steps * batch_size], y_train[: steps * batch_size]
        model.fit(x, y, batch_size=batch_size, epochs=1, verbose=0)

    _time_epochs(benchmark, workload, effort, train, network(workload), model.jit_compile)


def test_fit_without_autotuning(benchmark: Any, workload: Workload, effort: Effort) -> None:
    """The same, with a pipeline of tf.data that leaves its threads and buffers alone."""
    import tensorflow as tf

    model = _model_to_fit(workload)
    examples, batch_size = workload.epoch_examples, workload.point.batch_size
    x, y = np.array(workload.token_ids[:examples], "int64"), workload.labels[:examples]
    options = tf.data.Options()
    options.autotune.enabled = False
    pipeline = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(examples).batch(batch_size)
    pipeline = pipeline.prefetch(2).with_options(options)

    def train(steps: int) -> None:
        model.fit(pipeline.take(steps), epochs=1, verbose=0)

    _time_epochs(benchmark, workload, effort, train, network(workload), model.jit_compile)


@pytest.mark.parametrize("mode", MODES)
def test_peer(benchmark: Any, workload: Workload, effort: Effort, mode: str) -> None:
    """A native peer, on batches that are on the device, if it computes what our model computes."""
    keep_freed_memory()  # as our commands do
    differences = equality.differences(workload, mode)
    if not max(differences.values()) <= equality.TOLERANCE:  # written so that NaN fails
        pytest.fail(
            f"expected the loss, gradients and step of our model within {equality.TOLERANCE:g}, "
            f"received differences {differences}; correct the peer, it was not timed",
            pytrace=False,
        )
    peer = equality.peer(workload, mode)
    token_ids, labels = _batches(workload)
    on_device = {1: peer.put(token_ids[:1], labels[:1])}
    steps, first_call_s = timing.steps_in_a_round(
        lambda count: peer.train(on_device[count]), len(labels)
    )
    on_device[steps] = peer.put(token_ids[:steps], labels[:steps])
    timing.rounds(
        benchmark,
        effort,
        lambda: peer.train(on_device[steps]),
        jit=MODES[mode],
        check=differences,
        first_call_s=first_call_s,
        **_about(workload, network(workload), steps),
    )


def _time_epochs(
    benchmark: Any,
    workload: Workload,
    effort: Effort,
    train: Callable[[int], None],
    model: keras.Model,
    is_jitted: bool,
) -> None:
    """Time epochs: `train` runs one of a number of steps, with the sizes of our model."""
    whole = workload.epoch_examples // workload.point.batch_size
    steps, first_call_s = timing.steps_in_an_epoch(train, whole, effort)
    timing.rounds(
        benchmark,
        effort,
        lambda: train(steps),
        jit=JIT.get((BACKEND, is_jitted), "none"),
        first_call_s=first_call_s,
        **_about(workload, model, steps),
    )


def _model_to_fit(workload: Workload) -> keras.Model:
    """Return a compiled model for `model.fit`: for the tutorial's network the tutorial's code."""
    if workload.point.model == "tutorial":
        return tutorial.network(workload.matrix, len(workload.class_names))
    model = network(workload)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=OPTIMIZER, loss=loss, metrics=["accuracy"])
    return model


def _batches(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Return 8 batches, or as many as there are.

    They are int32[steps, batch, sequence_length] and int32[steps, batch].
    """
    steps = min(8, len(workload.labels) // workload.point.batch_size)
    examples = np.random.default_rng(0).permutation(len(workload.labels))
    batch_size = workload.point.batch_size
    chosen = examples[: steps * batch_size].reshape(steps, batch_size)
    return workload.token_ids[chosen], workload.labels[chosen]


def _about(workload: Workload, model: keras.Model, steps: int) -> dict[str, Any]:
    """Return what the record says of a round, with our model of the same sizes."""
    length, batch_size = workload.token_ids.shape[1], workload.point.batch_size
    policy = next(layer for layer in model.layers if "convolution" in layer.name).dtype_policy
    activation_bytes = 2 if policy.compute_dtype == "bfloat16" else 4
    moved = arithmetic.training_bytes(model, length, batch_size, activation_bytes)
    return {
        "precision": policy.name,
        "units": steps,
        "gflop": steps * batch_size * arithmetic.training_flop(model, length) / 1e9,
        "gbyte": steps * moved / 1e9,
    }
