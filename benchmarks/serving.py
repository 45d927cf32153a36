"""Shows how fast the artefacts of a run answer: `python -m benchmarks.serving RUN`.

Each artefact runs in fresh processes, as the check of `research.export` does. Beside them stand the
run itself and `model.predict` on each installed backend, and scikit-learn's TF-IDF with a linear
SVM, which gives labels alone.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import tyro

import research
from benchmarks import machine
from benchmarks import run as suite
from research.data import corpora, tokens
from research.files import atomic
from research.processes import backends
from research.serving import formats, runtimes, self_check
from research.config import Config

PROCESSES = 3
"""How many of each, all in a random order."""

PREDICT, MODEL_PREDICT = "research.load(RUN).predict", "model.predict"
SKLEARN = "scikit-learn, TF-IDF and LinearSVC"


def main(
    run: Path,
    /,
    cores: int = 2,
    record: Path = Path("results/serving.json"),
    only: str | None = None,
) -> None:
    """Exports a run to every format that can be had here, times each, and writes a record.

    Args:
      run: the run folder that `python -m research.train` printed.
      cores: how many to use.
      record: the JSON file to write.
      only: time this one in this process, on the backend that is set, and print it as JSON.
    """
    if only is not None:
        print(json.dumps(_reference(only, run)))
        return
    cores_used = machine.use_cores(cores)
    os.environ.update(machine.settings(cores))
    load_before = machine.wait_until_quiet(cores)
    config, texts = Config.read(run), _texts(run)
    vocabulary = tokens.read_vocabulary(run / "vocabulary.txt")
    token_ids = tokens.encode(texts, vocabulary, config.sequence_length).tolist()

    rows: dict[str, dict[str, Any]] = {}
    jobs = []
    for name, takes, on in (
        (SKLEARN, "texts", backends.installed()[:1]),
        (PREDICT, "texts", backends.installed()),
        (MODEL_PREDICT, "token ids", backends.installed()),
    ):
        for backend in on:
            title = name if name == SKLEARN else f"{name}, {backend}"
            rows[title] = {"takes": takes, "latency_ms": []}
            jobs.append((title, partial(_in_process, name, run, backend)))
    with tempfile.TemporaryDirectory() as folder:
        for name, artefact in formats.FORMATS.items():
            path = Path(folder) / f"{name}{artefact.suffix}"
            takes = "texts" if runtimes.takes_texts(name) else "token ids"
            rows[name] = {"takes": takes, "latency_ms": []}
            print(f"exporting {name}", flush=True)
            exported = _python("research.export", run, "--format", name, "--output", path)
            if exported.returncode:
                rows[name]["left_out"] = exported.stderr.strip().splitlines()[-1]
                continue
            files = [file for file in [path, *path.rglob("*")] if file.is_file()]
            rows[name]["size_mb"] = sum(file.stat().st_size for file in files) / 1e6
            given = texts if takes == "texts" else token_ids
            jobs.append((name, partial(_artefact, name, path, given)))
        jobs *= PROCESSES
        random.Random(0).shuffle(jobs)
        for number, (title, job) in enumerate(jobs, start=1):
            print(f"[{number}/{len(jobs)}] {title}", flush=True)
            rows[title]["latency_ms"].append(job())
    content = {
        "run": {"model": config.model, "corpus": config.corpus, "texts": len(texts)},
        "machine": machine.describe(machine.cores(), cores, cores_used),
        "load_before": load_before,
        "doubts": suite.doubts(load_before, machine.cores(), []),
        "processes": PROCESSES,
        "rows": [{"name": name, **row} for name, row in rows.items()],
    }
    atomic.write_json(record, content)
    print(f"record: {record}; python -m benchmarks.table makes the table")


def _python(module: str, *arguments: object, **environment: str) -> Any:
    return subprocess.run(
        [sys.executable, "-m", module, *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def _artefact(name: str, path: Path, given: list[Any]) -> Any:
    return self_check.run_alone(name, path, given)["latency_ms"]


def _in_process(name: str, run: Path, backend: str) -> Any:
    answer = _python("benchmarks.serving", run, "--only", name, KERAS_BACKEND=backend)
    if answer.returncode:
        raise ValueError(
            f"expected the process to succeed, received: {answer.stderr.strip()[-500:]}; "
            f"run it alone: python -m benchmarks.serving {run} --only '{name}'"
        )
    return json.loads(answer.stdout.splitlines()[-1])


def _corpus(run: Path) -> corpora.Corpus:
    config = Config.read(run)
    return corpora.load(
        config.corpus,
        config.corpus_path,
        text_column=config.text_column,
        label_column=config.label_column,
        split_column=config.split_column,
    )


def _texts(run: Path) -> list[str]:
    return _corpus(run).splits["validation"].texts[: runtimes.BATCH_SIZE]


def _reference(name: str, run: Path) -> list[tuple[int, float]]:
    """Returns the latency of what artefacts are compared with, by number of texts."""
    if name == SKLEARN:
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.pipeline import make_pipeline
        from sklearn.svm import LinearSVC

        train = _corpus(run).splits["train"]
        linear = make_pipeline(TfidfVectorizer(sublinear_tf=True), LinearSVC())
        linear.fit(train.texts, train.labels)
        return runtimes.latency_ms(linear.predict, _texts(run))
    classifier = research.load(run)
    if name == PREDICT:
        return runtimes.latency_ms(classifier.predict, _texts(run))
    length = classifier.config.sequence_length
    token_ids = tokens.encode(_texts(run), classifier.vocabulary, length)
    predict = partial(classifier.model.predict, batch_size=len(token_ids), verbose=0)
    return runtimes.latency_ms(predict, token_ids)


if __name__ == "__main__":
    try:
        tyro.cli(main, prog="python -m benchmarks.serving")
    except (ValueError, OSError) as error:
        sys.exit("error: " + " ".join(str(error).split()))
