"""DOC."""

import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.data import corpora
from research.evaluation import metrics
from research.files import atomic
from research.processes import provenance
from research.serving import runtimes
from research.training import checkpoints


def _rounding(precision: str, as_trained: np.ndarray, probabilities: np.ndarray) -> str:
    """Says what computing in float32 changed, as a sentence of the card."""
    difference = np.abs(as_trained - probabilities).max()
    labels = (as_trained.argmax(axis=1) != probabilities.argmax(axis=1)).sum()
    return (
        f" The run computed in {precision}, which this artefact does not: of "
        f"{len(probabilities):,} texts {labels} have another label, and no probability is off by "
        f"more than {difference:.1e}."
    )


def _card(
    name: str,
    artefact: str,
    run: Path,
    metadata: dict[str, Any],
    limits: str,
    latency_ms: list[tuple[int, float]],
    size: int,
) -> str:
    """Returns the model card. Mitchell et al. 2019, doi:10.1145/3287560.3287596."""
    origin, tokenizer, classes = metadata["origin"], metadata["tokenizer"], metadata["classes"]
    options, length = origin["options"], tokenizer["sequence_length"]
    counts = ", ".join(f"{count:,} {split}" for split, count in origin["examples"].items())
    protocol = corpora.CORPORA[origin["corpus"]].removeprefix("your ")
    _, packages = runtimes.FORMATS[name]
    takes = "texts"
    if not runtimes.takes_texts(name):
        takes = (
            f"token ids, int32[texts, {length}]: the index of each word in the vocabulary, "
            "1 for other words, 0 for padding at the end"
        )
    latency = ", ".join(f"{ms:.2f} ms for {texts}" for texts, ms in latency_ms)
    return f"""# {artefact}

Says to which of {len(classes)} classes a text belongs. Format `{name}`; takes {takes}; gives
probabilities, float32[texts, {len(classes)}], and labels.

## Data and protocol

Corpus `{origin["corpus"]}`: {protocol}. Examples: {counts}; it learned from
{options["train_on"]}. Digest `{origin["corpus_digest"]}`.

Model `{options["model"]}`, {origin["parameters"]:,} parameters, word vectors
`{options["vectors"]}`, {len(metadata["vocabulary"]):,} words. Trained on {origin["backend"]},
{origin["started"]}, at commit `{origin["commit"]}`, seed {options["seed"]}; the weights are those
of epoch {origin["epoch"]} of {options["epochs"]} ({origin["checkpoint"]}). All options and versions
travel inside the artefact, with the classes, the vocabulary and the settings of the tokenizer.

## Metrics

{_metrics(run, origin)}

The intervals tell of other examples, not of other seeds.

## Limits

It knows these classes and no other, and always names one: {", ".join(classes)}. It reads the
first {length} words of a text. Only ASCII letters are lowered; words outside the vocabulary are all
alike. It has the biases of its texts and vectors.{limits}

## Licence

Code: {metadata["licences"]["code"]}. Word vectors: {metadata["licences"]["vectors"]}.
Texts: that of their corpus.

## Size and latency

{size / 1e6:.1f} MB. Median latency: {latency}; {provenance.processor()}, {os.cpu_count()} cores, while it
was checked, when other programs may have run.

Checked in a fresh process with {", ".join(packages)} and without this package: probabilities within
{TOLERANCE} of the run's, labels equal.

## Use

```python
{_example(name, artefact, length)}
```
"""


def _example(name: str, artefact: str, sequence_length: int) -> str:
    """Returns Python code that runs the artefact, from the source of `research.artefacts`."""
    load, _ = runtimes.FORMATS[name]
    source = inspect.getsource(load).replace(" -> Loaded", "").replace(" -> Answer", "").strip()
    if runtimes.takes_texts(name):
        given = '["this message is about computer graphics and 3D modeling"]'
    else:
        given = f'np.zeros((1, {sequence_length}), "int32")'
    modules = [module for module in ("json", "os", "zipfile") if f"{module}." in source]
    return "\n".join(
        [
            *(f"import {module}" for module in modules),
            *(["from pathlib import Path"] * ("Path(" in source)),
            "\nimport numpy as np\n\n",
            source,
            f"\n\nrun, metadata = {load.__name__}({artefact!r})",
            f"labels, probabilities = run({given})",
            "print(labels, probabilities)",
        ]
    )


def _metrics(run: Path, origin: dict[str, Any]) -> str:
    """Returns the scores of the exported weights: of `research.evaluate`, or else validation's."""
    path = run / "metrics.json"
    scores = atomic.read_json(path) if path.exists() else {}
    if scores.get("epoch") == origin["epoch"]:
        return "\n".join(
            [
                *(
                    _metric(scores["split"], title, scores[score], scores[f"{score}_interval"])
                    for score, title in (("accuracy", "accuracy"), ("macro_f1", "macro-F1"))
                ),
                f"- {scores['examples']:,} examples",
            ]
        )
    of_epoch = checkpoints.load_position(run)["history"][origin["epoch"] - 1]
    lines = ["Not evaluated yet; `python -m research.evaluate RUN`, then export it again."]
    if "validation_accuracy" in of_epoch:
        accuracy = of_epoch["validation_accuracy"]
        interval = metrics.accuracy_interval(accuracy, origin["examples"]["validation"])
        lines += ["", _metric("validation", "accuracy", accuracy, interval)]
        if origin["checkpoint"] == "best":
            lines.append("- The epoch was chosen by it, so it is somewhat too high.")
    return "\n".join(lines)


def _metric(split: str, title: str, score: float, interval: Sequence[float]) -> str:
    low, high = interval
    return f"- {split} {title}: {score:.4f} (95% interval {low:.4f} to {high:.4f})"
