"""The model card beside an artefact: what it was trained on, its scores, its limits and its use."""

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.data import corpora
from research.evaluation import metrics
from research.files import sealed
from research.processes import escape, provenance
from research.serving.runtimes import RUNTIMES
from research.serving.self_check import TOLERANCE
from research.training import run_folder
from research.training.checkpoints import Checkpoint


def card(
    name: str,
    artefact: str,
    metadata: dict[str, Any],
    scores: str,
    rounding: str,
    latency_ms: Sequence[tuple[int, float]],
    size: int,
) -> str:
    """Return a model card in Markdown, after Mitchell et al. 2019, doi:10.1145/3287560.3287596.

    Args:
      name: the format.
      artefact: the file's name.
      metadata: what `metadata.collect` returned.
      scores: what `scores` returned.
      rounding: what `rounding` returned, or "".
      latency_ms: what `self_check.check` returned.
      size: bytes.
    """
    text, code = escape.markdown, escape.markdown_code
    origin, licences = metadata["origin"], metadata["licences"]
    classes = [text(name) for name in metadata["classes"]]
    options, length = origin["options"], metadata["tokenizer"]["sequence_length"]
    counts = ", ".join(f"{count:,} {text(split)}" for split, count in origin["examples"].items())
    protocol, checked_on = "own texts, from a Python program", "texts made of the run's words"
    if options["corpus"] != corpora.IN_MEMORY:
        protocol = corpora.CORPORA[options["corpus"]].removeprefix("your ")
        checked_on = "texts of the corpus"
    takes = "texts"
    if not RUNTIMES[name].takes_texts:
        takes = (
            f"token ids, int32[texts, {length}]: the index of each word in the vocabulary, "
            "1 for other words, 0 for padding at the end"
        )
    learned_from = options["train_on"]
    if options["train_examples"] is not None:
        learned_from = f"{options['train_examples']:,} texts of {learned_from}"
    latency = ", ".join(f"{ms:.2f} ms for {texts}" for texts, ms in latency_ms)
    return f"""# {text(artefact)}

Assigns each text to one of {len(classes)} classes. Format `{name}`; takes {takes}; returns
probabilities, float32[texts, {len(classes)}], and labels.

## Data and protocol

Corpus {code(origin["corpus"])}: {protocol}. Examples: {counts}; trained on {learned_from}.
Digest {code(origin["corpus_digest"])}.

Model {code(options["model"])}, {origin["parameters"]:,} parameters,
word vectors {code(options["vectors"])}, {len(metadata["vocabulary"]):,} words.
Trained on {text(origin["backend"])}, {text(origin["started"])}, at commit {code(origin["commit"])},
seed {options["seed"]}. The weights are those of epoch {origin["epoch"]} of {options["epochs"]}
({origin["checkpoint"]}). The artefact holds all options and versions, the classes, the vocabulary
and the settings of the tokenizer.

## Metrics

{scores}

The intervals cover the choice of examples, not the choice of a seed.

## Limits

It always names one of these classes, even for a text that fits none: {", ".join(classes)}. It reads
the first {length} words of a text. Only ASCII letters are put in lower case. It cannot tell apart
words outside the vocabulary. It has the biases of its texts and word vectors.{rounding}

## Licence

Code: {licences["code"]}. Word vectors: {text(licences["vectors"])}. Texts: that of their corpus.

## Size and latency

{size / 1e6:.1f} MB. Median latency: {latency},
on {text(provenance.processor())} with {provenance.cpu_cores()} cores,
timed during the check, when other programs may have run.

Checked on {checked_on} and on edge cases, in a process of its own, with
{", ".join(RUNTIMES[name].packages)} and without this package:
probabilities within {TOLERANCE} of the run's, and equal labels.

## Use

```python
{_example(name, artefact, length)}
```
"""


def scores(checkpoint: Checkpoint, origin: dict[str, Any]) -> str:
    """Return the scores of the exported weights, as Markdown.

    They are those of `research.evaluate` if it evaluated these weights, otherwise those of
    validation.

    Args:
      checkpoint: what is exported.
      origin: the metadata's `origin`.

    Raises:
      ValueError: the `metrics.json` of the run is damaged.
    """
    evaluated = _evaluated(checkpoint.run / "metrics.json")
    if evaluated.get("weights") == checkpoint.digest:
        lines = [
            _score(evaluated["split"], title, evaluated[key], evaluated[f"{key}_interval"])
            for key, title in (("accuracy", "accuracy"), ("macro_f1", "macro-F1"))
        ]
        return "\n".join([*lines, f"- {evaluated['examples']:,} examples"])
    epoch = checkpoint.position.history[origin["epoch"] - 1]
    lines = ["Not evaluated yet. Run `python -m research.evaluate RUN`, then export it again."]
    if origin["options"]["corpus"] == corpora.IN_MEMORY:
        lines = ["No test split: the run does not keep its texts."]
    if "validation_accuracy" in epoch:
        accuracy = epoch["validation_accuracy"]
        interval = metrics.accuracy_interval(accuracy, origin["examples"]["validation"])
        lines += ["", _score("validation", "accuracy", accuracy, interval)]
        if origin["checkpoint"] == "best":
            lines.append("- The epoch was chosen by this accuracy, so it is somewhat too high.")
    return "\n".join(lines)


def _evaluated(path: Path) -> dict[str, Any]:
    """Return the content of a `metrics.json`; {} if there is none, or only one without a seal."""
    content = run_folder.read_bytes(path) if path.exists() else b""
    return sealed.parse(content, path) if b'"weights"' in content else {}


def _score(split: str, title: str, score: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"- {escape.markdown(split)} {title}: {score:.4f} (95% interval {low:.4f} to {high:.4f})"


def rounding(precision: str, as_trained: np.ndarray, probabilities: np.ndarray) -> str:
    """Return what computing in float32 changed, as sentences of the card.

    Args:
      precision: what the run computed in.
      as_trained: float32[texts, classes], the probabilities in that precision.
      probabilities: float32[texts, classes], those in float32.
    """
    difference = np.abs(as_trained - probabilities).max()
    labels = (as_trained.argmax(axis=1) != probabilities.argmax(axis=1)).sum()
    return (
        f" The run computed in {precision}; this artefact computes in float32. That changes the "
        f"labels of {labels} of {len(probabilities):,} texts, and no probability by more than "
        f"{difference:.1e}."
    )


def _example(name: str, artefact: str, sequence_length: int) -> str:
    """Return Python code that runs the artefact, with the source of its function of `runtimes`."""
    runtime = RUNTIMES[name]
    source = inspect.getsource(runtime.load)
    source = source.replace(" -> Loaded", "").replace(" -> Answer", "").strip()
    given = f'np.zeros((1, {sequence_length}), "int32")'
    if runtime.takes_texts:
        given = '["this message is about computer graphics and 3D modeling"]'
    modules = [module for module in ("json", "os", "zipfile") if f"{module}." in source]
    return "\n".join(
        [
            *(f"import {module}" for module in modules),
            *(["from pathlib import Path"] * ("Path(" in source)),
            "\nimport numpy as np\n\n",
            source,
            f"\n\nrun, metadata = {runtime.load.__name__}({artefact!r})",
            f"labels, probabilities = run({given})",
            "print(labels, probabilities)",
        ]
    )
