"""Shows how long a classifier takes to become accurate: `python -m benchmarks.time_to_accuracy`.

The accuracy to reach is that of scikit-learn's TF-IDF with a linear SVM, which learns from the same
texts and is scored on the same validation texts. No run is picked, and none is left out. Mattson et
al. 2020, "MLPerf Training Benchmark", https://arxiv.org/abs/1910.01500.

The clock starts when the texts are in memory and the libraries are imported. Only the word vectors
come from the cache; vocabulary and token ids are made anew. Each run has a fresh process.
"""

import datetime
import importlib
import json
import os
import random
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import machine
from research import experiments, train
from research.config import Config
from research.data import corpora, tokens, word_vectors
from research.data.corpora import Corpus, Split
from research.files import atomic, cache
from research.models import linear, registry
from research.processes import backends, command, provenance
from research.processes.child import ChildFailed, run_python
from research.processes.choices import choose
from research.processes.memory import keep_freed_memory
from research.training import epochs
from research.training.checkpoints import Position

SVM, LINEAR = "scikit-learn", "linear part"
"""Contenders besides the whole model, which is named after its backend."""
EXPERIMENTS = {"news20-bydate": "newsgroups-best", "news20": "tutorial-best"}
"""The experiment that is run, by corpus."""
TINY = "tiny"
"""A corpus of made-up texts."""
HANG_S = 7200
"""Seconds after which a process counts as hung."""


def main(
    runs: int = 3,
    cores: int = 2,
    tiny: bool = False,
    news20: Path | None = None,
    record: Path | None = None,
    only: str | None = None,
    corpus: str = TINY,
    seed: int = 0,
    target: float = 0.0,
) -> None:
    """Times how long each contender takes to the accuracy of LinearSVC, and writes a record.

    Args:
      runs: how often each contender runs, with the seeds 0, 1, 2 and so on.
      cores: how many to use.
      tiny: take made-up texts, to see that everything runs; the times mean nothing.
      news20: the archive news20.tar.gz; by default it is fetched.
      record: the JSON file to write; by default results/time_to_accuracy.json, with --tiny
        runs/benchmarks/time_to_accuracy.json.
      only: run only this contender, in this process, and print the result as JSON: scikit-learn,
        linear part, or the backend of this process.
      corpus: of --only.
      seed: of --only.
      target: of --only, the accuracy to reach.
    """
    if only is not None:
        print(json.dumps(measure(only, corpus, seed, target, news20)))
        return
    if runs < 1:
        raise ValueError(f"expected --runs of 1 or more, received {runs}; use 3")
    path = record or Path("runs/benchmarks" if tiny else "results") / "time_to_accuracy.json"
    started, all_cores, cores_used = _now(), provenance.cpu_cores(), machine.use_cores(cores)
    os.environ.update(machine.settings(cores))
    names = [TINY] if tiny else list(EXPERIMENTS)
    about = {name: _about(name, news20) for name in names}  # also downloads what is missing
    load_before = machine.load_average() if tiny else machine.wait_until_quiet(cores)
    for name in names:
        fitted = _in_a_process(SVM, name, 0, 0.0, news20)
        about[name]["target"] = fitted["checks"][-1]["accuracy"]

    jobs = [
        (name, contender, seed)
        for name in names
        for contender in (SVM, LINEAR, *backends.installed())
        for seed in range(runs)
    ]
    order = random.Random(0).sample(range(len(jobs)), len(jobs))
    rows: dict[int, dict[str, Any]] = {}
    for number, place in enumerate(order, start=1):
        name, contender, of_run = jobs[place]
        print(f"[{number}/{len(jobs)}] {name}: {contender}, seed {of_run}", flush=True)
        rows[place] = _row(contender, name, of_run, about[name]["target"], news20)
    in_order = [rows[place] for place in range(len(jobs))]
    content = {
        "method": {
            "command": shlex.join(["python", "-m", "benchmarks.time_to_accuracy", *sys.argv[1:]]),
            "started": started,
            "finished": _now(),
            "seeds": list(range(runs)),
            "order": [list(jobs[place]) for place in order],
        },
        "corpora": about,
        "machine": machine.describe(all_cores, cores, cores_used),
        "load_before": load_before,
        "doubts": machine.doubts(load_before, all_cores, []),
        "rows": in_order,
    }
    atomic.write_json(path, content)
    print(f"record: {path}; python -m benchmarks.table makes the table")
    failed = [row for row in in_order if "failed" in row]
    if failed:
        first = failed[0]
        raise ValueError(
            f"expected {len(jobs)} runs, received {len(jobs) - len(failed)}; the first that failed "
            f"is {first['contender']} on {first['corpus']}, seed {first['seed']}: {first['failed']}"
        )


def _row(
    contender: str, corpus: str, seed: int, target: float, news20: Path | None
) -> dict[str, Any]:
    """Return a row of the record. That of a process that failed has the reason instead of times."""
    row = {"corpus": corpus, "contender": contender, "seed": seed, "target": target}
    try:
        return row | _in_a_process(contender, corpus, seed, target, news20)
    except ChildFailed as error:
        return row | {"failed": error.reason}


