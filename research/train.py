"""Trains an experiment and writes its run folder: `python -m research.train [EXPERIMENT]`.

`train` is the story of a run: prepare the data, build the model, fit it epoch by epoch.
"""

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
import tyro

from research import experiments
from research.config import Config
from research.data import corpora, doubts, splits, tokens, word_vectors
from research.data.corpora import Corpus, Split
from research.evaluation import metrics
from research.models import linear, registry
from research.processes import backends, command, escape, lean_keras
from research.processes.memory import keep_freed_memory
from research.processes.stopping import StopRequest
from research.training import checkpoints, class_balance, epochs, run_folder
from research.training.checkpoints import Position, Saver
from research.training.progress import Display

if TYPE_CHECKING:
    import keras

    from research.training.trainer import Trainer


class Interrupted(Exception):  # noqa: N818  (no error: somebody asked for it)
    """Training was asked to stop, and has saved where it stands."""


@dataclass(frozen=True)
class Data:
    """What a model learns from and is chosen on.

    Attributes:
      token_ids: int32[examples, sequence_length], of the texts to learn from.
      labels: int32[examples].
      validation_ids: int32[validation examples, sequence_length].
      validation_labels: int32[validation examples].
      vocabulary: the words by token id.
      embeddings: float32[vocabulary_size, embedding_dim].
      class_names: by label.
      class_weights: float32[classes], how much an example counts; None for 1.
      description: the content of `data.json`, as far as it is known without the model.
      vectors_seconds: what it took to read the vectors and look the words up.
    """

    token_ids: np.ndarray
    labels: np.ndarray
    validation_ids: np.ndarray
    validation_labels: np.ndarray
    vocabulary: list[str]
    embeddings: np.ndarray
    class_names: list[str]
    class_weights: np.ndarray | None
    description: dict[str, Any]
    vectors_seconds: float


def train(
    experiment: str,
    config: Config,
    run_dir: Path | None = None,
    resume: bool = False,
    stop: Callable[[], bool] = lambda: False,
    corpus: Corpus | None = None,
) -> Path:
    """Train and return the run folder.

    Args:
      experiment: the name under which a new run is filed.
      config: the options.
      run_dir: the run folder; None for a new one under `runs/`.
      resume: continue the run in `run_dir` if it has begun.
      stop: asked every few steps; if True, the run is saved and left.
      corpus: with train and validation; None for the one that the options name.

    Raises:
      ValueError, OSError: an option, a file or the loss is not as it must be.
      Interrupted: `stop` said so.
    """
    backend = backends.select()
    registry.check(config.model, config.sequence_length)
    with run_folder.claimed(run_dir, experiment, backend, config.seed) as run:
        has_begun = run_folder.has_begun(run, resume)
        if has_begun:
            check_same_options(run, config)
        lean_keras.load()
        from research.training.devices import device_name  # after the backend is settled

        if resume and not has_begun:  # lets schedulers always pass --resume
            print(f"no run in {escape.terminal(run)} yet, so this begins one")
        what = f"continuing {escape.terminal(run)}" if has_begun else f"training {experiment!r}"
        print(f"{what} with {backend} on {device_name()}", flush=True)

        data = prepare_data(corpus or corpora.load(config.corpus_source), config)
        model, seconds = build_model(config, data)
        trainer = build_trainer(config, model, data)
        description = data.description | {"parameters": model.count_params()}
        run_folder.check_same_data(run, description)
        position = Position(preparation_seconds=seconds)
        if checkpoints.exists(run):
            position = restore(trainer, run, config.epochs)
            run_folder.write_history(run, position.history)  # a kill may have come before that
        process = None  # one that adds nothing to the run
        if not position.is_complete(config.epochs, config.patience):
            process = run_folder.process_entry(
                backend, device_name(), position.epoch, position.step
            )
            if config.precision == "mixed_bfloat16":
                print_doubt_of_bfloat16(data)
        saver = Saver(
            run, run_folder.inputs(run, config.to_json(), description, data.vocabulary, process)
        )
        saver.write_inputs()
        history = fit(trainer, data, config, saver, position, stop)
        from research.evaluation import figures  # lazily: it imports Matplotlib

        figures.learning_curves(history, run / "learning_curves")
    best = epochs.best(history, config.monitor)
    print(f"best validation accuracy: {best['validation_accuracy']:.4f}, epoch {best['epoch']}")
    return run


