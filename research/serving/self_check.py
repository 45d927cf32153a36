"""Whether an artefact answers as its run does, in a process that lacks this package."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.data import corpora, tokens
from research.processes import backends
from research.processes.child import ChildFailed, run_python
from research.serving import runtimes
from research.serving.runtimes import RUNTIMES

TOLERANCE = 1e-5
"""The largest accepted difference of a probability."""

EDGE_CASES = (
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
"""Texts that a tokenizer may get wrong."""

_DOCUMENTS = 1_000


def texts_to_check(source: corpora.CorpusSource, vocabulary: Sequence[str]) -> list[str]:
    """Return 1,000 documents of the validation and train splits, or all of fewer, and `EDGE_CASES`.

    The texts of a corpus in memory are gone, so texts of random words of the run replace them.

    Lone surrogates, which artefacts do not accept, become `?`.

    Args:
      source: the corpus of the run.
      vocabulary: the words of the run.
    """
    if source.name == corpora.IN_MEMORY:
        documents = _made_of(vocabulary[len(tokens.SPECIAL_WORDS) :])
    else:
        splits = corpora.load(source).splits
        documents = [*splits["validation"].texts, *splits["train"].texts][:_DOCUMENTS]
    return [text.encode("utf-8", "replace").decode() for text in documents] + [*EDGE_CASES]


def _made_of(words: Sequence[str]) -> list[str]:
    """Return 1,000 texts of 1 to 200 random words, always the same."""
    generator = np.random.default_rng(0)
    drawn = [
        generator.integers(len(words), size=generator.integers(1, 201)) for _ in range(_DOCUMENTS)
    ]
    return [" ".join(words[word] for word in of_text) for of_text in drawn]


def check(
    name: str, path: Path, texts: Sequence[str], expected: np.ndarray, metadata: dict[str, Any]
) -> list[tuple[int, float]]:
    """Run an artefact on texts and compare it with its run.

    Args:
      name: the format.
      path: the artefact.
      texts: what `texts_to_check` returned.
      expected: float32[texts, classes], the run's probabilities.
      metadata: what the artefact must carry.

    Returns:
      the artefact's latency, as `runtimes.latency_ms` does.

    Raises:
      ValueError: it does not run, or gives other probabilities, labels or metadata.
    """
    given: Sequence[Any] = texts
    if not RUNTIMES[name].takes_texts:
        options = metadata["origin"]["options"]
        given = tokens.encode(
            texts, metadata["vocabulary"], options["sequence_length"], options["split"]
        ).tolist()
    # A format that runs on any backend runs on another one than trained it, if one is installed.
    installed = backends.installed()
    others = [backend for backend in installed if backend != metadata["origin"]["backend"]]
    timed = min(len(texts) - len(EDGE_CASES), runtimes.BATCH_SIZE)
    answer = run_alone(name, path, given, timed, (others or installed)[-1])

    difference = np.abs(np.array(answer["probabilities"]) - expected).max()
    labels = [metadata["classes"][i] for i in expected.argmax(axis=1)]
    other_labels = sum(a != b for a, b in zip(answer["labels"], labels, strict=True))
    same_metadata = answer["metadata"] == metadata
    # Written so that NaN fails.
    if not difference <= TOLERANCE or other_labels or not same_metadata:
        raise ValueError(
            f"expected the run's probabilities within {TOLERANCE}, its labels and its metadata, "
            f"received a difference of {difference:.1e}, {other_labels} other labels and "
            f"{'equal' if same_metadata else 'other'} metadata; use another --format"
        )
    latency_ms: list[tuple[int, float]] = answer["latency_ms"]
    return latency_ms


def run_alone(
    name: str,
    path: Path,
    given: Sequence[Any],
    timed: int = runtimes.BATCH_SIZE,
    backend: str = "tensorflow",
) -> dict[str, Any]:
    """Run an artefact in a process of its own, which has no more than the format needs.

    Args:
      name: the format.
      path: the artefact.
      given: texts, or the token ids of texts as lists of integers.
      timed: how many of the first are timed as one batch.
      backend: Keras's backend, for a format that runs on any.

    Returns:
      `labels`, `probabilities`, `metadata` and `latency_ms`, as `runtimes.main` writes them.

    Raises:
      ValueError: it does not run.
    """
    with tempfile.TemporaryDirectory() as folder:
        inputs, outputs = Path(folder, "inputs.json"), Path(folder, "outputs.json")
        inputs.write_text(json.dumps({"given": given, "timed": timed}), "utf-8")
        arguments = ["-I", runtimes.__file__, name, path.resolve(), inputs, outputs]
        try:
            run_python(arguments, {"KERAS_BACKEND": backend}, Path(folder))
        except ChildFailed as error:
            raise ValueError(
                f"expected the artefact to run in a process of its own, received {error.reason}; "
                "use another --format"
            ) from error
        answer: dict[str, Any] = json.loads(outputs.read_bytes())
    return answer