def _in_a_process(
    contender: str, corpus: str, seed: int, target: float, news20: Path | None
) -> dict[str, Any]:
    backend = contender if contender in backends.BACKENDS else backends.installed()[0]
    arguments = ["-m", "benchmarks.time_to_accuracy", "--only", contender, "--corpus", corpus]
    arguments += ["--seed", str(seed), "--target", repr(target)]
    arguments += ["--news20", str(news20)] if news20 else []
    started = time.perf_counter()
    printed = run_python(arguments, {"KERAS_BACKEND": backend}, timeout_s=HANG_S)
    process_s = time.perf_counter() - started
    result: dict[str, Any] = json.loads(printed.splitlines()[-1])
    return result | {"process_s": process_s}


def _now() -> str:
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


# --- the texts -----------------------------------------------------------------------------------


def _about(name: str, news20: Path | None) -> dict[str, Any]:
    """Return what a record says about a corpus, and fetch the corpus and the vectors."""
    corpus, config = _corpus(name, news20), _config(name, news20)
    return {
        "digest": corpus.digest,
        "experiment": EXPERIMENTS.get(name),
        "train_on": config.train_on,
        "examples": {split: len(corpus.splits[split].texts) for split in corpus.splits},
        "vectors": config.vectors,
        "vectors_digest": word_vectors.load_vectors(config.vectors).digest,
        "most_epochs": config.epochs,
        "patience": config.patience,
    }


def _config(name: str, news20: Path | None = None) -> Config:
    """Return the options of the model for a corpus."""
    if choose("--corpus", name, [*EXPERIMENTS, TINY]) != TINY:
        config = experiments.get(EXPERIMENTS[name])
        return replace(config, corpus_path=news20) if name == "news20" else config
    best = experiments.get("best")
    return replace(best, vectors="random.8d", vocabulary_size=100, sequence_length=30, epochs=2)


def _corpus(name: str, news20: Path | None = None) -> Corpus:
    """Return a corpus, whose train and validation are what is learned from and what is held out.

    Where the experiment scores validation, a tenth of train is held out instead.
    """
    config = _config(name, news20)
    corpus = _made_up() if name == TINY else corpora.load(config.corpus_source)
    learned, held_out = train.divide(corpus, config)
    return replace(corpus, splits={"train": learned, "validation": held_out})


def _made_up() -> Corpus:
    """Return texts of 20 words, of which a third are typical of the class."""
    generator = np.random.default_rng(0)
    labels = np.arange(240, dtype="int32") % 3
    words = generator.integers(0, 40, (len(labels), 20))
    is_typical = generator.random(words.shape) < 1 / 3
    words = np.where(is_typical, 40 + 10 * labels[:, None] + words % 10, words)
    texts = [" ".join(f"word{word}" for word in row) for row in words]
    splits = {
        "train": Split("train", texts[:180], labels[:180]),
        "validation": Split("validation", texts[180:], labels[180:]),
    }
    return Corpus(TINY, "made-up texts", ["a", "b", "c"], splits, digest=TINY)


# --- a process -----------------------------------------------------------------------------------


def measure(
    contender: str, name: str, seed: int, target: float, news20: Path | None = None
) -> dict[str, Any]:
    """Run a contender in this process until it reaches the accuracy.

    Args:
      contender: `SVM`, `LINEAR`, or the backend of this process.
      name: of the corpus.
      seed: of the model, and of the linear SVM.
      target: the accuracy.
      news20: the archive of the corpus `news20`; None to fetch it.

    Returns:
      `seconds` in total and in `parts`; `checks`, the accuracy after each epoch, with 0 before the
      first, and the seconds since the start; `reached`; `imports_s`, which no part has; and
      `processor_s`, those of the whole process since its start, of all its threads.

    Raises:
      ValueError: the contender is not known, or not the backend of this process.
    """
    backend = backends.select()
    if contender not in (SVM, LINEAR, backend):
        raise ValueError(
            f"expected --only of {SVM!r}, {LINEAR!r} or the backend {backend!r}, received "
            f"{contender!r}; choose one, or set KERAS_BACKEND"
        )
    keep_freed_memory()
    corpus = _corpus(name, news20)
    config = replace(_config(name), train_on="train", seed=seed)
    started = time.perf_counter()
    _import(contender, config)
    imports_s = time.perf_counter() - started
    with _nothing_cached_but_vectors():
        if contender == SVM:
            parts, checks = _svm(corpus, seed)
        elif contender == LINEAR:
            parts, checks = _linear_part(corpus, config)
        else:
            parts, checks = _whole_model(corpus, config, target)
    return {
        "seconds": sum(parts.values()),
        "parts": parts,
        "checks": checks,
        "reached": has_reached(checks, target),
        "imports_s": imports_s,
        "processor_s": time.process_time(),
    }


