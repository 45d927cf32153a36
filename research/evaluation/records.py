"""The committed records, and how their results compare.

A record is one JSON file: options, data, environment, metrics and history of one run. A result is
all records that differ only by their seed; it is a row of a table.
"""

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from research.evaluation import metrics, significance
from research.files import atomic
from research.models.registry import MODELS
from research.processes import hardware
from research.training.checkpoints import Checkpoint

Record = dict[str, Any]

_OF_BASELINE = ("method", "ngrams", "truncated", "refitted", "train_examples")


@dataclass(frozen=True)
class Result:
    """Records that differ only by their seed.

    Attributes:
      source: their path in `results/runs`, without the seed.
      records: sorted by seed.
    """

    source: str
    records: list[Record]

    @property
    def config(self) -> dict[str, Any]:
        """The options; the seed is that of the first record."""
        options: dict[str, Any] = self.records[0]["config"]
        return options

    @property
    def corpus(self) -> str:
        """The name of the corpus, which also fixes the splits."""
        return str(self.records[0]["data"]["corpus"])

    @property
    def is_network(self) -> bool:
        """Whether it is a network; otherwise it is a baseline."""
        return "model" in self.config

    @property
    def saw_validation(self) -> bool:
        """Whether it learned from train + validation."""
        return bool(self.config.get("refitted"))

    @property
    def train_examples(self) -> int | None:
        """The number of texts that it learned from; None if it is the whole split."""
        number: int | None = self.config.get("train_examples")
        return number

    @property
    def backend(self) -> str:
        """The library that computed it."""
        return str(self.records[0]["environment"][-1]["backend"])

    @property
    def kind(self) -> str:
        """The title of the model or of the baseline's method."""
        if self.is_network:
            model = self.config["model"]
            return MODELS[model].title if model in MODELS else str(model)
        return str(self.config["method"])

    @property
    def method(self) -> str:
        """The kind with the options that matter, whatever it learned from."""
        config = self.config
        if not self.is_network:
            words = "1-grams" if config["ngrams"] == 1 else f"1- to {config['ngrams']}-grams"
            length = f", {config['sequence_length']} tokens" if config["truncated"] else ""
            return f"{self.kind}, {words}{length}"
        if config["vectors"].startswith("random"):
            vectors = f"{config['vectors']}, "
            vectors += "trained" if config["trainable_embeddings"] else "frozen"
        else:
            vectors = f"{config['vectors']} "
            vectors += "fine-tuned" if config["trainable_embeddings"] else "frozen"
        precision = "" if config["precision"] == "float32" else f", {config['precision']}"
        return f"{self.kind}, {vectors}{precision}"

    @property
    def variant(self) -> str:
        """What tells it from others of its kind, in a word or two."""
        if not self.is_network:
            return "words" if self.config["ngrams"] == 1 else "words and pairs"
        if self.config["vectors"].startswith("random"):
            return "random"
        return "fine-tuned" if self.config["trainable_embeddings"] else "frozen"

    @property
    def label(self) -> str:
        """The method, and what it learned from if that is more than train."""
        return f"{self.method}, train + validation" if self.saw_validation else self.method

    @cached_property
    def accuracy(self) -> significance.OverSeeds:
        """The accuracy over the seeds."""
        return significance.over_seeds([record["metrics"]["accuracy"] for record in self.records])

    @property
    def macro_f1(self) -> significance.OverSeeds:
        """The macro-F1 over the seeds."""
        return significance.over_seeds([record["metrics"]["macro_f1"] for record in self.records])

    @property
    def ece(self) -> significance.OverSeeds | None:
        """The expected calibration error over the seeds; None if a record lacks it."""
        values = [record["metrics"].get("ece") for record in self.records]
        return None if None in values else significance.over_seeds(values)

    @property
    def seconds(self) -> float:
        """The training time of the quickest run: of all epochs, or of a hyperparameter's values.

        Other work on the machine makes runs slower and never quicker.
        """
        return training_seconds(self._quickest["history"])

    @property
    def machine(self) -> str:
        """What the quickest run was computed on."""
        return machine(self._quickest)

    @property
    def _quickest(self) -> Record:
        return min(self.records, key=lambda record: training_seconds(record["history"]))

    @property
    def validation_accuracy(self) -> float:
        """The best accuracy on validation in the first record; 0 if it has none."""
        history = self.records[0]["history"]
        return max(float(line.get("validation_accuracy", 0)) for line in history)

    @cached_property
    def correct(self) -> np.ndarray | None:
        """Which examples each run labels right, bool[runs, examples]; None for old records."""
        if not all("predictions" in record["metrics"] for record in self.records):
            return None
        pairs = [metrics.read_predictions(r["metrics"]["predictions"]) for r in self.records]
        return np.array([labels == predictions for labels, predictions in pairs])


