"""Times a training step: ours, that of `model.fit`, and that of a native peer.

Each test runs in a process that `python -m benchmarks.run` starts.
"""

import itertools
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from benchmarks import equality, peers, timing
from benchmarks.peers import tutorial
from benchmarks.workload import Workload, network, training_flop
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


def test_step(benchmark: Any, workload: Workload, quick: bool) -> None:
    """Our compiled step, on batches that are on the device. It waits at the end of each round."""
    keep_freed_memory()  # as our commands do
    model = network(workload)
    trainer = Trainer(model, "rmsprop", learning_rate=1e-3)
    batches = itertools.cycle(
        [
            (ops.convert_to_tensor(x), ops.convert_to_tensor(y))
            for x, y in zip(*_batches(workload), strict=True)
        ]
    )

    def train(steps: int) -> None:
        trainer.steps(itertools.islice(batches, steps))

    steps, first_call_s = timing.steps_in_a_round(train, quick)
    timing.rounds(
        benchmark,
        quick,
        lambda: train(steps),
        jit=JIT.get((BACKEND, BACKEND == "jax"), "none"),
        first_call_s=first_call_s,
        **_about(model, steps, steps * workload.batch_size),
    )


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_epoch(benchmark: Any, workload: Workload, quick: bool, precision: str) -> None:
    """An epoch as `research.train` runs it, from token ids in a memory-mapped file."""
    keep_freed_memory()
    model = network(workload, precision=precision)
    trainer = Trainer(model, "rmsprop", learning_rate=1e-3)
    examples = workload.epoch_examples
    epochs = itertools.count()

    def train() -> None:
        order = np.random.default_rng((0, next(epochs))).permutation(examples)
        for _ in trainer.epoch(workload.token_ids, workload.labels, order, workload.batch_size):
            pass

    timing.rounds(
        benchmark,
        quick,
        train,
        jit=JIT.get((BACKEND, BACKEND == "jax"), "none"),
        **_about(model, -(-examples // workload.batch_size), examples),
    )


def test_fit(benchmark: Any, workload: Workload, quick: bool) -> None:
    """An epoch of the tutorial's `model.fit`, without its progress bar and validation."""
    model = tutorial.network(workload.matrix, len(workload.class_names))
    examples = workload.epoch_examples
    # In memory, as the tutorial's vectorizer returns them.
    x_train, y_train = np.array(workload.token_ids[:examples], "int64"), workload.labels[:examples]

    def train() -> None:
        model.fit(x_train, y_train, batch_size=workload.batch_size, epochs=1, verbose=0)

    # Our model has the same sizes. The tutorial's does not know the length of its texts.
    ours = network(workload)
    timing.rounds(
        benchmark,
        quick,
        train,
        jit=JIT.get((BACKEND, model.jit_compile), "none"),
        **_about(ours, -(-examples // workload.batch_size), examples),
    )


@pytest.mark.parametrize("memory", ["as is", "kept"])
@pytest.mark.parametrize("mode", MODES)
def test_peer(benchmark: Any, workload: Workload, quick: bool, mode: str, memory: str) -> None:
    """A native peer, on batches that are on the device, if it computes what our model computes."""
    if memory == "kept":
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
    steps, first_call_s = timing.steps_in_a_round(lambda count: peer.train(on_device[count]), quick)
    on_device[steps] = peer.put(token_ids[:steps], labels[:steps])
    timing.rounds(
        benchmark,
        quick,
        lambda: peer.train(on_device[steps]),
        jit=MODES[mode],
        check=differences,
        first_call_s=first_call_s,
        **_about(network(workload), steps, steps * workload.batch_size),
    )


def _batches(workload: Workload) -> tuple[np.ndarray, np.ndarray]:
    """Return 8 batches, or as many as there are.

    They are int32[steps, batch, sequence_length] and int32[steps, batch].
    """
    steps = min(8, len(workload.labels) // workload.batch_size)
    examples = np.random.default_rng(0).permutation(len(workload.labels))
    chosen = examples[: steps * workload.batch_size].reshape(steps, workload.batch_size)
    return workload.token_ids[chosen], workload.labels[chosen]


def _about(model: keras.Model, steps: int, examples: int) -> dict[str, Any]:
    return {
        "precision": model.get_layer("convolution_1").dtype_policy.name,
        "units": steps,
        "gflop": examples * training_flop(model) / 1e9,
    }
