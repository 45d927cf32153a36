"""Rows of CSV, TSV, JSONL and Parquet files.

Every row of the file is returned or refused; only blank lines between rows are no rows. Of the
columns, only those that are wanted are kept.
"""

import contextlib
import csv
import json
import operator
import reprlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet

from research.data import text_files
from research.data.text_files import shown

_NAMES_SHOWN = 10
_DELIMITERS = {
    ",": ("commas", "let its name end in .csv"),
    "\t": ("tabs", "let its name end in .tsv"),
    ";": ("semicolons", "save it with commas"),
    "|": ("bars (|)", "save it with commas"),
}


def read_columns(kind: str, path: Path, wanted: list[str]) -> list[list[Any]]:
    """Return the values of each of the wanted columns.

    Args:
      kind: "csv" (TSV if the file is called .tsv), "jsonl" or "parquet".
      path: a file.
      wanted: the names of two columns or more.

    Raises:
      ValueError: the path is no regular file, the file is not of its kind, or it does not have each
        of the columns exactly once.
      OSError: there is no such file, or it could not be read.
    """
    check_file(kind, path)
    read = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet}[kind]
    columns: list[list[Any]] = [[] for _ in wanted]
    with long_fields():
        for row in read(path, wanted):
            for column, value in zip(columns, row, strict=True):
                column.append(value)
    return columns


def check_file(kind: str, path: Path) -> None:
    """Check that there is a regular file, and that it is not empty.

    Raises:
      ValueError: it is a folder, a pipe, a socket or a device, or is empty.
      OSError: there is no such file.
    """
    size = path.stat().st_size
    if not path.is_file():
        what = "the folder" if path.is_dir() else "a pipe, a socket or a device:"
        raise ValueError(
            f"expected a {kind} file, received {what} {shown(path)}; give a file"
            + (", or choose folder as the corpus" if path.is_dir() else "")
        )
    if size == 0:
        raise ValueError(
            f"expected documents in {shown(path)}, received an empty file; check the path"
        )


@contextlib.contextmanager
def long_fields() -> Iterator[None]:
    """Let the process read fields of a CSV up to the length of the longest text."""
    previous_limit = csv.field_size_limit(text_files.MAX_CHARACTERS)
    try:
        yield
    finally:
        csv.field_size_limit(previous_limit)


# --- CSV and TSV ---------------------------------------------------------------------------------


class CsvTable(NamedTuple):
    """An open CSV file: what separates its fields, its header, and the fields of each row."""

    delimiter: str
    header: list[str]
    rows: Iterator[list[str]]


