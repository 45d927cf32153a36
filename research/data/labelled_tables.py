"""Tables of texts, written anew with a label and a probability in each row.

All else stays: the fields of a CSV, the objects of a JSONL file character by character, and the
types of a Parquet file. Memory holds 1,000 rows.
"""

import codecs
import csv
import json
import reprlib
from collections.abc import Callable, Sequence
from itertools import chain, islice
from pathlib import Path
from types import SimpleNamespace
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet

from research.data import csv_files, tables, text_files
from research.data.rows import check_columns
from research.data.text_files import shown
from research.files import atomic

Labels = Sequence[tuple[str | None, float]]
"""The label of each text, or None, and its probability."""

_ROWS_AT_A_TIME = 1_000
_NAMES = [("label", "probability"), ("predicted_label", "predicted_probability")]


def check_paths(source: Path, target: Path) -> None:
    """Check that one file can be read and the other be written, before there is much work.

    Raises:
      FileNotFoundError: there is nothing at `source`.
      ValueError: one has no known suffix or both have not the same, `target` is no file, or both
        are one file.
    """
    suffix = source.suffix.lower()
    suffixes = [*csv_files.SUFFIXES, *_WRITERS]
    if suffix not in suffixes:
        raise ValueError(
            f"expected --input to end in {', '.join(suffixes)}, received {shown(source)}; convert "
            "or rename the file"
        )
    if target.suffix.lower() != suffix:
        raise ValueError(
            f"expected --output to end in {suffix}, as --input does, received {shown(target)}; "
            "give such a name"
        )
    if not source.exists():
        raise FileNotFoundError(
            f"expected a file as --input, found nothing at {shown(source)}; check the path"
        )
    if target.exists() and not target.is_file():
        raise ValueError(
            f"expected a file as --output, received {shown(target)}, which is none; give another"
        )
    if target.exists() and target.samefile(source):
        raise ValueError(
            f"expected two files, received {shown(source)} as --input and --output; give another "
            "--output"
        )


def write(
    source: Path,
    target: Path,
    text_column: str,
    label: Callable[[list[str]], Labels],
    delimiter: str | None = None,
) -> int:
    """Write the rows of a file to another one, with labels; return how many there are.

    The columns `label` and `probability` are added at the end. If the file has one of these
    already, they are called `predicted_label` and `predicted_probability`. The target appears as a
    whole, and replaces what was there.

    Args:
      source: a .csv, .tsv, .jsonl or .parquet file with a header, in UTF-8.
      target: a file with the same suffix.
      text_column: the column of the text, which may be an empty string.
      label: gets 1,000 texts at most. None as a label leaves its place empty.
      delimiter: what separates the columns of a CSV, as `csv_files.open_csv` takes it.

    Raises:
      ValueError: as `check_paths`. Or the source is not of its kind, lacks the column, has other
        values than texts in it, or has all names of the columns to add.
      OSError: a file could not be read or written.
    """
    check_paths(source, target)
    suffix = source.suffix.lower()
    tables.check_file({".tsv": "csv"}.get(suffix, suffix[1:]), source)
    rows = 0

    def label_checked(texts: list[Any]) -> Labels:
        nonlocal rows
        for row, text in enumerate(texts, start=rows + 1):
            _check_text(text, f"in column {text_column!r}, row {row:,} of {shown(source)}")
        rows += len(texts)
        return label(texts)

    with csv_files.long_fields(), atomic.writing(target) as file:
        if suffix in csv_files.SUFFIXES:
            _write_csv(source, file, text_column, label_checked, delimiter)
        else:
            _WRITERS[suffix](source, file, text_column, label_checked)
    return rows


def _write_csv(
    source: Path,
    file: BinaryIO,
    text_column: str,
    label: Callable[[list[Any]], Labels],
    delimiter: str | None,
) -> None:
    table = csv_files.open_csv(source, [text_column], delimiter)
    names = _names_to_add(source, table.header, text_column)
    position = table.header.index(text_column)
    if text_files.has_byte_order_mark(source):
        file.write(codecs.BOM_UTF8)  # without it, Excel would not read UTF-8
    # Until Python 3.13, \r in a field is quoted only if lines end in it.
    lines = SimpleNamespace(write=lambda line: file.write(line[: -len("\r\n")].encode() + b"\n"))
    writer = csv.writer(lines, delimiter=table.delimiter, lineterminator="\r\n")
    writer.writerow([*table.header, *names])
    while rows := list(islice(table.rows, _ROWS_AT_A_TIME)):
        labels = label([row[position] for row in rows])
        writer.writerows([*row, *of_row] for row, of_row in zip(rows, labels, strict=True))


def _write_jsonl(
    source: Path, file: BinaryIO, text_column: str, label: Callable[[list[Any]], Labels]
) -> None:
    objects = tables.read_objects(source, [text_column])
    names: tuple[str, str] | None = None
    while rows := list(islice(objects, _ROWS_AT_A_TIME)):
        names = names or _names_to_add(source, list(rows[0][1]), text_column)
        labels = label([row.get(text_column) for _, row in rows])
        for (line, row), of_row in zip(rows, labels, strict=True):
            if not row.keys().isdisjoint(names):
                raise _names_are_taken(source, list(row))
            added = json.dumps(dict(zip(names, of_row, strict=True)), ensure_ascii=False)
            # Numbers may have more digits than Python keeps, so the line is not written anew.
            file.write(f"{line.rstrip()[:-1]}, {added[1:]}\n".encode())


def _write_parquet(
    source: Path, file: BinaryIO, text_column: str, label: Callable[[list[Any]], Labels]
) -> None:
    batches = tables.read_batches(source)
    first = next(batches)
    names = _names_to_add(source, first.schema.names, text_column)
    schema = first.schema
    for name, kind in zip(names, (pa.string(), pa.float64()), strict=True):
        schema = schema.append(pa.field(name, kind))
    with pyarrow.parquet.ParquetWriter(file, schema) as writer:
        for batch in chain([first], batches):
            labels = label(batch.column(text_column).to_pylist())
            added = [
                pa.array([of_row[i] for of_row in labels], schema.field(name).type)
                for i, name in enumerate(names)
            ]
            writer.write_batch(pa.RecordBatch.from_arrays([*batch.columns, *added], schema=schema))


_WRITERS = {".jsonl": _write_jsonl, ".parquet": _write_parquet}


def _check_text(text: Any, place: str) -> None:
    if not isinstance(text, str) or len(text) > text_files.MAX_CHARACTERS:
        raise ValueError(
            f"expected a string of at most {text_files.MAX_CHARACTERS:,} characters {place}, "
            f"received {reprlib.repr(text)}; correct or remove the row"
        )


def _names_to_add(source: Path, present: list[str], text_column: str) -> tuple[str, str]:
    check_columns(shown(source), [text_column], present)
    for names in _NAMES:
        if set(names).isdisjoint(present):
            return names
    raise _names_are_taken(source, present)


def _names_are_taken(source: Path, present: list[str]) -> ValueError:
    taken = sorted({name for names in _NAMES for name in names} & set(present))
    return ValueError(
        f"expected room for the columns label and probability in {shown(source)}, received a row "
        f"that has {' and '.join(taken)}; rename them"
    )
