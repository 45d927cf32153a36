"""Writes a trained run as one artefact: `python -m research.export RUN --format F --output PATH`.

An artefact needs neither this package nor the backend that trained it. It carries its class names,
vocabulary, settings of the tokenizer, licences and origin. Before it is left at its place it runs
in a fresh process (`research.artefacts`) on real documents and on wild strings, and must give the
probabilities and labels of the run. A model card lies beside it.
"""

import importlib.util
import inspect
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
import tyro

from research import artefacts, backends, cli, corpora, formats, metrics, runs, tokens
from research.config import Config
from research.names import choose

if TYPE_CHECKING:
    from research.classifier import Classifier

TOLERANCE = 1e-5
"""Largest difference of a probability that the check of an artefact lets pass."""

_DOCUMENTS = 1_000

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
"""Strings that a tokenizer may stumble over."""


def main(
    run: Path,
    /,
    name: Annotated[str, tyro.conf.arg(name="format")],
    output: Path,
    checkpoint: Literal["best", "last"] = "best",
    corpus_path: Path | None = None,
    force: bool = False,
) -> None:
    """Writes a run as an artefact that needs neither this package nor the backend that trained it.

    Args:
      run: the run folder that `python -m research.train` printed.
      name: saved_model, onnx and keras take texts; onnx-token-ids, keras-token-ids, openvino,
        litert and torch take token ids.
      output: where the artefact goes: a folder for saved_model and openvino, else a file. Its model
        card goes beside it, with `.md` added to the name.
      checkpoint: the weights of the epoch with the best validation accuracy, or of the last one.
      corpus_path: where the corpus is, if it has moved since the training.
      force: replace what is at `output`.
    """
    artefact = formats.FORMATS[choose("--format", name, formats.FORMATS)]
    card = output.with_name(f"{output.name}.md")
    _check_output(output, card, artefact, force)
    _check_run(run)
    missing = [package for package in artefact.packages if not importlib.util.find_spec(package)]
    if missing:
        extra = "torch" if artefact.backend == "torch" else "export"
        raise ModuleNotFoundError(
            f"expected what the format {name!r} takes, received an environment without "
            f"{', '.join(missing)}; run: pip install 'keras-text-research[{extra}]'"
        )
    # Whatever trained it: weights are the same everywhere, and each converter knows one backend.
    os.environ["KERAS_BACKEND"] = artefact.backend
    backends.select()
    from research.classifier import Classifier  # after the backend is settled

    # Runtimes round bfloat16 each in its own way, and the weights are float32 in any case.
    classifier = Classifier.load(run, checkpoint, precision="float32")
    texts = [*_documents(classifier.config, corpus_path), *WILD_TEXTS]
    probabilities = classifier.predict(texts)
    limits = ""
    if classifier.config.precision != "float32":
        as_trained = Classifier.load(run, checkpoint).predict(texts)
        limits = _rounding(classifier.config.precision, as_trained, probabilities)
    metadata = _metadata(run, checkpoint, classifier)

    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as workspace:
        made = Path(workspace) / f"artefact{artefact.suffix}"
        artefact.write(classifier, metadata, made)
        latency_ms = _check(name, made, classifier, texts, probabilities, metadata)
        size = sum(file.stat().st_size for file in [made, *made.rglob("*")] if file.is_file())
        text = _card(name, output.name, run, metadata, limits, latency_ms, size)
        runs.write(Path(workspace) / "card", text.encode())
        if output.exists():
            output.rename(Path(workspace) / "replaced")
        made.rename(output)
        (Path(workspace) / "card").replace(card)
    print(
        f"{output}: {size / 1e6:.1f} MB, checked on {len(texts):,} texts in a fresh process; "
        f"card: {card}"
    )


def _check_output(output: Path, card: Path, artefact: formats.Format, force: bool) -> None:
    if artefact.suffix and output.suffix != artefact.suffix:
        raise ValueError(
            f"expected --output to end in {artefact.suffix}, as readers of the format do, "
            f"received {output}; use {output.with_suffix(artefact.suffix)}"
        )
    for path in (output, card):
        if path.exists() and not force:
            raise ValueError(
                f"expected a new --output, received {output}, and {path} exists; "
                "give another, or replace it with --force"
            )
    if output.is_dir() and not any((output / file).exists() for file in formats.FOLDERS_HOLD):
        raise ValueError(
            f"expected --force to replace an artefact, received {output}, a folder of something "
            "else; give another --output"
        )