def open_csv(path: Path) -> CsvTable:
    """Open a CSV or TSV file, and read its header.

    Raises:
      ValueError: the file is not CSV in UTF-8. While rows are read: one has not as many fields as
        the header.
      OSError: it could not be read.
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    records = _csv_records(path, delimiter)
    _, header = next(records, (range(0), []))

    def rows() -> Iterator[list[str]]:
        for lines, record in records:
            if len(record) != len(header):
                raise ValueError(
                    f"expected as many fields as in the header ({len(header):,}) in "
                    f"{_place(path, lines)}, received {len(record):,}; put a field with "
                    f"{_DELIMITERS[delimiter][0]} or line breaks in it into double quotes"
                )
            yield record

    return CsvTable(delimiter, header, rows())


def _read_csv(path: Path, wanted: list[str]) -> Iterator[tuple[Any, ...]]:
    delimiter, header, rows = open_csv(path)
    check_columns(path, wanted, header, _other_form(delimiter.join(header), delimiter))
    yield from map(operator.itemgetter(*map(header.index, wanted)), rows)


def _csv_records(path: Path, delimiter: str) -> Iterator[tuple[range, list[str]]]:
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
        header = next(text_files.read_lines(path))
        raise _not_a_record(place, error, _other_form(header, delimiter)) from error


def _place(path: Path, lines: range) -> str:
    if len(lines) == 1:
        return f"line {lines[0]:,} of {shown(path)}"
    return f"lines {lines[0]:,} to {lines[-1]:,} of {shown(path)}"


def _not_a_record(place: str, error: csv.Error, other_form: str) -> ValueError:
    reason = str(error)
    if reason == "unexpected end of data":
        reason = "a double quote that is never closed"
    elif "expected after" in reason:
        reason = "text behind a closing double quote"
    elif "field limit" in reason:
        reason = f"a field of more than {text_files.MAX_CHARACTERS:,} characters"
    advice = other_form or (
        'close every double quote, and write a double quote within quotes twice: ""'
    )
    return ValueError(f"expected a row of fields in {place}, received {reason}; {advice}")


def _other_form(header: str, delimiter: str) -> str:
    """Return what else the file seems to be, as the end of an error message, or nothing."""
    if header.lstrip().startswith("{"):
        return "the file seems to be JSONL: choose jsonl as the corpus"
    other = max(_DELIMITERS, key=header.count)
    if header.count(other) <= header.count(delimiter):
        return ""
    name, advice = _DELIMITERS[other]
    return f"the file seems to be separated by {name}: {advice}"


# --- JSONL ---------------------------------------------------------------------------------------


def read_objects(path: Path, wanted: list[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each line of a JSONL file that is not blank, and the object in it.

    Args:
      path: the file.
      wanted: the keys whose values must be valid Unicode.

    Raises:
      ValueError: a line is no JSON object, or has a key twice.
      OSError: the file could not be read.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_object_of)
    for number, line in enumerate(text_files.read_lines(path), start=1):
        if line.strip(" \t\r\n"):
            yield line, _json_object(decoder, line, f"line {number:,} of {shown(path)}", wanted)


def _read_jsonl(path: Path, wanted: list[str]) -> Iterator[tuple[Any, ...]]:
    first_names: list[str] = []
    missing = set(wanted)
    for _, row in read_objects(path, wanted):
        first_names = first_names or list(row)
        missing -= row.keys()
        yield tuple(row.get(column) for column in wanted)
    if missing:
        check_columns(path, [name for name in wanted if name in missing], first_names)


def _json_object(
    decoder: json.JSONDecoder, line: str, place: str, wanted: list[str]
) -> dict[str, Any]:
    try:
        row = decoder.decode(line)
        if not isinstance(row, dict):
            raise ValueError(f"a {type(row).__name__}")
        for value in map(row.get, wanted):
            if isinstance(value, str):
                value.encode()  # no lone surrogates
    except RecursionError as error:
        raise _not_json(place, "one with too many brackets in each other") from error
    except json.JSONDecodeError as error:
        raise _not_json(place, f"'{error.msg}' at character {error.pos + 1:,}") from error
    except UnicodeEncodeError as error:
        raise _not_json(place, f"half a character: {error.object[error.start]!a}") from error
    except ValueError as error:
        reason = str(error)
        if "integer string conversion" in reason:
            reason = "an integer with too many digits"
        raise _not_json(place, reason) from error
    return row


def _object_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    row = dict(pairs)
    if len(row) < len(pairs):
        [(name, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f"one with the key {reprlib.repr(name)} more than once")
    return row


def _not_json(place: str, received: str) -> ValueError:
    return ValueError(
        f"expected a JSON object with valid Unicode in {place}, received {received}; correct the "
        "file, which must have one object on each line"
    )


# --- Parquet -------------------------------------------------------------------------------------


def read_batches(path: Path, wanted: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a Parquet file, 1,000 at a time.

    A file without rows gives one batch without rows, which has the columns.

    Args:
      path: the file.
      wanted: the names of the columns; None for all.

    Raises:
      ValueError: it is no Parquet file, is damaged, or has not each of the columns exactly once.
      OSError: it could not be opened.
    """
    with path.open("rb") as start:
        if start.read(len(text_files.PARQUET)) != text_files.PARQUET:
            raise ValueError(
                f"expected a Parquet file, received {shown(path)}, which does not begin with PAR1; "
                "check the path, or choose csv or jsonl as the corpus"
            )
    try:
        # In pieces of 1 MiB; `pre_buffer` would load a whole group of rows.
        with pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            check_columns(path, wanted or [], file.schema_arrow.names)
            if file.metadata.num_rows == 0:
                yield pa.RecordBatch.from_pylist([], schema=file.schema_arrow)
            for batch in file.iter_batches(columns=wanted, batch_size=1000):
                batch.validate(full=True)  # text is UTF-8
                yield batch
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"expected a Parquet file with text in UTF-8 in {shown(path)}, received "
            f"{reason[:300]!r}; write the file anew"
        ) from error


def _read_parquet(path: Path, wanted: list[str]) -> Iterator[tuple[Any, ...]]:
    for batch in read_batches(path, wanted):
        yield from zip(*(batch.column(column).to_pylist() for column in wanted), strict=True)


# --- columns -------------------------------------------------------------------------------------


def check_columns(path: Path, wanted: list[str], present: list[str], advice: str = "") -> None:
    """Check that each of the wanted columns is present exactly once.

    Raises:
      ValueError: one is not. The message ends with the advice.
    """
    for column in wanted:
        if present.count(column) != 1:
            raise ValueError(
                f"expected one column {column!r} in {shown(path)}, received {_shortened(present)}; "
                + (advice or "name the column with --text-column, --label-column or --split-column")
            )


def _shortened(names: list[str]) -> str:
    listed = ", ".join(map(reprlib.repr, names[:_NAMES_SHOWN])) or "no columns"
    more = len(names) - _NAMES_SHOWN
    return f"{listed} and {more:,} more" if more > 0 else listed
