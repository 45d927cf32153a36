"""Writes a trained run as one artefact: `python -m research.export RUN --format F --output PATH`.

An artefact needs neither this package nor the backend that trained it. It carries its class names,
vocabulary, settings of the tokenizer, licences and origin. Before it is left at its place it runs
in a fresh process (`research.artefacts`) on real documents and on wild strings, and must give the
probabilities and labels of the run. A model card lies beside it.
"""

import importlib.util
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from research.config import Config
from research.data import corpora
from research.files import atomic
from research.processes import backends, command
from research.processes.choices import choose
from research.serving import formats
from research.training import checkpoints

if TYPE_CHECKING:
    from research.serving.classifier import Classifier
"""Largest difference of a probability that the check of an artefact lets pass."""

_DOCUMENTS = 1_000
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
        atomic.write(Path(workspace) / "card", text.encode())
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
    epoch = checkpoints.load_position(run)["epoch"] if checkpoints.has_checkpoint(run) else 0
    if epoch < config.epochs:
        raise ValueError(
            f"expected a finished run, received {run}, which is at epoch {epoch} of "
            f"{config.epochs}; go on with: python -m research.train --run-dir {run} --resume"
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
    config, position = classifier.config, checkpoints.load_position(run)
    data, trained = (
        atomic.read_json(run / "data.json"),
        atomic.read_json(run / "environment.json")[-1],
    )
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


if __name__ == "__main__":
    command.run(main)