def prepare_data(corpus: Corpus, config: Config) -> Data:
    """Turn the texts of a corpus into integers, and look up the word vectors."""
    for note in corpus.notes:
        print(escape.terminal(note))
    learned, held_out = divide(corpus, config)
    vocabulary = tokens.learn_vocabulary(learned.texts, config.vocabulary_size, config.split)
    token_ids, validation_ids = (
        tokens.encode_cached(split.texts, vocabulary, config.sequence_length, config.split)
        for split in (learned, held_out)
    )
    if registry.MODELS[config.model].any_length:  # the longest text may be shorter
        token_ids = token_ids[:, : max(1, np.count_nonzero(token_ids.any(axis=0)))]
    print(
        f"corpus {escape.terminal(corpus.name)}: {len(corpus.class_names)} classes, learning from "
        f"{len(token_ids):,} examples of {config.train_on}, {len(vocabulary):,} words",
        flush=True,
    )
    started = time.perf_counter()
    vectors = word_vectors.load_vectors(config.vectors)
    embeddings, missing = word_vectors.embedding_matrix(
        vectors, vocabulary, missing=config.missing_vectors, seed=config.seed
    )
    vectors_seconds = time.perf_counter() - started
    found = len(vocabulary) - len(missing)
    print(
        f"vectors {escape.terminal(config.vectors)}: {embeddings.shape[1]} dimensions, "
        f"{found:,} words found, {len(missing):,} not",
        flush=True,
    )
    print_doubts(learned, token_ids, validation_ids, config)
    description = {
        "corpus": corpus.name,
        "corpus_digest": corpus.digest,
        "class_names": corpus.class_names,
        "examples": {name: len(split.texts) for name, split in corpus.splits.items()},
        "vocabulary_size": len(vocabulary),
        "embedding_dim": embeddings.shape[1],
        "vectors": {"name": config.vectors, "found": found, "missing": len(missing)},
        "vectors_digest": vectors.digest,
    }
    weights = None
    if config.class_weight == "balanced":
        weights = class_balance.balanced_weights(learned.labels, len(corpus.class_names))
    return Data(
        token_ids=token_ids,
        labels=learned.labels,
        validation_ids=validation_ids,
        validation_labels=held_out.labels,
        vocabulary=vocabulary,
        embeddings=embeddings,
        class_names=corpus.class_names,
        class_weights=weights,
        description=description,
        vectors_seconds=vectors_seconds,
    )


def print_doubts(
    learned: Split, token_ids: np.ndarray, validation_ids: np.ndarray, config: Config
) -> None:
    """Print a line for each thing about the texts that makes the result doubtful."""
    found = [
        *(doubts.about_language(learned.texts) if config.split == "whitespace" else []),
        *doubts.about_copies(learned.texts),
        *doubts.about_tokens(token_ids, validation_ids, config.sequence_length),
        *doubts.about_validation(len(validation_ids)),
    ]
    for doubt in found:
        print(f"warning: {doubt}", flush=True)


def print_doubt_of_bfloat16(data: Data) -> None:
    """Print a line if computing in bfloat16 is slower than in float32 on this device."""
    from research.training import precision  # after the backend is settled

    doubt = precision.warning(data.embeddings.shape[1])
    if doubt:
        print(f"warning: {doubt}", flush=True)


def divide(corpus: Corpus, config: Config) -> tuple[Split, Split]:
    """Return what is learned from, and what the epoch is chosen on.

    Raises:
      ValueError: there are fewer examples than are wanted.
    """
    learned, held_out = corpus.splits["train"], corpus.splits["validation"]
    if config.train_examples is not None:
        learned = learned.part(splits.draw(learned.labels, config.train_examples, config.seed))
    if config.train_on == "nine-tenths-of-train":
        groups = splits.linked([splits.normalised(text) for text in learned.texts])
        is_held_out = splits.hold_out(learned.labels, groups, share=0.1)
        learned, held_out = learned.part(~is_held_out), learned.part(is_held_out)
    return learned, held_out


def build_model(config: Config, data: Data) -> "tuple[keras.Model, float]":
    """Return the model, and the seconds it took to fit its linear part, if it has one."""
    started = time.perf_counter()
    linear_part = None
    if registry.MODELS[config.model].has_linear_part:
        linear_part = fit_linear_part(config, data)
    seconds = time.perf_counter() - started
    model = registry.build(
        config.model,
        data.embeddings,
        config.sequence_length,
        len(data.class_names),
        config.model_options,
        linear_part,
    )
    return model, seconds


