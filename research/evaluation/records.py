"""The committed records as rows of tables, and how rows compare."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from research.config import Config
from research.evaluation import metrics, significance
from research.files import atomic

NETWORKS = {
    "tutorial": "CNN of the tutorial",
    "kim": "CNN of Kim 2014",
    "wide-deep": "wide & deep CNN",
}

Record = dict[str, Any]


@dataclass(frozen=True)
class Row:
    """Records that differ by their seed alone.

    Attributes:
      source: their path in `results/runs`, without seed.
      records: in the order of their seeds.
    """

    source: str
    records: list[Record]

    @property
    def config(self) -> dict[str, Any]:
        """The options, of which the seed is that of the first record."""
        options: dict[str, Any] = self.records[0]["config"]
        return options

    @property
    def corpus(self) -> str:
        """The corpus, which is the protocol."""
        return str(self.config["corpus"])

    @property
    def is_network(self) -> bool:
        """Whether it is no baseline."""
        return "model" in self.config

    @property
    def is_ours(self) -> bool:
        """Whether it is a network, or a part of one by itself."""
        return self.is_network or bool(self.config.get("ours"))

    @property
    def saw_validation(self) -> bool:
        """Whether it learned from the validation split too."""
        options = self.config
        if self.is_network:
            return bool(options["train_on"] == "train+validation")
        return bool(options["refitted"])

    @property
    def backend(self) -> str:
        """What it was computed with."""
        return str(self.records[0]["environment"][-1]["backend"])

    @property
    def method(self) -> str:
        """What it is, in a few words."""
        config = self.config
        if self.is_network:
            if config["vectors"].startswith("random"):
                vectors = f"{config['vectors']}, "
                vectors += "trained" if config["trainable_embeddings"] else "frozen"
            else:
                vectors = f"{config['vectors']} "
                vectors += "fine-tuned" if config["trainable_embeddings"] else "frozen"
            if config["precision"] != "float32":
                vectors += f", {config['precision']}"
            return f"{NETWORKS.get(config['model'], config['model'])}, {vectors}{self._learned}"
        words = "1-grams" if config["ngrams"] == 1 else f"1- to {config['ngrams']}-grams"
        length = f", {config['sequence_length']} tokens" if config["truncated"] else ""
        return f"{config['method']}, {words}{length}{self._learned}"

    @property
    def _learned(self) -> str:
        return ", train + validation" if self.saw_validation else ""

    @cached_property
    def accuracy(self) -> significance.OverSeeds:
        """Its accuracy over the seeds."""
        return significance.over_seeds([record["metrics"]["accuracy"] for record in self.records])

    @property
    def macro_f1(self) -> significance.OverSeeds:
        """Its macro-F1 over the seeds."""
        return significance.over_seeds([record["metrics"]["macro_f1"] for record in self.records])

    @property
    def seconds(self) -> float:
        """Its mean time of training: all epochs, or all values tried of a hyperparameter."""
        return float(np.mean([sum(line["seconds"] for line in r["history"]) for r in self.records]))

    @property
    def validation_accuracy(self) -> float:
        """The best that was seen on validation, by the first record."""
        history = self.records[0]["history"]
        return max(float(line.get("validation_accuracy", 0)) for line in history)

    @cached_property
    def correct(self) -> np.ndarray | None:
        """Which examples each run labelled right, bool[runs, examples]; None for old records."""
        if not all("predictions" in record["metrics"] for record in self.records):
            return None
        pairs = [metrics.read_predictions(r["metrics"]["predictions"]) for r in self.records]
        return np.array([labels == predictions for labels, predictions in pairs])


def read(folder: Path) -> list[Row]:
    """Reads all records and puts those together that differ by their seed alone.

    Raises:
      ValueError: there are none; or two of a row have other options, or two of a corpus other
        texts or another split; or a network without a test split has the weights of an epoch that
        was chosen on the examples that are scored.
    """
    found: dict[str, list[Record]] = {}
    for path in sorted(folder.rglob("*.json"), key=_by_seed):
        record = atomic.read_json(path)
        if "model" in record["config"]:  # an option younger than the record had its default
            record["config"] = Config().to_json() | record["config"]
        scores = record["metrics"]
        if scores["split"] != "test" and scores.get("checkpoint") == "best":
            raise ValueError(
                f"expected the weights of the last epoch in {path}, received those of the best, "
                "which was chosen on the examples that are scored; evaluate --checkpoint last"
            )
        found.setdefault(_source(path, folder), []).append(record)
    if not found:
        raise ValueError(
            f"expected records in {folder}, received none; "
            "python -m research.evaluate RUN --record PATH writes one"
        )
    rows = [Row(source, records) for source, records in found.items()]
    for row in rows:
        for record in row.records:
            _check_same(row.source, "options", _options(row.config), _options(record["config"]))
            _check_same(row.source, "data", _data(row.records[0]), _data(record))
    for one, other in pairwise(sorted(rows, key=lambda row: row.corpus)):
        if one.corpus == other.corpus:
            both = f"{one.source} and {other.source}"
            _check_same(both, "data", _data(one.records[0]), _data(other.records[0]))
    return rows


def section(rows: Iterable[Row]) -> list[Row]:
    """Returns one row for each experiment and baseline, the most accurate first.

    Of an experiment that ran on several backends, it is the backend with most runs, and of equals
    the quickest.
    """
    chosen: dict[str, Row] = {}
    for row in sorted(rows, key=lambda row: (-len(row.records), row.seconds)):
        chosen.setdefault(row.source.rpartition("/")[0] if row.is_network else row.source, row)
    return sorted(chosen.values(), key=lambda row: -row.accuracy.mean)


def comparisons(pairs: Sequence[tuple[Row, Row]]) -> list[significance.Comparison | None]:
    """Compares each pair; p-values are Holm's for all of them. None where predictions lack."""
    compared = [
        significance.compare(one.correct, other.correct)
        if one.correct is not None and other.correct is not None
        else None
        for one, other in pairs
    ]
    corrected = iter(significance.holm([found.p_value for found in compared if found]))
    return [found and found._replace(p_value=next(corrected)) for found in compared]


