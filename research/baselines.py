"""Trains baselines on a corpus and writes their records: `python -m research.baselines CORPUS`.

They are linear models on bags of words, naive Bayes and fastText, on the same splits as the
networks. They learn from the train split, and their one hyperparameter is chosen on validation. The
test split is used once for each. A corpus without a test split is scored on validation, so nothing
is chosen there and the default is used.
"""

import importlib.util
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import tyro

from research import experiments
from research.data import corpora, splits
from research.data.corpora import Corpus, CorpusSource
from research.evaluation import baseline_methods
from research.evaluation.baseline_methods import Baseline, TokenLimits
from research.files import atomic
from research.processes import backends, command, escape, provenance

PACKAGES = ("scikit-learn", "scipy", "numpy", "fasttext-community")


def main(
    corpus: Annotated[CorpusSource, tyro.conf.arg(name="")],
    results: Path = Path("runs/records/baselines"),
    train_examples: int | None = None,
    seed: int = 0,
) -> None:
    """Trains all baselines on a corpus and writes a record of each.

    Args:
      corpus: which corpus, and where it is.
      results: the folder of the records; they go into a folder in it, named after the corpus.
        Those of the project's own tables are in results/runs/baselines.
      train_examples: texts to learn from, a seeded share of each class, as `--train-examples` of
        `research.train`. Only linear SVMs are trained then.
      seed: of the share.
    """
    backends.select()  # the tokenizer is Keras's
    loaded = corpora.load(corpus, splits=None)
    for note in loaded.notes:
        print(escape.terminal(note))
    chosen = choose_baselines("test" in loaded.splits)
    if train_examples is not None:
        train = loaded.splits["train"]
        part = train.part(splits.draw(train.labels, train_examples, seed))
        loaded = replace(loaded, splits=loaded.splits | {"train": part})
        chosen = [Baseline("svm", ngrams=1), Baseline("svm", ngrams=2)]
    limits = {baseline.limits for baseline in chosen if baseline.limits}
    truncated = {of_one: baseline_methods.truncate(loaded.splits, of_one) for of_one in limits}
    for baseline in chosen:
        texts = truncated[baseline.limits] if baseline.limits else loaded.splits
        environment = provenance.environment("scikit-learn", "cpu", PACKAGES)
        scored = baseline_methods.run(baseline, texts, loaded.class_names)
        name = baseline.name
        if train_examples is not None:
            scored["config"] |= {"train_examples": train_examples, "seed": seed}
            name = f"{name}-{train_examples}texts-seed{seed}"
        path = results / loaded.name / f"{name}.json"
        atomic.write_json(path, make_record(loaded, environment, scored))
        scores = scored["metrics"]
        written = escape.terminal(path)
        print(f"{scores['split']} accuracy {scores['accuracy']:.4f}: {written}", flush=True)


def all_baselines() -> list[Baseline]:
    """Return the baselines of the tables; some see the same tokens as a network."""
    tutorial = token_limits("newsgroups")
    return [
        *(
            Baseline(method, ngrams, limits)
            for method in ("svm", "logistic")
            for limits in (None, tutorial)
            for ngrams in (1, 2)
        ),
        Baseline("svm", ngrams=1, refitted=True),  # as in published figures
        Baseline("svm", ngrams=2, refitted=True),
        Baseline("bayes"),
        Baseline("fasttext"),
    ]


def token_limits(experiment: str) -> TokenLimits:
    """Return how much of a text the network of an experiment sees."""
    config = experiments.get(experiment)
    return TokenLimits(config.vocabulary_size, config.sequence_length)


def choose_baselines(has_test: bool) -> list[Baseline]:
    """Return the baselines that can be trained here and scored on this corpus."""
    chosen = all_baselines()
    if not importlib.util.find_spec("fasttext"):
        print("fasttext: left out; to include it, pip install fasttext-community")
        chosen = [baseline for baseline in chosen if baseline.method != "fasttext"]
    # Without a test split they are scored on validation, so they must not learn from it.
    return [baseline for baseline in chosen if has_test or not baseline.refitted]


def make_record(
    corpus: Corpus, environment: dict[str, Any], scored: dict[str, Any]
) -> dict[str, Any]:
    """Return the record of a baseline that was scored."""
    return {
        "config": {"corpus": corpus.name, **scored["config"]},
        "data": {
            "corpus": corpus.name,
            "corpus_digest": corpus.digest,
            "class_names": corpus.class_names,
            "examples": {name: len(split.texts) for name, split in corpus.splits.items()},
        },
        "environment": [environment],
        "metrics": scored["metrics"],
        "history": scored["history"],
    }


if __name__ == "__main__":
    command.run(main)