def _check_run(run: Path) -> None:
    config = Config.read(run)
    epoch = runs.load_position(run)["epoch"] if runs.has_checkpoint(run) else 0
    if epoch < config.epochs:
        raise ValueError(
            f"expected a finished run, received {run}, which is at epoch {epoch} of "
            f"{config.epochs}; go on with: python -m research.train --run-dir {run} --resume"
        )


def _rounding(precision: str, as_trained: np.ndarray, probabilities: np.ndarray) -> str:
    """Says what computing in float32 changed, as a sentence of the card."""
    difference = np.abs(as_trained - probabilities).max()
    labels = (as_trained.argmax(axis=1) != probabilities.argmax(axis=1)).sum()
    return (
        f" The run computed in {precision}, which this artefact does not: of "
        f"{len(probabilities):,} texts {labels} have another label, and no probability is off by "
        f"more than {difference:.1e}."
    )


def _documents(config: Config, corpus_path: Path | None) -> list[str]:
    """Returns 1,000 documents of the validation and train splits, or all, if there are fewer."""
    corpus = corpora.load(
        config.corpus,
        corpus_path or config.corpus_path,
        text_column=config.text_column,
        label_column=config.label_column,
        split_column=config.split_column,
    )
    texts = [*corpus.splits["validation"].texts, *corpus.splits["train"].texts][:_DOCUMENTS]
    return [text.encode("utf-8", "replace").decode() for text in texts]


def _metadata(run: Path, checkpoint: str, classifier: "Classifier") -> dict[str, Any]:
    """Returns what travels inside the artefact, as JSON values."""
    config, position = classifier.config, runs.load_position(run)
    data, trained = runs.read_json(run / "data.json"), runs.read_json(run / "environment.json")[-1]
    name = Path(config.vectors).name
    vectors = f"those of {name}"
    if config.vectors.startswith("glove.6B."):
        vectors = "Public Domain Dedication and License 1.0"
    elif config.vectors.startswith("random."):
        vectors = "none, they began as random numbers"
    return {
        "classes": classifier.classes,
        "vocabulary": classifier.vocabulary,
        "tokenizer": {
            "lower": "ASCII letters",
            "remove": formats.PUNCTUATION,
            "split": "ASCII whitespace",
            "sequence_length": config.sequence_length,
            "padding": 0,
            "out_of_vocabulary": 1,
        },
        "licences": {"code": "Apache-2.0", "vectors": vectors},
        "origin": {
            "options": config.to_json() | {"corpus_path": None, "vectors": name},
            "corpus": data["corpus"],
            "corpus_digest": data["corpus_digest"],
            "examples": data["examples"],
            "parameters": data["parameters"],
            "checkpoint": checkpoint,
            "epoch": position["best_epoch" if checkpoint == "best" else "epoch"],
            **{name: trained[name] for name in ("started", "commit", "backend", "versions")},
        },
    }


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
    if not artefacts.takes_texts(name):
        sequence_length = classifier.config.sequence_length
        given = tokens.encode(texts, classifier.vocabulary, sequence_length).tolist()
    # Where the format is Keras' and several backends are there, not the one that trained it.
    others = [b for b in backends.installed() if b != metadata["origin"]["backend"]]
    backend = (others or backends.installed())[-1]
    documents = min(len(texts) - len(WILD_TEXTS), artefacts.BATCH_SIZE)
    received = artefacts.run_alone(name, path, given, documents, backend)
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
    _, packages = artefacts.FORMATS[name]
    takes = "texts"
    if not artefacts.takes_texts(name):
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

{size / 1e6:.1f} MB. Median latency: {latency}; {runs.processor()}, {os.cpu_count()} cores, while it
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
    load, _ = artefacts.FORMATS[name]
    source = inspect.getsource(load).replace(" -> Loaded", "").replace(" -> Answer", "").strip()
    if artefacts.takes_texts(name):
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
    scores = runs.read_json(path) if path.exists() else {}
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
    of_epoch = runs.load_position(run)["history"][origin["epoch"] - 1]
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


if __name__ == "__main__":
    cli.run(main)
