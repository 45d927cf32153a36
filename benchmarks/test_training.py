"""Times a training step: ours, that of `model.fit`, and that of a native peer.

One of these tests is run by a process of its own: `python -m benchmarks.run` starts them all.
"""

import importlib
import itertools
from typing import Any

import keras
import numpy as np
import pytest
from keras import ops

from benchmarks import check, peers_tutorial, timing
from benchmarks.work import Work, training_flop
from research.training.trainer import Trainer
from research.processes.memory import keep_freed_memory

BACKEND = keras.backend.backend()
JIT = {
    ("jax", True): "XLA, a step a call",
    ("tensorflow", False): "tf.function",
    ("tensorflow", True): "tf.function, XLA",
    ("torch", True): "torch.compile",
}
"""What compiles a step of Keras, by backend and `jit_compile`."""

PEERS = importlib.import_module(f"benchmarks.peers_{BACKEND}")


def test_step(benchmark: Any, work: Work, quick: bool) -> None:
    """Our compiled step, on batches that are on the device; it waits at the end of each round."""
    keep_freed_memory()  # as our commands do
    model = check.model(work)
    trainer = Trainer(model, "rmsprop", learning_rate=1e-3)
    batches = itertools.cycle(
        [
            (ops.convert_to_tensor(x), ops.convert_to_tensor(y))
            for x, y in zip(*_batches(work), strict=True)
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
        **_about(model, steps, steps * work.batch_size),
    )


@pytest.mark.parametrize("precision", ["float32", "mixed_bfloat16"])
def test_epoch(benchmark: Any, work: Work, quick: bool, precision: str) -> None:
    """An epoch as `research.train` runs it, from token ids in a memory-mapped file."""
    keep_freed_memory()
    model = check.model(work, precision=precision)
    trainer = Trainer(model, "rmsprop", learning_rate=1e-3)
    examples = work.epoch_examples
    epochs = itertools.count()

    def train() -> None:
        order = np.random.default_rng((0, next(epochs))).permutation(examples)
        for _ in trainer.epoch(work.token_ids, work.labels, order, work.batch_size):
            pass

    timing.rounds(
        benchmark,
        quick,
        train,
        jit=JIT.get((BACKEND, BACKEND == "jax"), "none"),
        **_about(model, -(-examples // work.batch_size), examples),
    )


def test_fit(benchmark: Any, work: Work, quick: bool) -> None:
    """An epoch of the tutorial's `model.fit`, without its progress bar and validation."""
    model = peers_tutorial.network(work.matrix, len(work.class_names))
    examples = work.epoch_examples
    # In memory, as the tutorial's vectorizer gives it.
    x_train, y_train = np.array(work.token_ids[:examples], "int64"), work.labels[:examples]

    def train() -> None:
        model.fit(x_train, y_train, batch_size=work.batch_size, epochs=1, verbose=0)

    ours = check.model(work)  # the same sizes, and the tutorial's network knows no length
    timing.rounds(
        benchmark,
        quick,
        train,
        jit=JIT.get((BACKEND, model.jit_compile), "none"),
        **_about(ours, -(-examples // work.batch_size), examples),
    )


@pytest.mark.parametrize("memory", ["as is", "kept"])
@pytest.mark.parametrize("mode", PEERS.MODES)
def test_peer(benchmark: Any, work: Work, quick: bool, mode: str, memory: str) -> None:
    """A native peer, on batches that are on the device, once it is shown to compute the same."""
    if memory == "kept":  # what our commands do, for whoever thinks of it
        keep_freed_memory()
    differences = check.differences(work, mode)
    if not max(differences.values()) <= check.TOLERANCE:
        pytest.fail(
            f"expected the loss, gradients and step of our model within {check.TOLERANCE:g}, "
            f"received differences {differences}; correct the peer, it was not timed",
            pytrace=False,
        )
    peer = check.peer(work, mode)
    token_ids, labels = _batches(work)
    on_device = {1: peer.put(token_ids[:1], labels[:1])}
    steps, first_call_s = timing.steps_in_a_round(lambda count: peer.train(on_device[count]), quick)
    on_device[steps] = peer.put(token_ids[:steps], labels[:steps])
    timing.rounds(
        benchmark,
        quick,
        lambda: peer.train(on_device[steps]),
        jit=PEERS.MODES[mode],
        check=differences,
        first_call_s=first_call_s,
        **_about(check.model(work), steps, steps * work.batch_size),
    )


def _batches(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Returns 8 batches, or as many as there are.

    They are int32[steps, batch, sequence_length] and int32[steps, batch].
    """
    steps = min(8, len(work.labels) // work.batch_size)
    examples = np.random.default_rng(0).permutation(len(work.labels))
    chosen = examples[: steps * work.batch_size].reshape(steps, work.batch_size)
    return work.token_ids[chosen], work.labels[chosen]


def _about(model: keras.Model, steps: int, examples: int) -> dict[str, Any]:
    return {
        "precision": model.get_layer("convolution_1").dtype_policy.name,
        "units": steps,
        "gflop": examples * training_flop(model) / 1e9,
    }
