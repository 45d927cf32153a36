"""DOC."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.data import tokens
from research.processes import backends
from research.serving import runtimes, self_check


def run_alone(
    name: str,
    path: Path,
    given: Sequence[Any],
    timed: int = BATCH_SIZE,
    backend: str = "tensorflow",
) -> dict[str, Any]:
    """Runs an artefact in a fresh process, which has no more than the format needs.

    Args:
      name: the format.
      path: the artefact.
      given: texts, or the token ids of texts as lists of integers.
      timed: how many of the first make the batch that is timed.
      backend: Keras' backend, for a format that runs on any.

    Returns:
      `labels`, `probabilities` and `metadata`, and in `latency_ms` pairs of a number of texts and
      their median time in ms: for the first text, and for the batch.

    Raises:
      ValueError: it does not run.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "inputs.json"), Path(folder, "outputs.json")
        inputs.write_text(json.dumps({"given": given, "timed": timed}), "utf-8")
        process = subprocess.run(
            [sys.executable, "-I", __file__, name, *map(str, (path.resolve(), inputs, outputs))],
            env=os.environ | {"KERAS_BACKEND": backend},
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if process.returncode:
            raise ValueError(
                "expected the artefact to run in a process of its own, received exit code "
                f"{process.returncode} ({' '.join(process.stderr.strip().splitlines()[-1:])}); "
                "use another --format"
            )
        answer: dict[str, Any] = json.loads(outputs.read_bytes())
        return answer


TOLERANCE = 1e-5

WILD_TEXTS = (
    "",
    " \t\r\n\v\f ",
    "".join(map(chr, range(128))),
    "".join(map(chr, range(128, 0x250))),
    "don't-STOP... \u201cquoted\u201d \u2014 _under_score_ [UNK] [unk]",
    "non\u00a0breaking\u2003em\u2028line\u0085next\x1cfile\u3000wide\u200bzero",
    "\u0130STANBUL \u1e9eTRASSE \u212aELVIN \u01c5 \u03a3\u0399\u03a3\u03a5\u03a6\u039f\u03a3",
    "cafe\u0301 caf\u00e9 \U0001f469\u200d\U0001f680 \u05e9\u05dc\u05d5\u05dd \u4f60\u597d",
    "nul\0inside \0 \ufeffbom \ufffd \U0010ffff",
    "the " * 100_000,
    "x" * 1_000_000,
    "!" * 100_000 + "?a" * 100_000,
)


def _check(
    name: str,
    path: Path,
    classifier: "Classifier",
    texts: Sequence[str],
    expected: np.ndarray,
    metadata: dict[str, Any],
) -> list[tuple[int, float]]:
    """Runs the artefact in a fresh process; returns numbers of texts and their latency in ms.

    Args:
      name: the format.
      path: the artefact.
      classifier: the run.
      texts: what to run it on.
      expected: float32[texts, classes], the run's probabilities.
      metadata: what it must carry.

    Raises:
      ValueError: it does not run, or gives other probabilities, labels or metadata.
    """
    given: Sequence[Any] = texts
    if not runtimes.takes_texts(name):
        sequence_length = classifier.config.sequence_length
        given = tokens.encode(texts, classifier.vocabulary, sequence_length).tolist()
    # Where the format is Keras' and several backends are there, not the one that trained it.
    others = [b for b in backends.installed() if b != metadata["origin"]["backend"]]
    backend = (others or backends.installed())[-1]
    documents = min(len(texts) - len(WILD_TEXTS), runtimes.BATCH_SIZE)
    received = self_check.run_alone(name, path, given, documents, backend)
    difference = np.abs(np.array(received["probabilities"]) - expected).max()
    labels = [classifier.classes[i] for i in expected.argmax(axis=1)]
    wrong = sum(a != b for a, b in zip(received["labels"], labels, strict=True))
    if not difference <= TOLERANCE or wrong or received["metadata"] != metadata:
        raise ValueError(
            f"expected the run's probabilities within {TOLERANCE}, its labels and metadata, "
            f"received a difference of {difference:.1e}, {wrong} other labels and "
            f"{'equal' if received['metadata'] == metadata else 'other'} metadata; "
            "use another --format"
        )
    latency_ms: list[tuple[int, float]] = received["latency_ms"]
    return latency_ms
