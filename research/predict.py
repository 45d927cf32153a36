"""Labels texts with a trained run: `python -m research.predict RUN "some text"`."""

import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

import research
from research.data.text_files import MAX_CHARACTERS
from research.processes import command, escape
from research.processes.memory import keep_freed_memory

_TEXTS_AT_A_TIME = 1_000


def main(
    run: Path,
    texts: tuple[str, ...] = (),
    /,
    top: int = 1,
    as_json: Annotated[bool, tyro.conf.arg(name="json")] = False,
    checkpoint: Literal["best", "last"] = "best",
) -> None:
    """Prints a line for each text: label, probability, text, separated by tabs.

    Args:
      run: the run folder that `python -m research.train` printed.
      texts: the texts; if none is given, each line of standard input is a text.
      top: how many labels to print, the most probable first, each with its probability.
      as_json: print a JSON object for each text instead.
      checkpoint: the weights of the epoch with the best validation accuracy, or of the last one.
    """
    keep_freed_memory()
    if not texts and (sys.stdin is None or sys.stdin.isatty()):
        raise ValueError(
            "expected texts, received none; give them as arguments, or as lines on standard input"
        )
    classifier = research.load(run, checkpoint)
    if not 1 <= top <= len(classifier.classes):
        raise ValueError(
            f"expected --top to be from 1 to {len(classifier.classes)}, the number of classes, "
            f"received {top}"
        )
    source = iter(texts) if texts else _lines()
    while batch := list(islice(source, _TEXTS_AT_A_TIME)):
        for text, row in zip(batch, classifier.predict(batch), strict=True):
            print(_line(text, row, classifier.classes, top, as_json), flush=True)


def _lines() -> Iterator[str]:
    number = 0
    while line := sys.stdin.buffer.readline(MAX_CHARACTERS + 1):
        number += 1
        if len(line) > MAX_CHARACTERS:
            raise ValueError(
                f"expected at most {MAX_CHARACTERS:,} bytes in a line of standard input, received "
                f"more in line {number}; divide it into texts"
            )
        try:
            yield line.decode().rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise ValueError(
                f"expected UTF-8 on standard input, received {error.object[error.start]:#04x} at "
                f"byte {error.start} of line {number}; convert the text, for example with iconv"
            ) from None


def _line(text: str, row: np.ndarray, classes: Sequence[str], top: int, as_json: bool) -> str:
    best = np.argsort(-row, kind="stable")[:top]
    if as_json:
        labels = [{"label": classes[i], "probability": round(float(row[i]), 6)} for i in best]
        return escape.json_line({"text": text, "predictions": labels}, sys.stdout.encoding)
    columns = [column for i in best for column in (classes[i], f"{row[i]:.4f}")]
    # Tabs and line breaks would break the columns and lines. --json keeps them.
    return "\t".join(map(escape.terminal, [*columns, " ".join(text.split())]))


if __name__ == "__main__":
    command.run(main, prints_only=True)
