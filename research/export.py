"""Writes a trained run as one artefact: `python -m research.export RUN --format F --output PATH`.

An artefact needs neither this package nor the backend that trained it. It carries its class names,
vocabulary, settings of the tokenizer, licences and origin. It is kept only if it gives the run's
probabilities and labels in a process of its own, on real documents and on edge-case texts. For a
run that was trained in memory, texts made of its words replace the documents. A model card is
written beside it.
"""

import importlib.util
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from research.config import Config
from research.data import corpora
from research.files import atomic, moves
from research.processes import backends, command, escape
from research.processes.choices import choose
from research.processes.memory import keep_freed_memory
from research.serving import formats, metadata, model_card, self_check
from research.serving.runtimes import RUNTIMES
from research.training import checkpoints
from research.training.checkpoints import Checkpoint

_FORMATS = "\n".join(
    f"{name}: {'a file' if runtime.suffix else 'a folder'} that takes "
    f"{'texts' if runtime.takes_texts else 'token ids'} and needs {', '.join(runtime.packages)}"
    for name, runtime in RUNTIMES.items()
)


def main(
    run: Path,
    /,
    format_name: Annotated[str, tyro.conf.arg(name="format", metavar="FORMAT", help=_FORMATS)],
    output: Path,
    checkpoint: Literal["best", "last"] = "best",
    corpus_path: Path | None = None,
    force: bool = False,
) -> None:
    """Writes a run as an artefact that needs neither this package nor the backend that trained it.

    Args:
      run: the run folder that `python -m research.train` printed.
      output: the file or folder to write; its model card is written to the same name with `.md`.
      checkpoint: the weights of the epoch with the best validation accuracy, or of the last one.
      corpus_path: where the corpus is, if it has moved since the training.
      force: replace what is at `output`. Where the system cannot exchange two folders in one step,
        the old one is kept as `.NAME.replaced` beside it until the new one is in place.
    """
    keep_freed_memory()
    writer = formats.WRITERS[choose("--format", format_name, RUNTIMES)]
    suffix, card = RUNTIMES[format_name].suffix, output.with_name(f"{output.name}.md")
    _check_output(output, card, suffix, force)
    _check_installed(format_name)
    # Weights are the same on every backend, and each format is written by one.
    os.environ["KERAS_BACKEND"] = writer.backend
    backends.select()
    from research.serving.classifier import Classifier  # imports Keras

    # Runtimes round bfloat16 in different ways, so artefacts compute in float32.
    with checkpoints.opened(run, checkpoint) as opened:
        _check_finished(opened)
        classifier = Classifier.of(opened, precision="float32")
        as_trained = classifier
        if classifier.config.precision != "float32":
            as_trained = Classifier.of(opened)
    source, precision = classifier.config.corpus_source, classifier.config.precision
    texts = self_check.texts_to_check(
        replace(source, path=corpus_path or source.path), classifier.vocabulary
    )
    probabilities = classifier.predict(texts)
    rounding = ""
    if precision != "float32":
        rounding = model_card.rounding(precision, as_trained.predict(texts), probabilities)
    about = metadata.collect(opened, classifier)
    scores = model_card.scores(opened, about["origin"])

    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as folder:
        made = Path(folder) / f"artefact{suffix}"
        try:
            writer.write(classifier, about, made)
        except OSError as error:
            if error.strerror is None:  # it says what to do already
                raise
            raise OSError(
                f"cannot write {output}: {error.strerror}; free some space or choose another "
                "place, then repeat the command"
            ) from error
        latency_ms = self_check.check(format_name, made, texts, probabilities, about)
        size = sum(file.stat().st_size for file in [made, *made.rglob("*")] if file.is_file())
        text = model_card.card(format_name, output.name, about, scores, rounding, latency_ms, size)
        _put_in_place(made, output, text, card)
    made_up = " made of its words" if source.name == corpora.IN_MEMORY else ""
    print(
        f"{escape.terminal(output)}: {size / 1e6:.1f} MB, checked on {len(texts):,} texts{made_up} "
        f"in a process of its own; card: {escape.terminal(card)}"
    )


def _put_in_place(made: Path, output: Path, text: str, card: Path) -> None:
    """Move an artefact and its card to their places, after everything that may fail.

    The old card goes first and the new one comes last, so no card lies beside an artefact that it
    does not describe.
    """
    new_card, old_card = made.with_name("card"), made.with_name("old card")
    inode = made.stat().st_ino
    atomic.write(new_card, text.encode())
    if card.exists():
        card.rename(old_card)  # removed with the temporary folder
    try:
        moves.move(made, output)
    except BaseException:
        is_in_place = output.exists() and output.stat().st_ino == inode
        if old_card.exists() and not is_in_place:
            old_card.rename(card)
        raise
    moves.move(new_card, card)


def _check_output(output: Path, card: Path, suffix: str, force: bool) -> None:
    if suffix and output.suffix != suffix:
        raise ValueError(
            f"expected --output to end in {suffix}, which readers of this format require, received "
            f"{output}; use {output.with_suffix(suffix)}"
        )
    for path in (output, card):
        if path.exists() and not force:
            raise ValueError(
                f"expected a new --output, received {output}, but {path} exists; "
                "give another, or replace it with --force"
            )
    markers = [runtime.folder_holds for runtime in RUNTIMES.values() if runtime.folder_holds]
    if output.is_dir() and not any((output / marker).exists() for marker in markers):
        raise ValueError(
            f"expected --force to replace an artefact, received {output}, a folder of something "
            "else; give another --output"
        )


def _check_finished(checkpoint: Checkpoint) -> None:
    run, position = checkpoint.run, checkpoint.position
    config = Config.parse(checkpoint.inputs["config.json"], run / "config.json")
    if not position.is_complete(config.epochs, config.patience):
        raise ValueError(
            f"expected a finished run, received {run}, which is at epoch {position.epoch} of "
            f"{config.epochs}; "
            f"continue it with: python -m research.train --run-dir {run} --resume"
        )


def _check_installed(format_name: str) -> None:
    writer, runtime = formats.WRITERS[format_name], RUNTIMES[format_name]
    packages = dict.fromkeys([*writer.packages, *runtime.packages])
    missing = [package for package in packages if not importlib.util.find_spec(package)]
    if missing:
        extra = "torch" if writer.backend == "torch" else "export"
        raise ModuleNotFoundError(
            f"expected the packages that the format {format_name!r} needs, received an environment "
            f"without {', '.join(missing)}; run: pip install 'keras-text-research[{extra}]'"
        )


if __name__ == "__main__":
    command.run(main)
