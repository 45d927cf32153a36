"""Rows of CSV files, and what separates their columns.

What separates the columns is not guessed from how the file looks. The header has the wanted columns
only if it is divided at the right character.
"""

import contextlib
import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from research.data import text_files
from research.data.rows import check_columns
from research.data.text_files import shown

SUFFIXES = (".csv", ".tsv")
DELIMITERS = {"comma": ",", "semicolon": ";", "tab": "\t", "bar": "|"}
"""What separates columns, by the names that are easier to type."""


class CsvTable(NamedTuple):
    """An open CSV file.

    Attributes:
      delimiter: what separates the columns.
      header: the names of the columns.
      rows: the fields of each row, as many as there are columns.
      notes: a line if the form of the file is unusual.
    """

    delimiter: str
    header: list[str]
    rows: Iterator[list[str]]
    notes: list[str]


def open_csv(path: Path, wanted: list[str], delimiter: str | None = None) -> CsvTable:
    """Open a CSV file in the form in which the wanted columns are in its header.

    Args:
      path: the file.
      wanted: the names of the columns of the text, the class and the split, or the first of these.
      delimiter: what separates the columns: a character, or a key of `DELIMITERS`. None for the one
        of these that gives the wanted columns.

    Raises:
      ValueError: the header does not have each of the columns exactly once, the file is no CSV, or
        `delimiter` is no such character. While rows are read: one has not as many fields as the
        header.
      OSError: the file could not be read.
    """
    usual = "\t" if path.suffix.lower() == ".tsv" else ","
    if delimiter is None:
        candidates = sorted(DELIMITERS.values(), key=lambda candidate: candidate != usual)
    else:
        candidates = [character(delimiter)]
    # Where none gives all columns, the message shows what comes closest.
    chosen = max(candidates, key=lambda candidate: _fit(path, candidate, wanted))
    records = _records(path, chosen)
    _, header = next(records, (range(0), []))
    place = f"the first line of {shown(path)}"
    check_columns(place, wanted, header, _other_advice(header, delimiter))
    unusual = []
    if delimiter is None and chosen != usual:
        unusual.append(f"separated by {_in_words(chosen)}")
    if text_files.has_byte_order_mark(path):
        unusual.append("with a byte-order mark")
    notes = [f"{path.name}: {', '.join(unusual)}"] if unusual else []
    return CsvTable(chosen, header, _rows(path, chosen, header, records), notes)


@contextlib.contextmanager
def long_fields() -> Iterator[None]:
    """Let the process read fields of a CSV up to the length of the longest text."""
    previous_limit = csv.field_size_limit(text_files.MAX_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(previous_limit)


def _rows(
    path: Path, delimiter: str, header: list[str], records: Iterator[tuple[range, list[str]]]
) -> Iterator[list[str]]:
    for lines, record in records:
        if len(record) != len(header):
            raise ValueError(
                f"expected as many fields as in the header ({len(header):,}) in "
                f"{_place(path, lines)}, received {len(record):,}; put a field with "
                f"{_in_words(delimiter)} or line breaks in it into double quotes"
            )
        yield record


def character(delimiter: str) -> str:
    """Return the character that is meant by one, or by a key of `DELIMITERS`.

    Raises:
      ValueError: it can't separate columns.
    """
    found = DELIMITERS.get(delimiter, delimiter)
    if len(found) != 1 or found in '"\r\n':
        raise ValueError(
            f"expected --delimiter of one character, or {', '.join(DELIMITERS)}, received "
            f"{delimiter!r}; name what separates the columns, or leave it out"
        )
    return found


def _in_words(delimiter: str) -> str:
    names = {character: name for name, character in DELIMITERS.items()}
    return f"{names[delimiter]}s" if delimiter in names else repr(delimiter)


def _fit(path: Path, delimiter: str, wanted: list[str]) -> tuple[int, int]:
    """Return how many of the wanted columns a delimiter gives, and how many columns in all."""
    try:
        _, header = next(_records(path, delimiter), (range(0), []))
    except ValueError:  # a name in quotes, with another delimiter behind it
        return 0, 0
    return sum(header.count(column) == 1 for column in wanted), len(header)


def _other_advice(header: list[str], delimiter: str | None) -> str:
    if header and header[0].lstrip().startswith("{"):
        return ", or choose jsonl as the corpus: the file seems to be JSONL"
    if delimiter is not None:
        return ", or leave --delimiter out"
    if len(header) == 1:
        return ", or name what separates the columns with --delimiter"
    return ", or write the names of the columns into a first line"


def _records(path: Path, delimiter: str) -> Iterator[tuple[range, list[str]]]:
    """Yield the numbers of the lines that a record takes, and its fields."""
    reader = csv.reader(text_files.read_lines(path), delimiter=delimiter, strict=True)
    first_line = 1
    try:
        for record in reader:
            if record:  # not a blank line
                yield range(first_line, reader.line_num + 1), record
            first_line = reader.line_num + 1
    except csv.Error as error:
        place = _place(path, range(first_line, reader.line_num + 1))
        raise _not_a_record(path, place, error) from error


def _place(path: Path, lines: range) -> str:
    if len(lines) == 1:
        return f"line {lines[0]:,} of {shown(path)}"
    return f"lines {lines[0]:,} to {lines[-1]:,} of {shown(path)}"


def _not_a_record(path: Path, place: str, error: csv.Error) -> ValueError:
    reason = str(error)
    if reason == "unexpected end of data":
        reason = "a double quote that is never closed"
    elif "expected after" in reason:
        reason = "text behind a closing double quote"
    elif "field limit" in reason:
        reason = f"a field of more than {text_files.MAX_CHARACTERS:,} characters"
    advice = 'close every double quote, and write a double quote within quotes twice: ""'
    if next(text_files.read_lines(path)).lstrip().startswith("{"):
        advice = "choose jsonl as the corpus: the file seems to be JSONL"
    return ValueError(f"expected a row of fields in {place}, received {reason}; {advice}")