def machine(record: Record) -> str:
    """Return the device that a record was computed on: the processor and its cores, or the GPU."""
    environment = record["environment"][-1]
    device = environment["device"]
    if device.startswith("cpu"):
        cores = environment["cpu_cores"]
        return f"{hardware.label(environment)}, {cores} core{'s' * (cores > 1)}"
    return str(device)


def training_seconds(history: Iterable[Mapping[str, float]]) -> float:
    """Return the seconds of all epochs, and of what came before the first."""
    return sum(line["seconds"] + line.get("preparation_seconds", 0.0) for line in history)


def of_run(checkpoint: Checkpoint, scores: Mapping[str, Any]) -> Record:
    """Return the record of an evaluated run.

    Args:
      checkpoint: the evaluated one.
      scores: its metrics.

    Raises:
      ValueError: a file of the run is damaged.
    """
    config = checkpoint.json("config.json")
    # Paths are those of one machine. Digests identify the corpus and the vectors anywhere.
    config |= {"corpus_path": None, "vectors": Path(config["vectors"]).name}
    data = checkpoint.json("data.json")
    data["vectors"]["name"] = config["vectors"]
    return {
        "config": config,
        "data": data,
        "environment": [
            process | {"command": _without_places(process["command"])}
            for process in checkpoint.json("environment.json")
        ],
        "metrics": dict(scores),
        "history": checkpoint.position.history,
    }


def _without_places(command: str) -> str:
    """Return a command with the names of files and folders in place of absolute paths."""
    words = (Path(word).name if word.startswith("/") else word for word in shlex.split(command))
    return shlex.join(words)


def load(path: Path) -> Record:
    """Read one record.

    Raises:
      ValueError: the file is not a record.
      OSError: it cannot be read.
    """
    record = atomic.read_json(path)
    parts = {"config": dict, "data": dict, "environment": list, "metrics": dict, "history": list}
    if not isinstance(record, dict) or not all(
        isinstance(record.get(name), kind) for name, kind in parts.items()
    ):
        raise ValueError(
            f"expected a record with {', '.join(parts)} in {path}, received other JSON; "
            "move it away, and evaluate the run again with --record"
        )
    return record


def read(folder: Path, defaults: Mapping[str, Any]) -> list[Result]:
    """Read all records and group those that differ only by their seed.

    Args:
      folder: with records anywhere in it.
      defaults: of the options of a network. A record that is older than an option gets its default.

    Raises:
      ValueError: there are no records; or those of a result have different options; or those of a
        corpus have different texts or splits; or a network without a test split was scored with
        the weights of its best epoch, which was chosen on the same examples.
    """
    records_of: dict[str, list[Record]] = {}
    for path in sorted(folder.rglob("*.json"), key=_by_seed):
        record = load(path)
        if "model" in record["config"]:
            record["config"] = {**defaults, **record["config"]}
        scores = record["metrics"]
        is_best_of_split = scores["split"] != "test" and scores.get("checkpoint") == "best"
        if scores.get("chosen_on_split", is_best_of_split):
            raise ValueError(
                f"expected the scores of the last epoch in {path}, received those of the best "
                "epoch, which was chosen on the scored examples; evaluate with --checkpoint last"
            )
        records_of.setdefault(_source(path, folder), []).append(record)
    if not records_of:
        raise ValueError(
            f"expected records in {folder}, received none; "
            "python -m research.evaluate RUN --record PATH writes one"
        )
    results = [Result(source, records) for source, records in records_of.items()]
    _check_comparable(results)
    return results


