"""The table of how long a classifier takes to become accurate."""

import math
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.tables import markdown
from research.processes import hardware

_SVM = "scikit-learn"
_TITLES = {_SVM: "TF-IDF + LinearSVC", "linear part": "the linear part alone"}
_PARTS = ("tokens", "vectors", "linear part", "building", "epochs")

Row = dict[str, Any]


def page(record: dict[str, Any]) -> str:
    """Return the page in Markdown.

    Args:
      record: the content of the record of `benchmarks.time_to_accuracy`.
    """
    machine, seeds = record["machine"], record["method"]["seeds"]
    parts = ["# Time to accuracy\n"]
    for name, corpus in record["corpora"].items():
        of_contender: dict[str, list[Row]] = {}
        for row in record["rows"]:
            if row["corpus"] == name:
                of_contender.setdefault(row["contender"], []).append(row)
        parts += [f"## {name}\n", _about(corpus), _table(of_contender), _by_part(of_contender)]
    parts += [
        "**What the clock has.** It starts when the texts are in memory, divided into what is "
        "learned from and what is held out, and the libraries are imported. It has the vocabulary "
        "and the token ids, which are made anew, the word vectors, which are read from the cache "
        "and checked, and all of training, with compiling. Our rows include the accuracy on the "
        f"held-out texts, which is computed before the first epoch and after each. That of "
        f"{_TITLES[_SVM]} does not, so its seconds end with its fit. Not in the clock: reading the "
        "corpus, fetching and parsing the vectors once, checkpoints, and importing the libraries, "
        "for ours with TensorFlow's start, as it splits the texts. *Imports* has those seconds. "
        "*Whole process* is from its start to its end, and *processor* the seconds of all its "
        "threads.\n",
        f"**How it was run.** Each contender ran with the seeds {', '.join(map(str, seeds))}, "
        "each in a fresh process, all in one random order. No run was picked or left out. Seconds "
        "are medians [lowest, highest]. A run that ended without the accuracy counts as longer "
        "than any other. The accuracy to reach is that of one fit of "
        f"{_TITLES[_SVM]} with seed 0; another seed may give it a text more or less. The linear "
        "part has nothing random. When to stop is chosen on the held-out texts, and so are the two "
        "exponents of the whole model. So these accuracies are no test accuracies.\n",
        f"Measured on {hardware.label(machine)}, {machine['threads']} threads, load average "
        f"{record['load_before']:.2f} before the first process, commit {machine['commit']}.\n",
        *(f"Doubtful: {doubt}.\n" for doubt in record["doubts"]),
    ]
    failed = [row for row in record["rows"] if "failed" in row]
    if failed:
        lines = (
            f"- {row['corpus']}: {row['contender']}, seed {row['seed']}: {row['failed']}\n"
            for row in failed
        )
        parts.append("Failed:\n\n" + "".join(lines))
    return "\n".join(parts)


def _about(corpus: dict[str, Any]) -> str:
    examples = corpus["examples"]
    held_out = "the validation split"
    if corpus["train_on"] == "nine-tenths-of-train":
        held_out = "a tenth of the train split, since validation stands for the test split here"
    return (
        f"Learned from {examples['train']:,} texts, scored on {examples['validation']:,}: "
        f"{held_out}. The accuracy to reach is **{corpus['target']:.2%}**. The model is that of "
        f"the experiment `{corpus['experiment']}`, with at most {corpus['most_epochs']} epochs.\n"
    )


def _table(of_contender: dict[str, list[Row]]) -> str:
    columns = [
        *("what", "seconds", f"times {_TITLES[_SVM]}", "accuracy when stopped", "epochs"),
        *("reached", "imports (s)", "whole process (s)", "processor (s)"),
    ]
    own = _median(_seconds(of_contender[_SVM]))
    cells = []
    for contender, rows in of_contender.items():
        seconds, finished = _seconds(rows), [row for row in rows if "failed" not in row]
        ratio = _median(seconds) / own if math.isfinite(own) else math.nan
        accuracies = [row["checks"][-1]["accuracy"] for row in finished]
        cells.append(
            [
                _title(contender),
                _with_range(seconds),
                f"{ratio:.2f}" if math.isfinite(ratio) else "–",  # noqa: RUF001
                _range([f"{value:.2%}" for value in sorted(accuracies)]),
                _range([str(e) for e in sorted(row["checks"][-1]["epoch"] for row in finished)]),
                f"{sum(row['reached'] for row in finished)} of {len(rows)}",
                *(
                    f"{statistics.median(row[cost] for row in finished):.1f}" if finished else ""
                    for cost in ("imports_s", "process_s", "processor_s")
                ),
            ]
        )
    return markdown.table(columns, cells, text_columns=["what"])


def _by_part(of_contender: dict[str, list[Row]]) -> str:
    cells = []
    for contender, rows in of_contender.items():
        finished = [row["parts"] for row in rows if "failed" not in row]
        of_parts = [[parts[part] for parts in finished if part in parts] for part in _PARTS]
        cells.append(
            [_title(contender), *(f"{statistics.median(s):.2f}" if s else "" for s in of_parts)]
        )
    columns = ["seconds of a part, median", *_PARTS]
    return markdown.table(columns, cells, text_columns=columns[:1])


def _title(contender: str) -> str:
    return _TITLES.get(contender, f"the whole model, {contender}")


def _seconds(rows: Sequence[Row]) -> list[float]:
    """Return the seconds of each run, infinite for those that ended without the accuracy."""
    return [row["seconds"] if row.get("reached") else math.inf for row in rows]


def _median(seconds: Sequence[float]) -> float:
    """Return the median; of two in the middle, the larger, as one may be infinite."""
    return statistics.median_high(seconds)


def _with_range(seconds: Sequence[float]) -> str:
    low, middle, high = (
        f"{value:.2f}" if math.isfinite(value) else "not reached"
        for value in (min(seconds), _median(seconds), max(seconds))
    )
    return f"{middle} [{low}, {high}]"


def _range(cells: Sequence[str]) -> str:
    """Return the least and the greatest of sorted cells, or the one that all are."""
    return " to ".join(dict.fromkeys([*cells[:1], *cells[-1:]]))