def fit_linear_part(config: Config, data: Data) -> linear.LinearClassifier:
    """Return the linear part of a model."""
    return linear.fit(
        np.asarray(data.token_ids),
        data.labels,
        len(data.class_names),
        data.embeddings,
        config.split,
        data.class_weights,
    )


def build_trainer(config: Config, model: "keras.Model", data: Data) -> "Trainer":
    """Return what trains the model, with its optimizer and learning rate."""
    from research.training.trainer import Trainer  # after the backend is settled

    steps = config.epochs * math.ceil(len(data.labels) / config.batch_size)
    decay_steps = steps if config.learning_rate_schedule == "linear" else None
    return Trainer(model, config.optimizer, config.learning_rate, decay_steps, data.class_weights)


def check_same_options(run: Path, given: Config) -> None:
    """Check that a run is resumed with its own options.

    Other epochs only make a run longer or shorter. Anything else would make it another run, and so
    would other epochs if the learning rate depends on their number.

    Raises:
      ValueError: an option differs.
    """
    saved = Config.read(run)
    if saved.learning_rate_schedule == "constant":
        given = replace(given, epochs=saved.epochs)
    options = given.to_json()
    for name, before in saved.to_json().items():
        if before != options[name]:
            raise ValueError(
                f"expected --{name.replace('_', '-')} {before}, with which {run} was "
                f"started, received {options[name]}; leave the option out, or start a new run"
            )


def restore(trainer: "Trainer", run: Path, epochs: int) -> Position:
    """Give a trainer the state of the last checkpoint, and return where the run stands.

    Raises:
      ValueError: the run has begun more epochs than it is to have, or is damaged.
    """
    with checkpoints.opened(run, "last") as checkpoint:
        position = checkpoint.position
        begun = position.epoch + (position.step > 0)
        if epochs < begun:
            raise ValueError(
                f"expected --epochs of {begun} or more, which {run} has begun, received {epochs}; "
                "leave the option out, or start a new run"
            )
        trainer.restore(checkpoint.arrays(trainer.forms()))
    return position


def fit(
    trainer: "Trainer",
    data: Data,
    config: Config,
    saver: Saver,
    position: Position,
    stop: Callable[[], bool],
) -> list[dict[str, Any]]:
    """Train epoch by epoch, with a checkpoint after each, and return the history."""
    steps = math.ceil(len(data.labels) / config.batch_size)
    with Display(config.epochs, steps) as display:
        while not position.is_complete(config.epochs, config.patience):
            running = train_epoch(trainer, data, config, saver, position, display, stop)
            # TensorFlow's max pooling turns NaN into -inf, so the loss alone does not tell.
            check_finite("weights", trainer.state().values(), saver.run, config, position)
            scores = validation_scores(trainer.model, data, config)
            record = {
                "epoch": position.epoch + 1,
                **running,
                "seconds": position.seconds,
                "step_time_ms": 1000 * position.seconds / position.step,
                **scores,
            }
            if position.epoch == 0:
                record["preparation_seconds"] = position.preparation_seconds
            history = [*position.history, record]
            best = epochs.best(history, config.monitor)
            position = Position(position.epoch + 1, best_epoch=best["epoch"], history=history)
            best_weights = trainer.weights() if best is record else None
            saver.save(position, trainer.state(), best_weights)
            run_folder.write_history(saver.run, history)
            display.epoch(record)  # once it is saved, since the output may be a closed pipe
            if stop() and not position.is_complete(config.epochs, config.patience):
                raise Interrupted(f"{saved_at(position)}; {how_to_resume(saver.run)}")
    return position.history


def train_epoch(
    trainer: "Trainer",
    data: Data,
    config: Config,
    saver: Saver,
    position: Position,
    display: Display,
    stop: Callable[[], bool],
) -> dict[str, float]:
    """Train to the end of an epoch, move `position` along, and return loss and accuracy."""
    examples = len(data.labels)
    order = epoch_order(config.seed, position.epoch, examples)
    started = time.perf_counter() - position.seconds
    for step, running in trainer.epoch(
        data.token_ids, data.labels, order, config.batch_size, position.step
    ):
        position.step = step
        position.seconds = time.perf_counter() - started
        check_finite("loss", [running["loss"]], saver.run, config, position)
        display.step(position.epoch, step, running, 1000 * position.seconds / step)
        if stop() and step < math.ceil(examples / config.batch_size):
            saver.save(position, trainer.state(), None)
            raise Interrupted(f"{saved_at(position)}; {how_to_resume(saver.run)}")
    return running