def has_reached(checks: list[dict[str, Any]], target: float) -> bool:
    """Return whether the last accuracy is at least the target, except for rounding."""
    return bool(checks[-1]["accuracy"] >= target - 1e-9)


def _import(contender: str, config: Config) -> None:
    """Import what a contender needs; TensorFlow, which only tokenizes, also starts."""
    modules = ["sklearn.feature_extraction.text", "sklearn.svm"]
    if contender != SVM:
        modules = ["sklearn.feature_extraction.text", "sklearn.linear_model", "scipy.sparse"]
        tokens.encode(["a"], [*tokens.SPECIAL_WORDS, "a"], 1)
    if contender not in (SVM, LINEAR):
        modules += ["research.training.trainer", "research.training.experts", "scipy.optimize"]
        modules += [registry.MODELS[config.model].module]
    for module in modules:
        importlib.import_module(module)


@contextmanager
def _nothing_cached_but_vectors() -> Iterator[None]:
    """Give this process a new cache that holds the word vectors alone."""
    usual, vectors = os.environ.get("RESEARCH_CACHE"), cache.cache_dir() / "vectors"
    with tempfile.TemporaryDirectory() as folder:
        if vectors.is_dir():
            (Path(folder) / "vectors").symlink_to(vectors.resolve(), target_is_directory=True)
        os.environ["RESEARCH_CACHE"] = folder
        try:
            yield
        finally:
            os.environ["RESEARCH_CACHE"] = usual or ""  # an empty one counts as none


Timed = tuple[dict[str, float], list[dict[str, Any]]]
"""The seconds of each part, and the checks."""


def _svm(corpus: Corpus, seed: int) -> Timed:
    """Run scikit-learn. Unlike ours, its time ends before the check."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.svm import LinearSVC

    learned, held_out = corpus.splits["train"], corpus.splits["validation"]
    vectorizer, svm = TfidfVectorizer(sublinear_tf=True), LinearSVC(random_state=seed)
    started = time.perf_counter()
    features = vectorizer.fit_transform(learned.texts)
    vectorized = time.perf_counter()
    svm.fit(features, learned.labels)
    finished = time.perf_counter()
    predictions = svm.predict(vectorizer.transform(held_out.texts))
    accuracy = float((predictions == held_out.labels).mean())
    parts = {"tokens": vectorized - started, "linear part": finished - vectorized}
    return parts, [{"epoch": 0, "seconds": finished - started, "accuracy": accuracy}]


def _linear_part(corpus: Corpus, config: Config) -> Timed:
    """Run the linear part of our model, without a network."""
    started = time.perf_counter()
    data = train.prepare_data(corpus, config)
    prepared = time.perf_counter()
    classifier = train.fit_linear_part(config, data)
    predictions = linear.scores(classifier, data.validation_ids).argmax(axis=1)
    accuracy = float((predictions == data.validation_labels).mean())
    finished = time.perf_counter()
    parts = _preparation(data, prepared - started) | {"linear part": finished - prepared}
    return parts, [{"epoch": 0, "seconds": finished - started, "accuracy": accuracy}]


def _whole_model(corpus: Corpus, config: Config, target: float) -> Timed:
    """Train our model as `research.train` does, without checkpoints, until it is accurate."""
    started = time.perf_counter()
    data = train.prepare_data(corpus, config)
    prepared = time.perf_counter()
    model, linear_s = train.build_model(config, data)
    trainer = train.build_trainer(config, model, data)
    built = time.perf_counter()
    checks: list[dict[str, Any]] = []

    def check(epoch: int) -> dict[str, Any]:
        scores = train.validation_scores(model, data, config)
        seconds = time.perf_counter() - started
        accuracy = scores["validation_accuracy"]
        checks.append({"epoch": epoch, "seconds": seconds, "accuracy": accuracy})
        return {"epoch": epoch, **scores}

    check(0)
    position = Position()
    while not has_reached(checks, target) and not position.is_complete(
        config.epochs, config.patience
    ):
        order = train.epoch_order(config.seed, position.epoch, len(data.labels))
        for _ in trainer.epoch(data.token_ids, data.labels, order, config.batch_size):
            pass
        history = [*position.history, check(position.epoch + 1)]
        best_epoch = epochs.best(history, config.monitor)["epoch"]
        position = Position(position.epoch + 1, best_epoch=best_epoch, history=history)
    parts = _preparation(data, prepared - started) | {
        "linear part": linear_s,
        "building": built - prepared - linear_s,
        "epochs": checks[-1]["seconds"] - (built - started),
    }
    return parts, checks


def _preparation(data: train.Data, seconds: float) -> dict[str, float]:
    """Return the parts of preparing data. `tokens` also has the search for doubts."""
    return {"tokens": seconds - data.vectors_seconds, "vectors": data.vectors_seconds}


if __name__ == "__main__":
    command.run(main)
