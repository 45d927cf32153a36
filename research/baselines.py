"""Trains what a sceptic would try first, and writes records: `python -m research.baselines CORPUS`.

Linear models on bags of words, naive Bayes and fastText, on the splits that the networks have. They
learn from the train split; their one hyperparameter is chosen on the validation split, and the test
split is opened once for each. A corpus without a test split is scored on validation, and so nothing
is chosen there: the default counts. `results/runs/baselines/CORPUS/` gets a record for each.
"""

import datetime
import importlib.metadata
import importlib.util
import os
import platform
import shlex
import sys
from pathlib import Path
from typing import Any

import numpy as np

from research.data import corpora, tokens
from research.data.corpora import Split
from research.files import atomic
from research.processes import backends, command, provenance

PACKAGES = ("scikit-learn", "scipy", "numpy", "fasttext-community")
CONFUSED_SHOWN = 10


def main(
    corpus: str, /, corpus_path: Path | None = None, results: Path = Path("results/runs/baselines")
) -> None:
    """Trains all baselines on a corpus and writes a record of each.

    Args:
      corpus: its name, as in `python -m research.train --corpus`.
      corpus_path: your own texts; or news20.tar.gz, which is fetched otherwise.
      results: where records go: in here, into a folder named after the corpus.
    """
    backends.select()  # the tokenizer is Keras's
    loaded = corpora.load(corpus, corpus_path, splits=None)
    splits = loaded.splits
    chooses = "test" in splits
    seen = {sizes: _truncated(splits, *sizes) for b in BASELINES if (sizes := b.seen)}
    for baseline in BASELINES:
        if baseline.method == "fasttext" and not importlib.util.find_spec("fasttext"):
            print("fasttext: left out; pip install fasttext-community to have it")
            continue
        if baseline.refitted and not chooses:
            continue
        environment = _environment()
        as_seen = seen[baseline.seen] if baseline.seen else splits
        scored = run(baseline, as_seen, loaded.class_names)
        record = {
            "config": {"corpus": corpus, **scored["config"]},
            "data": {
                "corpus": loaded.name,
                "corpus_digest": loaded.digest,
                "class_names": loaded.class_names,
                "examples": {name: len(split.texts) for name, split in splits.items()},
            },
            "environment": [environment],
            "metrics": scored["metrics"],
            "history": scored["history"],
        }
        path = results / corpus / f"{baseline.name}.json"
        atomic.write_json(path, record)
        scores = record["metrics"]
        print(f"{scores['split']} accuracy {scores['accuracy']:.4f}: {path}", flush=True)


def _truncated(
    splits: dict[str, Split], vocabulary_size: int, sequence_length: int
) -> dict[str, Split]:
    """Returns the same splits with texts as a network sees them."""
    vocabulary = tokens.learn_vocabulary(splits["train"].texts, vocabulary_size)
    words = np.array(vocabulary, object)
    found = {}
    for name, split in splits.items():
        ids = tokens.encode_cached(split.texts, vocabulary, sequence_length)
        found[name] = Split(name, [" ".join(words[row[row > 0]]) for row in ids], split.labels)
    return found


def _environment() -> dict[str, Any]:
    installed = {distribution.name for distribution in importlib.metadata.distributions()}
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", "-m", "research.baselines", *sys.argv[1:]]),
        "commit": provenance.commit(),
        "backend": "scikit-learn",
        "device": "cpu",
        "versions": {p: importlib.metadata.version(p) for p in PACKAGES if p in installed},
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": provenance.processor(),
        "cpu_cores": os.cpu_count(),
    }


if __name__ == "__main__":
    command.run(main)
