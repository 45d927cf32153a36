"""Trains an experiment and writes its run folder: `python -m research.train [EXPERIMENT]`.

`train` is the whole story of a run, from top to bottom.
"""

import math
import signal
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import numpy as np
import tyro

from research import (
    backends,
    cli,
    corpora,
    embeddings,
    experiments,
    figures,
    linear,
    metrics,
    progress,
    runs,
    tokens,
)
from research.config import Config


@dataclass(frozen=True)
class Options:
    """Trains EXPERIMENT (newsgroups, unless you name another) and writes a run folder."""

    config: Annotated[Config, tyro.conf.arg(name="")]
    run_dir: Path | None = None
    """The run folder; by default a new one, runs/EXPERIMENT/BACKEND-seedK."""
    resume: bool = False
    """Go on with the run in --run-dir, with its options; --epochs may be raised if the
    learning rate is constant."""


@dataclass
class Position:
    """Where a run stands: after `epoch` epochs and `step` steps, in `seconds`, of the next one."""

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_epoch: int | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


class Interrupted(Exception):  # noqa: N818  (no error: somebody asked for it)
    """Training was asked to stop, and has saved where it stands."""


def main() -> None:
    """Parses the command line, trains, and prints the run folder as the last line."""
    arguments = sys.argv[1:]
    is_named = bool(arguments) and not arguments[0].startswith("-")
    experiment = arguments.pop(0) if is_named else "newsgroups"
    options = _parse(arguments, experiments.get(experiment))
    if options.resume:
        if options.run_dir is None:
            raise ValueError(
                "expected --run-dir with --resume, received none; give the run to go on with"
            )
        if (options.run_dir / "config.json").exists():  # its options, but for those given here
            saved = Config.read(options.run_dir)
            options = _parse(arguments, saved)
            _check_same(saved, options.config, options.run_dir)
    received: list[int] = []

    def stop_soon(number: int, frame: FrameType | None) -> None:
        received.append(number)
        print("\nsaving; once more to leave at once", file=sys.stderr)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)

    signal.signal(signal.SIGINT, stop_soon)
    signal.signal(signal.SIGTERM, stop_soon)
    try:
        run = train(
            experiment, options.config, options.run_dir, options.resume, lambda: bool(received)
        )
    except Interrupted as interrupted:
        print(interrupted, file=sys.stderr)
        sys.exit(128 + received[0])
    print(f"run: {run}")