def strongest_baseline(rows: Iterable[Row]) -> Row | None:
    """Returns the baseline with the best accuracy on validation, of those trained on train alone.

    So nothing is chosen on the test split. Without a test split it is the best of those scored. A
    part of one of our models is no baseline.
    """
    fair = [row for row in rows if not row.is_ours and not row.saw_validation]
    return max(fair, key=lambda row: row.validation_accuracy, default=None)


def references(rows: Sequence[Row]) -> list[Row | None]:
    """Returns the baseline that each row is compared with; None where there is none at all.

    It is the strongest, and for a row that learned from validation too, the strongest refitted on
    that as well.
    """
    strongest = strongest_baseline(rows)
    if strongest is None:
        return [None] * len(rows)
    refitted = strongest.config | {"refitted": True}
    equal = [row for row in rows if not row.is_network and _method(row.config) == _method(refitted)]
    return [(equal or [strongest])[0] if row.saw_validation else strongest for row in rows]


def _method(config: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(config[option] for option in ("method", "ngrams", "truncated", "refitted"))


def over_strongest(rows: Sequence[Row]) -> list[significance.Comparison | None]:
    """Compares each row with its reference; a reference itself gets None."""
    pairs = list(zip(rows, references(rows), strict=True))
    found = iter(comparisons([(row, other) for row, other in pairs if other and row is not other]))
    return [None if other is None or row is other else next(found) for row, other in pairs]


def _source(path: Path, folder: Path) -> str:
    return re.sub(r"-seed\d+$", "", path.relative_to(folder).with_suffix("").as_posix())


def _by_seed(path: Path) -> tuple[str, int]:
    name, _, seed = path.stem.rpartition("-seed")
    return (str(path.parent / name), int(seed)) if seed.isdigit() and name else (str(path), 0)


def _options(config: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in config.items() if name != "seed"}


def _data(record: Record) -> dict[str, Any]:
    return {
        "corpus_digest": record["data"]["corpus_digest"],
        "split": record["metrics"]["split"],
    }


def _check_same(where: str, what: str, one: dict[str, Any], other: dict[str, Any]) -> None:
    differing = [name for name in one.keys() & other.keys() if one[name] != other[name]]
    if differing:
        raise ValueError(
            f"expected the same {what} in all records of {where}, received other "
            f"{', '.join(sorted(differing))}; make the older ones again"
        )
