"""Shows how fast the artefacts of a run answer: `python -m benchmarks.serving RUN`.

Each artefact runs in fresh processes, as in the check of `research.export`. The same is measured
for the run itself and for `model.predict` on each installed backend, and for scikit-learn's TF-IDF
with a linear SVM, which returns labels without probabilities.
"""

import json
import os
import random
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import research
from benchmarks import machine
from research.config import Config
from research.data import corpora, tokens
from research.files import atomic
from research.processes import backends, command, provenance
from research.processes.child import ChildFailed, run_python
from research.serving import runtimes, self_check

PROCESSES = 3
"""Processes of each row, all in a random order."""

PREDICT, MODEL_PREDICT = "research.load(RUN).predict", "model.predict"
SKLEARN = "scikit-learn, TF-IDF and LinearSVC"

Latency = list[tuple[int, float]]
"""What `runtimes.latency_ms` returns: numbers of texts, and milliseconds."""


@dataclass(frozen=True)
class Candidate:
    """Something that answers.

    Attributes:
      row: its row of the record, whose `latency_ms` has a `Latency` for each process.
      measure: measures it in a fresh process; None if it cannot be measured.
    """

    row: dict[str, Any]
    measure: Callable[[], Latency] | None


def main(
    run: Path,
    /,
    cores: int = 2,
    record: Path = Path("results/serving.json"),
    only: str | None = None,
) -> None:
    """Exports a run to every format that is possible here, times each, and writes a record.

    Args:
      run: the run folder that `python -m research.train` printed.
      cores: how many to use.
      record: the JSON file to write.
      only: time only this row, in this process and on its backend, and print the result as JSON.
    """
    if only is not None:
        print(json.dumps(_latency_without_artefact(only, run)))
        return
    config, texts = Config.read(run), _texts(run)
    cores_used = machine.use_cores(cores)
    os.environ.update(machine.settings(cores))
    load_before = machine.wait_until_quiet(cores)
    with tempfile.TemporaryDirectory() as folder:
        candidates = [*_without_artefact(run), *_artefacts(run, texts, Path(folder))]
        jobs = [(c.row, c.measure) for c in candidates if c.measure] * PROCESSES
        random.Random(0).shuffle(jobs)
        for number, (row, measure) in enumerate(jobs, start=1):
            print(f"[{number}/{len(jobs)}] {row['name']}", flush=True)
            row["latency_ms"].append(measure())
    content = {
        "run": {"model": config.model, "corpus": config.corpus, "texts": len(texts)},
        "machine": machine.describe(provenance.cpu_cores(), cores, cores_used),
        "load_before": load_before,
        "doubts": machine.doubts(load_before, provenance.cpu_cores(), []),
        "processes": PROCESSES,
        "rows": [candidate.row for candidate in candidates],
    }
    atomic.write_json(record, content)
    print(f"record: {record}; python -m benchmarks.table makes the table")


def _without_artefact(run: Path) -> list[Candidate]:
    """Return what artefacts are compared with."""
    installed = backends.installed()
    found = []
    for name, takes, on in (
        (SKLEARN, "texts", installed[:1]),
        (PREDICT, "texts", installed),
        (MODEL_PREDICT, "token ids", installed),
    ):
        for backend in on:
            title = name if name == SKLEARN else f"{name}, {backend}"
            row = {"name": title, "takes": takes, "latency_ms": []}
            found.append(Candidate(row, partial(_in_a_process, name, run, backend)))
    return found


def _artefacts(run: Path, texts: list[str], folder: Path) -> list[Candidate]:
    """Export a run to every format, into a folder. What fails is `left_out`, with the reason."""
    vocabulary = tokens.read_vocabulary(run / "vocabulary.txt")
    token_ids = tokens.encode(texts, vocabulary, Config.read(run).sequence_length).tolist()
    found = []
    for name, runtime in runtimes.RUNTIMES.items():
        takes = "texts" if runtime.takes_texts else "token ids"
        row: dict[str, Any] = {"name": name, "takes": takes, "latency_ms": []}
        path = folder / f"{name}{runtime.suffix}"
        print(f"exporting {name}", flush=True)
        try:
            run_python(["-m", "research.export", run, "--format", name, "--output", path])
        except ChildFailed as error:
            found.append(Candidate(row | {"left_out": error.reason}, None))
            continue
        files = [file for file in [path, *path.rglob("*")] if file.is_file()]
        row["size_mb"] = sum(file.stat().st_size for file in files) / 1e6
        given = texts if runtime.takes_texts else token_ids
        found.append(Candidate(row, partial(_latency_of_artefact, name, path, given)))
    return found


def _in_a_process(name: str, run: Path, backend: str) -> Latency:
    arguments = ["-m", "benchmarks.serving", run, "--only", name]
    printed = run_python(arguments, {"KERAS_BACKEND": backend})
    latency: Latency = json.loads(printed.splitlines()[-1])
    return latency


def _latency_of_artefact(name: str, path: Path, given: list[Any]) -> Latency:
    latency: Latency = self_check.run_alone(name, path, given)["latency_ms"]
    return latency


def _latency_without_artefact(name: str, run: Path) -> Latency:
    """Measure one of `SKLEARN`, `PREDICT` and `MODEL_PREDICT` in this process."""
    texts = _texts(run)
    if name == SKLEARN:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline
        from sklearn.svm import LinearSVC

        train = corpora.load(Config.read(run).corpus_source).splits["train"]
        linear = make_pipeline(TfidfVectorizer(sublinear_tf=True), LinearSVC())
        linear.fit(train.texts, train.labels)
        return runtimes.latency_ms(linear.predict, texts)
    classifier = research.load(run)
    if name == PREDICT:
        return runtimes.latency_ms(classifier.predict, texts)
    token_ids = tokens.encode(texts, classifier.vocabulary, classifier.config.sequence_length)
    predict = partial(classifier.model.predict, batch_size=len(token_ids), verbose=0)
    return runtimes.latency_ms(predict, token_ids)


def _texts(run: Path) -> list[str]:
    """Return the first texts of the validation split, as many as are timed as one batch."""
    source = Config.read(run).corpus_source
    return corpora.load(source).splits["validation"].texts[: runtimes.BATCH_SIZE]


if __name__ == "__main__":
    command.run(main)
