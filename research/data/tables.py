"""Rows of CSV, TSV, JSONL and Parquet files.

Every row of the file is returned or refused; only blank lines between rows are no rows. Of the
columns, only those that are wanted are kept.
"""

import json
import operator
import reprlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from research.data import csv_files, text_files
from research.data.rows import Rows, check_columns
from research.data.text_files import shown

if TYPE_CHECKING:
    import pyarrow as pa


def read(kind: str, path: Path, wanted: list[str], delimiter: str | None = None) -> Rows:
    """Return the rows of a file.

    Args:
      kind: "csv", "jsonl" or "parquet".
      path: a file.
      wanted: the names of the columns of the text, the class and perhaps the split.
      delimiter: what separates the columns of a CSV file, as `csv_files.open_csv` takes it.

    Raises:
      ValueError: the path is no regular file, the file is not of its kind, or it does not have each
        of the columns exactly once.
      OSError: there is no such file, or it could not be read.
    """
    check_file(kind, path)
    columns: list[list[Any]] = [[] for _ in wanted]
    rows: Iterator[tuple[Any, ...]]
    notes: list[str] = []
    with csv_files.long_fields():
        if kind == "csv":
            table = csv_files.open_csv(path, wanted, delimiter)
            rows = map(operator.itemgetter(*map(table.header.index, wanted)), table.rows)
            notes = table.notes
        else:
            rows = {"jsonl": _read_jsonl, "parquet": _read_parquet}[kind](path, wanted)
        for row in rows:
            for column, value in zip(columns, row, strict=True):
                column.append(value)
    splits = ["train"] * len(columns[0])
    return Rows(columns, splits, lambda row: f"row {row + 1:,} of {shown(path)}", notes)


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


def read_batches(path: Path, wanted: list[str] | None = None) -> "Iterator[pa.RecordBatch]":
    """Yield the rows of a Parquet file, 1,000 at a time.

    A file without rows gives one batch without rows, which has the columns.

    Args:
      path: the file.
      wanted: the names of the columns; None for all.

    Raises:
      ValueError: it is no Parquet file, is damaged, or has not each of the columns exactly once.
      OSError: it could not be opened.
    """
    import pyarrow as pa  # lazily: few corpora are in Parquet
    import pyarrow.parquet

    with path.open("rb") as start:
        if start.read(len(text_files.PARQUET)) != text_files.PARQUET:
            raise ValueError(
                f"expected a Parquet file, received {shown(path)}, which does not begin with PAR1; "
                "check the path, or choose csv or jsonl as the corpus"
            )
    try:
        # In pieces of 1 MiB; `pre_buffer` would load a whole group of rows.
        with pyarrow.parquet.ParquetFile(path, buffer_size=1 << 20, pre_buffer=False) as file:
            check_columns(shown(path), wanted or [], file.schema_arrow.names)
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
