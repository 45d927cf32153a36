"""Rows of CSV, TSV, JSONL and Parquet files.

Every row of the file is returned or refused; only blank lines between rows are no rows. Of the
columns, only those that are wanted are kept.
"""

import csv
import json
import reprlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet

from research.data import csv_files, text_files
from research.data.rows import Rows, check_columns
from research.data.text_files import shown


def read(kind: str, path: Path, wanted: list[str], delimiter: str | None = None) -> Rows:
    """Return the rows of a file, with a note if its form is unusual.

    Args:
      kind: "csv", "jsonl" or "parquet".
      path: a file.
      wanted: the names of the columns of the text, the class and perhaps the split.
      delimiter: what separates the columns of a CSV file, as `csv_files.find_form` takes it.

    Raises:
      ValueError: the path is no regular file, the file is not of its kind, or it does not have each
        of the columns exactly once.
      OSError: there is no such file, or it could not be read.
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
    notes = []
    previous_limit = csv.field_size_limit(text_files.MAX_CHARACTERS)  # of the whole process
    try:
        if kind == "csv":
            form = csv_files.find_form(path, wanted, delimiter)
            rows, notes = csv_files.read(path, wanted, form), form.notes
        else:
            rows = {"jsonl": _read_jsonl, "parquet": _read_parquet}[kind](path, wanted)
        columns: list[list[Any]] = [[] for _ in wanted]
        for row in rows:
            for column, value in zip(columns, row, strict=True):
                column.append(value)
    finally:
        csv.field_size_limit(previous_limit)
    splits = ["train"] * len(columns[0])
    return Rows(columns, splits, lambda row: f"row {row + 1:,} of {shown(path)}", notes)


# --- JSONL ---------------------------------------------------------------------------------------


def _read_jsonl(path: Path, wanted: list[str]) -> Iterator[tuple[Any, ...]]:
    decoder = json.JSONDecoder(object_pairs_hook=_object_of)
    first_names: list[str] = []
    missing = set(wanted)
    for number, line in enumerate(text_files.read_lines(path), start=1):
        if line.strip(" \t\r\n"):
            row = _json_object(decoder, line, f"line {number:,} of {shown(path)}", wanted)
            first_names = first_names or list(row)
            missing -= row.keys()
            yield tuple(row.get(column) for column in wanted)
    if missing:
        present = dict.fromkeys([*first_names, *(name for name in wanted if name not in missing)])
        check_columns(shown(path), wanted, list(present))


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


def _read_parquet(path: Path, wanted: list[str]) -> Iterator[tuple[Any, ...]]:
    with path.open("rb") as start:
        if start.read(len(text_files.PARQUET)) != text_files.PARQUET:
            raise ValueError(
                f"expected a Parquet file, received {shown(path)}, which does not begin with PAR1; "
                "check the path, or choose csv or jsonl as the corpus"
            )
    try:
        with pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20) as file:  # reads in pieces
            check_columns(shown(path), wanted, file.schema_arrow.names)
            for batch in file.iter_batches(columns=wanted, batch_size=1000):
                yield from zip(
                    *(batch.column(column).to_pylist() for column in wanted), strict=True
                )
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise ValueError(
            f"expected a Parquet file with text in UTF-8 in {shown(path)}, received "
            f"{reason[:300]!r}; write the file anew"
        ) from error
