"""Shows what a larger corpus costs: `python -m benchmarks.scale`.

The texts are the train split of `news20-bydate`, repeated and shuffled. Time per document and
memory should not depend on the number of documents. The tutorial's way of tokenizing is measured
beside ours, on as many texts as the tutorial has. Each measurement has a fresh process.
"""

import json
import os
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from benchmarks import machine, workload
from benchmarks.peak_memory import PeakMemory
from research.data import tokens
from research.files import atomic
from research.processes import backends, command, provenance
from research.processes.child import run_python

SIZES = (20_000, 200_000, 1_000_000)
STEPS = 64
"""Training steps that are timed, after as many to warm up."""
TOKENIZED = 15_998
"""Texts that are tokenized in both ways, as many as in the tutorial's train split."""
WAYS = ("ours", "tutorial")
PROCESSES = 3
"""Processes of each way, in alternation."""


class Repeated(Sequence[str]):
    """A number of documents in an order that looks random, made of fewer texts that repeat."""

    def __init__(self, texts: list[str], documents: int) -> None:
        self.texts, self.documents = texts, documents
        self.order = np.random.default_rng(0).integers(0, len(texts), documents, "int32")

    def __len__(self) -> int:
        return self.documents

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            return [self.texts[i] for i in self.order[index]]
        return str(self.texts[self.order[index]])

    def __iter__(self) -> Iterator[str]:
        return (self.texts[i] for i in self.order)


def main(
    sizes: tuple[int, ...] = SIZES,
    record: Path = Path("results/scale.json"),
    only: str | None = None,
) -> None:
    """Measures each size, and both ways to tokenize, and writes a record.

    Args:
      sizes: the numbers of documents.
      record: the JSON file to write.
      only: measure only this size or way, in this process, and print the result as JSON.
    """
    if only is not None:
        print(json.dumps(tokenize(only) if only in WAYS else measure(int(only))))
        return
    cores = provenance.cpu_cores()
    load_before = machine.wait_until_quiet(cores)
    rows = [_in_a_process(str(documents)) for documents in sizes]
    tokenizing: dict[str, Any] = {"documents": TOKENIZED} | {way: [] for way in WAYS}
    for way in PROCESSES * WAYS:
        tokenizing[way].append(_in_a_process(way))
    content = machine.describe(cores, cores, None) | {
        "load_before": load_before,
        "rows": rows,
        "tokenizing": tokenizing,
    }
    atomic.write_json(record, content)
    print(f"record: {record}; python -m benchmarks.table makes the table")


def _in_a_process(only: str) -> dict[str, Any]:
    print(only, flush=True)
    printed = run_python(["-m", "benchmarks.scale", "--only", only])
    result: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return result


def measure(documents: int) -> dict[str, Any]:
    """Learn the vocabulary of that many documents, encode them and train on them.

    Returns:
      `documents`, and the costs of `learn`, `encode` and `train`: `us_per_document` and `peak_mb`.
    """
    backends.select()
    from benchmarks import timing
    from research.training.trainer import Trainer

    data = workload.load()
    texts = Repeated(data.texts, documents)
    labels = data.labels[texts.order]
    sequence_length = data.point.sequence_length
    trainer = Trainer(workload.network(data), "rmsprop", learning_rate=1e-3)
    costs: dict[str, Any] = {"documents": documents}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["RESEARCH_CACHE"] = cache  # so that nothing comes from an earlier run
        tokens.encode(data.texts[:100], data.vocabulary, sequence_length)  # imports
        with PeakMemory() as memory:
            seconds = timing.timed(lambda: tokens.learn_vocabulary(texts, workload.VOCABULARY_SIZE))
        costs["learn"] = _cost(seconds, documents, memory)
        with PeakMemory() as memory:
            started = time.perf_counter()
            token_ids = tokens.encode_cached(texts, data.vocabulary, sequence_length)
            seconds = time.perf_counter() - started
        costs["encode"] = _cost(seconds, documents, memory)
        order = np.random.default_rng(0).permutation(documents)
        epoch = trainer.epoch(token_ids, labels, order, data.point.batch_size)
        with PeakMemory() as memory:
            _until(epoch, STEPS)
            seconds = timing.timed(lambda: _until(epoch, 2 * STEPS))
        costs["train"] = _cost(seconds, STEPS * data.point.batch_size, memory)
    return costs


def _until(epoch: Iterator[tuple[int, Any]], steps: int) -> None:
    next(step for step, _ in epoch if step >= steps)


def _cost(seconds: float, documents: int, memory: PeakMemory) -> dict[str, float]:
    return {"us_per_document": 1e6 * seconds / documents, "peak_mb": memory.over_start_mb}


def tokenize(way: str) -> dict[str, float]:
    """Learn a vocabulary of `TOKENIZED` texts and encode them, in one of `WAYS`.

    Returns:
      `seconds` and `peak_mb`.
    """
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the tutorial's code runs on no other
    backends.select()
    from benchmarks import timing
    from benchmarks.peers import tutorial

    data = workload.load()
    texts = list(Repeated(data.texts, TOKENIZED))
    vocabulary_size, sequence_length = workload.VOCABULARY_SIZE, data.point.sequence_length

    def run(texts: list[str]) -> None:
        if way == "tutorial":
            tutorial.token_ids(texts, vocabulary_size, sequence_length)
        else:
            vocabulary = tokens.learn_vocabulary(texts, vocabulary_size)
            tokens.encode_cached(texts, vocabulary, sequence_length)

    with tempfile.TemporaryDirectory() as cache:
        os.environ["RESEARCH_CACHE"] = cache  # so that nothing comes from an earlier run
        run(data.texts[:100])  # imports what it needs
        with PeakMemory() as memory:
            seconds = timing.timed(lambda: run(texts))
    return {"seconds": seconds, "peak_mb": memory.over_start_mb}


if __name__ == "__main__":
    command.run(main)