def epoch_order(seed: int, epoch: int, examples: int) -> np.ndarray:
    """Return the order of the examples in an epoch, counted from 0, int[examples].

    It follows from the seed and the epoch, so no generator has a state to save.
    """
    return np.random.default_rng((seed, epoch)).permutation(examples)


def validation_scores(model: "keras.Model", data: Data, config: Config) -> dict[str, Any]:
    """Return the scores on what was held out, by names that begin with `validation_`.

    How much the experts of a model count is fitted to the same examples before.
    """
    from research.training import experts  # after the backend is settled
    from research.training.inference import predict_probabilities

    if registry.MODELS[config.model].has_linear_part:
        experts.fit_exponents(
            model, data.validation_ids, data.validation_labels, data.class_weights
        )
    probabilities = predict_probabilities(model, data.validation_ids)
    scores = metrics.scores(data.validation_labels, probabilities)
    return {f"validation_{name}": value for name, value in scores.items()}


def check_finite(
    what: str, values: Iterable[Any], run: Path, config: Config, position: Position
) -> None:
    """Check that training has not diverged.

    Raises:
      ValueError: a value is NaN or infinite.
    """
    if not all(np.isfinite(value).all() for value in values):
        kept = f"the checkpoint of epoch {position.epoch} in {run}" if position.epoch else "none"
        raise ValueError(
            f"expected finite {what}, received NaN or infinity by step {position.step} of epoch "
            f"{position.epoch + 1} with learning rate {config.learning_rate}; "
            f"lower --learning-rate; last good checkpoint: {kept}"
        )


def saved_at(position: Position) -> str:
    """Return where a run was interrupted, for a person."""
    return f"saved after epoch {position.epoch}, step {position.step}"


def how_to_resume(run: Path) -> str:
    """Return how to go on after an interruption, for a person."""
    return f"continue with: python -m research.train --run-dir {run} --resume"


# --- the command ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Options:
    """What a run is made of, and where it is written."""

    config: Annotated[Config, tyro.conf.arg(name="")]
    run_dir: Path | None = None
    """The run folder; by default a new one, runs/EXPERIMENT/BACKEND-seedK."""
    resume: bool = False
    """Continue the run in --run-dir, with its options; if the learning rate is constant, --epochs
    may be another number."""


def main() -> None:
    """Parse the command line, train, and print the run folder as the last line."""
    keep_freed_memory()
    named, options = parse(sys.argv[1:])
    name = named or filed_under(options.config)
    stop = StopRequest()
    try:
        run = train(name, options.config, options.run_dir, options.resume, stop)
    except Interrupted as interrupted:
        print(escape.terminal(interrupted), file=sys.stderr)
        sys.exit(128 + (stop.signal or 0))
    if not named and options.config.corpus != Config().corpus:
        evaluate(run)
    print(f"run: {escape.terminal(run)}")


def filed_under(config: Config) -> str:
    """Return the name of a run for which no experiment was named: that of its corpus."""
    if config.corpus == Config().corpus:
        return "newsgroups"
    return corpora.name_of(config.corpus_source)


def evaluate(run: Path) -> None:
    """Score a run on its test split, in a process of its own: no command imports another."""
    print(flush=True)
    if subprocess.call([sys.executable, "-m", "research.evaluate", str(run)]):
        again = escape.terminal(f"python -m research.evaluate {run}")
        sys.exit(f"error: trained, but not evaluated; repeat: {again}")


def parse(arguments: list[str]) -> tuple[str | None, Options]:
    """Return the experiment, if one is named, and the options.

    Without a name they are those of `best` if a corpus is given, and otherwise the tutorial's. The
    options of a run to resume come from its folder.
    """
    named = arguments[0] if arguments and not arguments[0].startswith("-") else None
    arguments = arguments[1:] if named else arguments
    has_corpus = any(argument.split("=")[0] == "--corpus" for argument in arguments)
    default = experiments.get(named or "newsgroups")
    if has_corpus and not named:
        default = experiments.recommended()

    def parsed(default: Config) -> Options:
        return tyro.cli(
            Options,
            args=arguments,
            default=Options(default),
            prog=f"{command.program()} [EXPERIMENT]",
            description=f"Trains a model and writes a run folder.\n\n{experiments.overview()}",
        )

    options = parsed(default)
    if not options.resume:
        return named, options
    if options.run_dir is None:
        raise ValueError(
            "expected --run-dir with --resume, received none; give the run to continue"
        )
    if (options.run_dir / "config.json").exists():
        options = parsed(Config.read(options.run_dir))
    return named, options


if __name__ == "__main__":
    command.guard(main)
