"""Shows what a larger corpus costs: `python -m benchmarks.scale`.

Corpora of several sizes are made of the train split of `news20-bydate`, repeated and shuffled. Time
a document and memory should not depend on how many there are. As many texts as the tutorial has are
also made into integers as the tutorial does it. Each measurement has a fresh process.
"""

import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np
import tyro

from benchmarks import machine, timing, work
from research.data import tokens
from research.files import atomic
from research.processes import backends
from research.training.trainer import Trainer

SIZES = (20_000, 200_000, 1_000_000)
STEPS = 64
"""Training steps that are timed, after as many to warm up."""
TOKENIZED = 15_998
"""Texts that are made into integers in both ways: those of the tutorial's train split."""
WAYS = ("ours", "tutorial")
PROCESSES = 3
"""Of each way, one after the other in turn."""
_SAMPLE_S = 0.02


class Repeated(Sequence[str]):
    """Texts repeated to a number of documents, in an order that looks random; none is stored."""

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


class PeakMemory:
    """The largest private memory of this process within a `with`, in MB, over that at its start.

    Pages of mapped files don't count: the system takes them back whenever it needs room.
    """

    def __enter__(self) -> "PeakMemory":
        self.start_mb = self.peak_mb = _private_mb()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self.over_start_mb = self.peak_mb - self.start_mb

    def _watch(self) -> None:
        while not self._end.wait(_SAMPLE_S):
            self.peak_mb = max(self.peak_mb, _private_mb())


def _private_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise OSError("expected RssAnon in /proc/self/status, received none; run this on Linux")


def measure(documents: int) -> dict[str, Any]:
    """Learns the vocabulary of `documents` texts, encodes them and trains on them."""
    backends.select()
    from benchmarks import check
    # LAZY IMPORTS

    loaded = work.load(50, quick=False)
    texts = Repeated(loaded.texts, documents)
    labels = loaded.labels[texts.order]
    model = check.model(loaded)
    trainer = Trainer(model, "rmsprop", learning_rate=1e-3)
    found: dict[str, Any] = {"documents": documents}
    with tempfile.TemporaryDirectory() as cache:
        os.environ["RESEARCH_CACHE"] = cache  # so that nothing comes from an earlier run
        tokens.encode(loaded.texts[:100], loaded.vocabulary, work.SEQUENCE_LENGTH)
        with PeakMemory() as memory:
            seconds = timing.timed(lambda: tokens.learn_vocabulary(texts, work.VOCABULARY_SIZE))
        found["learn"] = _cost(seconds, documents, memory)
        with PeakMemory() as memory:
            started = time.perf_counter()
            token_ids = tokens.encode_cached(texts, loaded.vocabulary, work.SEQUENCE_LENGTH)
            seconds = time.perf_counter() - started
        found["encode"] = _cost(seconds, documents, memory)
        order = np.random.default_rng(0).permutation(documents)
        epoch = trainer.epoch(token_ids, labels, order, work.BATCH_SIZE)
        with PeakMemory() as memory:
            _until(epoch, STEPS)
            seconds = timing.timed(lambda: _until(epoch, 2 * STEPS))
        found["train"] = _cost(seconds, STEPS * work.BATCH_SIZE, memory)
    return found


def tokenize(way: str) -> dict[str, float]:
    """Learns a vocabulary and makes `TOKENIZED` texts into integers, in one of `WAYS`."""
    os.environ["KERAS_BACKEND"] = "tensorflow"  # the tutorial's code runs on no other
    backends.select()
    from benchmarks import peers_tutorial

    loaded = work.load(50, quick=False)
    texts = list(Repeated(loaded.texts, TOKENIZED))
    sizes = work.VOCABULARY_SIZE, work.SEQUENCE_LENGTH

    def ours(texts: list[str]) -> None:
        tokens.encode_cached(texts, tokens.learn_vocabulary(texts, sizes[0]), sizes[1])

    def tutorial(texts: list[str]) -> None:
        peers_tutorial.token_ids(texts, *sizes)

    run = {"ours": ours, "tutorial": tutorial}[way]
    with tempfile.TemporaryDirectory() as cache:
        os.environ["RESEARCH_CACHE"] = cache  # so that nothing comes from an earlier run
        run(loaded.texts[:100])  # imports what it needs
        with PeakMemory() as memory:
            seconds = timing.timed(lambda: run(texts))
    return {"seconds": seconds, "peak_mb": memory.over_start_mb}


def main(
    sizes: tuple[int, ...] = SIZES,
    record: Path = Path("results/scale.json"),
    only: str | None = None,
) -> None:
    """Measures each size, and both ways to make integers, and writes a record.

    Args:
      sizes: documents.
      record: the JSON file to write.
      only: measure this one size, or this way, in this process, and print the result as JSON.
    """
    if only is not None:
        print(json.dumps(tokenize(only) if only in WAYS else measure(int(only))))
        return
    cores = machine.cores()
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
    print(f"record: {record}")


def _in_a_process(only: str) -> dict[str, Any]:
    print(only, flush=True)
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks.scale", "--only", only],
        capture_output=True,
        text=True,
        check=False,
    )
    if answer.returncode:
        raise ValueError(
            f"expected the process to succeed, received: {answer.stderr.strip()[-500:]}; "
            f"run it alone: python -m benchmarks.scale --only {only}"
        )
    found: dict[str, Any] = json.loads(answer.stdout.splitlines()[-1])
    return found


def _until(epoch: Iterator[tuple[int, Any]], steps: int) -> None:
    next(step for step, _ in epoch if step >= steps)


def _cost(seconds: float, documents: int, memory: PeakMemory) -> dict[str, float]:
    return {"us_per_document": 1e6 * seconds / documents, "peak_mb": memory.over_start_mb}


if __name__ == "__main__":
    try:
        tyro.cli(main, prog="python -m benchmarks.scale")
    except (ValueError, OSError) as error:
        sys.exit("error: " + " ".join(str(error).split()))
