"""Labels texts with a trained run: `python -m research.predict RUN "some text"`."""

import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, cast

import numpy as np
import tyro
from rich.console import Console
from rich.text import Text

import research
from research.data import csv_files, line_streams
from research.processes import backends, command, escape, lean_keras
from research.processes.memory import keep_freed_memory

if TYPE_CHECKING:
    from research.serving.classifier import Classifier

_TEXTS_AT_A_TIME = 1_000
_WORDS_SHOWN = 10

_Labels = list[tuple[str | None, float]]  # of a text, each with its probability


def main(
    run: Path,
    texts: tuple[str, ...] = (),
    /,
    input_path: Annotated[Path | None, tyro.conf.arg(name="input")] = None,
    output_path: Annotated[Path | None, tyro.conf.arg(name="output")] = None,
    text_column: str = "text",
    delimiter: Annotated[str | None, tyro.conf.arg(metavar="CHARACTER")] = None,
    top: int = 1,
    threshold: float = 0.0,
    explain: bool = False,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    checkpoint: Literal["best", "last"] = "best",
) -> None:
    """Prints a line for each text: label, probability, text, separated by tabs.

    Or labels the rows of a file, with --input and --output.

    Args:
      run: the run folder that `python -m research.train` printed.
      texts: the texts; if none is given, each line of standard input is a text.
      input_path: a .csv, .tsv, .jsonl or .parquet file to label instead.
      output_path: the file to write, with the same suffix: all columns of the input, and `label`
        and `probability`; or `predicted_label` and `predicted_probability` if the input has one of
        these. It replaces what is there.
      text_column: the column of the text in the input.
      delimiter: what separates the columns of a CSV file: a character, or comma, semicolon, tab or
        bar. By default the one of these that gives the column.
      top: how many labels to print, the most probable first, each with its probability.
      threshold: leave a label empty if its probability is lower.
      explain: print beneath each text the words that speak most for its label (+) and against it
        (-). The number is what the log-odds of the label lose without the word.
      as_json: print a JSON object for each text instead.
      checkpoint: the weights of the epoch with the best validation accuracy, or of the last one.
    """
    keep_freed_memory()
    _check_numbers(top, threshold)
    _check_delimiter(delimiter, input_path)
    if input_path is None and output_path is None:
        _check_texts(texts)
        classifier = _load(run, checkpoint)
        for batch in _batches(texts):
            for text, labels in zip(batch, _labels(classifier, batch, top, threshold), strict=True):
                label = labels[0][0]
                words = classifier.explain(text, label) if explain and label else []
                if as_json:
                    _print_json(text, labels, words if explain else None)
                else:
                    _print_line(text, labels, words[:_WORDS_SHOWN])
    else:
        from research.data import labelled_tables  # lazily: few need files, and so pyarrow

        extras = [*texts, *["--top"] * (top > 1), *["--explain"] * explain, *["--json"] * as_json]
        source, target = _check_files(input_path, output_path, extras)
        labelled_tables.check_paths(source, target)
        classifier = _load(run, checkpoint)

        def label_rows(of_rows: list[str]) -> _Labels:
            labels = _labels(classifier, of_rows, 1, threshold)
            return [(label, round(share, 6)) for [(label, share)] in labels]

        rows = labelled_tables.write(source, target, text_column, label_rows, delimiter)
        print(f"written to {escape.terminal(target)}: {rows:,} rows")


def _load(run: Path, checkpoint: Literal["best", "last"]) -> "Classifier":
    backends.select()
    lean_keras.load()
    return research.load(run, checkpoint)


def _check_numbers(top: int, threshold: float) -> None:
    if top < 1:
        raise ValueError(f"expected --top to be 1 or more, received {top}; give a number of labels")
    if not 0 <= threshold <= 1:  # NaN is not, either
        raise ValueError(
            f"expected --threshold to be a probability from 0 to 1, received {threshold:g}; give "
            "one, such as 0.9"
        )


def _check_texts(texts: tuple[str, ...]) -> None:
    if not texts and (sys.stdin is None or sys.stdin.isatty()):
        raise ValueError(
            "expected texts, received none; give them as arguments, as lines on standard input, or "
            "as a file with --input and --output"
        )


def _check_files(source: Path | None, target: Path | None, extras: list[str]) -> tuple[Path, Path]:
    if source is None or target is None:
        given, missing = ("--output", "--input") if source is None else ("--input", "--output")
        raise ValueError(
            f"expected --input and --output together, received only {given}; add {missing}"
        )
    if extras:
        raise ValueError(
            "expected nothing but a file to label, with a label in each row, received also "
            f"{extras[0]!r:.80}; leave it out, or leave out --input and --output"
        )
    return source, target


def _check_delimiter(delimiter: str | None, source: Path | None) -> None:
    if delimiter is None:
        return
    if source is None or source.suffix.lower() not in csv_files.SUFFIXES:
        raise ValueError(
            "expected --delimiter with a .csv or .tsv file as --input, received it without one; "
            "leave it out"
        )
    csv_files.character(delimiter)


def _batches(texts: tuple[str, ...]) -> Iterator[list[str]]:
    """Yield the texts, or the lines of standard input as soon as they arrive."""
    arriving: Iterable[list[str]] = [list(texts)]
    if not texts:
        stream = cast(io.BufferedIOBase, sys.stdin.buffer)
        arriving = line_streams.read_arriving(stream, "standard input")
    for arrived in arriving:
        for start in range(0, len(arrived), _TEXTS_AT_A_TIME):
            yield arrived[start : start + _TEXTS_AT_A_TIME]


def _labels(
    classifier: "Classifier", texts: list[str], top: int, threshold: float
) -> list[_Labels]:
    """Return the most probable labels of each text; None for one below the threshold."""
    labels = []
    for row in classifier.predict(texts):
        best = np.argsort(-row, kind="stable")[:top]
        names = [classifier.classes[i] if row[i] >= threshold else None for i in best]
        labels.append(
            [(name, round(float(row[i]), 6)) for name, i in zip(names, best, strict=True)]
        )
    return labels


def _print_json(text: str, labels: _Labels, words: list[tuple[str, float]] | None) -> None:
    answer: dict[str, object] = {
        "text": text,
        "predictions": [
            {"label": label, "probability": round(share, 6)} for label, share in labels
        ],
    }
    if words is not None:
        answer["words"] = [(word, round(contribution, 6)) for word, contribution in words]
    print(escape.json_line(answer, sys.stdout.encoding), flush=True)


def _print_line(text: str, labels: _Labels, words: list[tuple[str, float]]) -> None:
    columns = [column for label, share in labels for column in (label or "", f"{share:.4f}")]
    # Tabs and line breaks would break the columns and lines. --json keeps them.
    line = "\t".join(map(escape.terminal, [*columns, " ".join(text.split())]))
    print(line, flush=True)
    if words:
        shown = [
            (
                f"  {contribution:+.2f} {escape.terminal(word)}",
                "green" if contribution > 0 else "red",
            )
            for word, contribution in words
        ]
        Console(soft_wrap=True).print(Text.assemble(" ", *shown))


if __name__ == "__main__":
    command.run(main, prints_only=True)