def train(
    experiment: str,
    config: Config,
    run_dir: Path | None = None,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
) -> Path:
    """Trains and returns the run folder.

    Args:
      experiment: the name under which a new run is filed.
      config: the options.
      run_dir: the run folder; None for a new one under `runs/`.
      resume: go on with the run in `run_dir`, if it has begun.
      stop: asked every few steps; if True, the run is saved and left.

    Raises:
      ValueError, OSError: an option, a file or the loss is not as it must be.
      Interrupted: `stop` said so.
    """
    backend = backends.select()
    from research import loop, models  # after the backend is settled

    models.check(config.model, config.sequence_length)
    run = run_dir or runs.new_folder(experiment, backend, config.seed)
    has_begun = runs.check_free(run, resume)
    if resume and not has_begun:  # whoever restarts jobs need not know whether one had begun
        print(f"no run in {run} yet, so this begins one")
    print(f"training {experiment!r} with {backend} on {loop.device()}", flush=True)

    corpus = corpora.load(
        config.corpus,
        config.corpus_path,
        text_column=config.text_column,
        label_column=config.label_column,
        split_column=config.split_column,
    )
    fitted, validation = corpus.splits["train"], corpus.splits["validation"]
    texts, labels = fitted.texts, fitted.labels
    if config.train_on == "train+validation":
        texts, labels = texts + validation.texts, np.concatenate([labels, validation.labels])
    vocabulary = tokens.learn_vocabulary(texts, config.vocabulary_size)
    token_ids = tokens.encode_cached(texts, vocabulary, config.sequence_length)
    validation_ids = tokens.encode_cached(validation.texts, vocabulary, config.sequence_length)
    print(
        f"corpus {corpus.name}: {len(corpus.class_names)} classes, learning from "
        f"{len(token_ids):,} examples of {config.train_on}, {len(vocabulary):,} words",
        flush=True,
    )

    vectors = embeddings.load_vectors(config.vectors)
    matrix, missing = embeddings.embedding_matrix(
        vectors, vocabulary, missing=config.missing_vectors, seed=config.seed
    )
    hits = len(vocabulary) - len(missing)
    print(
        f"vectors {config.vectors}: {matrix.shape[1]} dimensions, {hits:,} words found, "
        f"{len(missing):,} not",
        flush=True,
    )

    options: dict[str, Any] = {}
    position = Position()
    if models.MODELS[config.model].has_wide_part:
        started = time.perf_counter()
        sizes = len(vocabulary), len(corpus.class_names)
        options["wide"] = linear.fit(np.asarray(token_ids), labels, *sizes)
        position.seconds = time.perf_counter() - started  # part of the first epoch's
    model = models.build(
        config.model,
        matrix,
        config.sequence_length,
        len(corpus.class_names),
        trainable_embeddings=config.trainable_embeddings,
        precision=config.precision,
        dropout=config.dropout,
        seed=config.seed,
        **options,
    )
    steps = math.ceil(len(token_ids) / config.batch_size)
    decay_steps = steps * config.epochs if config.learning_rate_schedule == "linear" else None
    trainer = loop.Trainer(model, config.optimizer, config.learning_rate, decay_steps)

    data = {
        "corpus": corpus.name,
        "corpus_digest": corpus.digest,
        "class_names": corpus.class_names,
        "examples": {name: len(split.texts) for name, split in corpus.splits.items()},
        "vocabulary_size": len(vocabulary),
        "embedding_dim": matrix.shape[1],
        "vectors": {"name": config.vectors, "found": hits, "missing": len(missing)},
        "parameters": model.count_params(),
    }
    if has_begun:
        runs.check_same_data(run, data)
        if runs.has_checkpoint(run):
            position = Position(**runs.load_position(run))
            trainer.restore(runs.load_arrays(run, "last"))
    runs.write_json(run / "config.json", config.to_json())
    runs.write_json(run / "data.json", data)
    runs.write(run / "vocabulary.txt", tokens.vocabulary_file(vocabulary))
    runs.log_environment(run, backend, loop.device(), position.epoch, position.step)

    with progress.Display(config.epochs, steps) as display:
        while position.epoch < config.epochs:
            # The order follows from the seed and the epoch, so no generator has a state to save.
            order = np.random.default_rng((config.seed, position.epoch)).permutation(len(token_ids))
            started = time.perf_counter() - position.seconds
            for step, running in trainer.epoch(
                token_ids, labels, order, config.batch_size, position.step
            ):
                position.step = step
                position.seconds = time.perf_counter() - started
                _check_finite("loss", [running["loss"]], run, config, position)
                step_time_ms = 1000 * position.seconds / position.step
                display.step(position.epoch, position.step, running, step_time_ms)
                if stop() and position.step < steps:
                    runs.save_checkpoint(run, asdict(position), trainer.state(), None)
                    raise Interrupted(_how_to_go_on(run, position))

            # TensorFlow's max pooling makes -inf of NaN, so the loss alone does not tell.
            state = trainer.state()
            _check_finite("weights", state.values(), run, config, position)
            record: dict[str, Any] = {
                "epoch": position.epoch + 1,
                **running,
                "seconds": position.seconds,
                "step_time_ms": step_time_ms,
            }
            if config.train_on == "train":
                probabilities = loop.predict_probabilities(model, validation_ids)
                scores = metrics.scores(validation.labels, probabilities)
                record |= {f"validation_{name}": value for name, value in scores.items()}
            display.epoch(record)
            history = [*position.history, record]
            best = best_epoch(history)
            position = Position(position.epoch + 1, best_epoch=best["epoch"], history=history)
            best_weights = loop.weight_values(model) if best is record else None
            runs.save_checkpoint(run, asdict(position), state, best_weights)
            runs.write_history(run, history)
            if stop() and position.epoch < config.epochs:
                raise Interrupted(_how_to_go_on(run, position))

    figures.learning_curves(position.history, run / "learning_curves")
    if config.train_on == "train":
        best = best_epoch(position.history)
        print(f"best validation accuracy: {best['validation_accuracy']:.4f}, epoch {best['epoch']}")
    return run


def best_epoch(history: list[dict[str, Any]]) -> dict[str, Any]:
    """Returns the epoch with the highest validation accuracy, the first of equals.

    Without validation it is the last.
    """
    if "validation_accuracy" not in history[-1]:
        return history[-1]
    return max(history, key=lambda record: record["validation_accuracy"])


def _parse(arguments: list[str], default: Config) -> Options:
    names = "|".join(experiments.EXPERIMENTS)
    return tyro.cli(
        Options, args=arguments, default=Options(default), prog=f"{cli.program()} [{names}]"
    )


def _check_same(saved: Config, given: Config, run: Path | None) -> None:
    # More epochs only make a run longer; anything else would make it another run, and so would
    # they where the learning rate depends on how many there are.
    if saved.learning_rate_schedule == "constant":
        given = replace(given, epochs=saved.epochs)
    for option in fields(Config):
        before, now = getattr(saved, option.name), getattr(given, option.name)
        if before != now:
            raise ValueError(
                f"expected --{option.name.replace('_', '-')} {before}, with which {run} was begun, "
                f"received {now}; leave the option out, or begin a new run"
            )


def _check_finite(
    what: str, values: Iterable[Any], run: Path, config: Config, position: Position
) -> None:
    if not all(np.isfinite(value).all() for value in values):
        kept = f"the checkpoint of epoch {position.epoch} in {run}" if position.epoch else "none"
        raise ValueError(
            f"expected finite {what}, received NaN or infinity by step {position.step} of epoch "
            f"{position.epoch + 1} with learning rate {config.learning_rate}; "
            f"lower --learning-rate; last good checkpoint: {kept}"
        )


def _how_to_go_on(run: Path, position: Position) -> str:
    return (
        f"saved after epoch {position.epoch}, step {position.step}; go on with: "
        f"python -m research.train --run-dir {run} --resume"
    )


if __name__ == "__main__":
    cli.guard(main)