def section(results: Iterable[Result]) -> list[Result]:
    """Return one result for each experiment and baseline, the most accurate first.

    An experiment that ran on several backends is represented by the backend with most runs. If
    several have as many, it is the quickest of them.
    """
    chosen: dict[str, Result] = {}
    for result in sorted(results, key=lambda result: (-len(result.records), result.seconds)):
        name = result.source.rpartition("/")[0] if result.is_network else result.source
        chosen.setdefault(name, result)
    return sorted(chosen.values(), key=lambda result: -result.accuracy.mean)


def comparisons(pairs: Sequence[tuple[Result, Result]]) -> list[significance.Comparison | None]:
    """Compare each pair; None for a pair of which a record lacks predictions.

    The p-values are corrected by Holm's method for the number of pairs.
    """
    compared = [
        significance.compare(one.correct, other.correct)
        if one.correct is not None and other.correct is not None
        else None
        for one, other in pairs
    ]
    corrected = iter(significance.holm([of_pair.p_value for of_pair in compared if of_pair]))
    return [of_pair and of_pair._replace(p_value=next(corrected)) for of_pair in compared]


def strongest_baseline(results: Iterable[Result]) -> Result | None:
    """Return the baseline with the best validation accuracy, of those that learned from train only.

    It is chosen on validation, so the test split has no part in the choice. A part of one of our
    models does not count as a baseline. None if there is no baseline.
    """
    candidates = [
        result for result in results if not result.is_network and not result.saw_validation
    ]
    return max(candidates, key=lambda result: result.validation_accuracy, default=None)


def references(results: Sequence[Result]) -> list[Result | None]:
    """Return the baseline that each result is compared with; None if there is no baseline.

    A train-only result is compared with the strongest baseline. A train + validation result is
    compared with that baseline refitted on both, if there is a record of it.
    """
    strongest = strongest_baseline(results)
    if strongest is None:
        return [None] * len(results)
    wanted = _of_baseline(strongest.config | {"refitted": True})
    refitted = next(
        (r for r in results if not r.is_network and _of_baseline(r.config) == wanted),
        strongest,
    )
    return [refitted if result.saw_validation else strongest for result in results]


def over_references(results: Sequence[Result]) -> list[significance.Comparison | None]:
    """Compare each result with its reference; None for a reference itself."""
    pairs = list(zip(results, references(results), strict=True))
    compared = iter(
        comparisons([(one, other) for one, other in pairs if other and one is not other])
    )
    return [next(compared) if other and one is not other else None for one, other in pairs]


def _source(path: Path, folder: Path) -> str:
    return re.sub(r"-seed\d+$", "", path.relative_to(folder).with_suffix("").as_posix())


def _by_seed(path: Path) -> tuple[str, int]:
    name, _, seed = path.stem.rpartition("-seed")
    return (str(path.parent / name), int(seed)) if seed.isdigit() and name else (str(path), 0)


def _of_baseline(config: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(config.get(option) for option in _OF_BASELINE)


def _check_comparable(results: Sequence[Result]) -> None:
    for result in results:
        for record in result.records:
            options = _options(record["config"])
            _check_same(result.source, "options", _options(result.config), options)
            _check_same(result.source, "data", _data(result.records[0]), _data(record))
    for one, other in pairwise(sorted(results, key=lambda result: result.corpus)):
        if one.corpus == other.corpus:
            both = f"{one.source} and {other.source}"
            _check_same(both, "data", _data(one.records[0]), _data(other.records[0]))


def _options(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options without the seed, and without what a baseline chose on validation."""
    if "model" not in config:
        return {
            "corpus": config["corpus"],
            **dict(zip(_OF_BASELINE, _of_baseline(config), strict=True)),
        }
    return {name: value for name, value in config.items() if name != "seed"}


def _data(record: Record) -> dict[str, Any]:
    return {
        "corpus_digest": record["data"]["corpus_digest"],
        "split": record["metrics"]["split"],
    }


def _check_same(where: str, what: str, one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    differing = [name for name in one.keys() & other.keys() if one[name] != other[name]]
    if differing:
        raise ValueError(
            f"expected the same {what} in all records of {where}, received different "
            f"{', '.join(sorted(differing))}; make the older ones again"
        )
