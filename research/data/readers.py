"""Your own texts and their classes, from a folder or a CSV, TSV, JSONL or Parquet file.

Documents are taken as they are, or refused. Nothing is guessed, dropped or repaired.
"""

import codecs
import json
import reprlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from research.data.splits import SPLITS


def read(
    kind: str,
    path: Path,
    text_column: str = "text",
    label_column: str = "label",
    split_column: str | None = None,
) -> tuple[list[str], list[str], list[str]]:
    """Read documents.

    Args:
      kind: "folder", "csv" (TSV if the file is called .tsv), "jsonl" or "parquet".
      path: the folder or file. A folder holds CLASS/FILE or {train,validation,test}/CLASS/FILE;
        hidden files are left out. All text is UTF-8.
      text_column: the column of the text.
      label_column: the column of the class, as strings or integers.
      split_column: the column that says "train", "validation" or "test", if there is one.

    Returns:
      The text, the class and the split of each document. Without splits, all are in "train".

    Raises:
      ValueError: a file is not of its kind, or the documents cannot be trained on: a text is
        empty, there is only one class, or a class has only one document, or none in train.
      OSError: a file could not be read.
    """
    if kind == "folder":
        documents = _read_folder(path)
    else:
        documents = _read_rows(kind, path, text_column, label_column, split_column)
    _check_documents(documents, path)
    return documents.texts, documents.classes, documents.splits


class _Documents(NamedTuple):
    texts: list[str]
    classes: list[str]
    splits: list[str]
    place: Callable[[int], str]  # where document i is, for error messages


def _read_folder(path: Path) -> _Documents:
    if not path.is_dir():
        raise ValueError(
            f"expected a folder with one folder for each class, received the file {path}; "
            "give the folder, or choose csv, jsonl or parquet"
        )
    tops = {top.name for top in path.iterdir() if top.is_dir() and not top.name.startswith(".")}
    has_splits = bool(tops) and tops <= set(SPLITS)
    files = sorted(
        file
        for file in path.glob("*/*/**/*" if has_splits else "*/**/*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(path).parts)
    )
    names = [file.relative_to(path).parts for file in files]
    return _Documents(
        texts=[_read_utf8(file).decode() for file in files],
        classes=[parts[1] if has_splits else parts[0] for parts in names],
        splits=[parts[0] if has_splits else "train" for parts in names],
        place=lambda document: str(files[document]),
    )


def _read_rows(
    kind: str, path: Path, text_column: str, label_column: str, split_column: str | None
) -> _Documents:
    if not path.is_file():
        raise ValueError(
            f"expected a {kind} file, received the folder {path}; give a file, or choose folder"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"expected documents in {path}, received an empty file; check the path")
    wanted = [text_column, label_column] + ([split_column] if split_column else [])
    columns = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet}[kind](path, wanted)

    def place(row: int) -> str:
        return f"row {row + 1} of {path}"

    texts = ["" if text is None else text for text in columns[text_column]]
    labels = columns[label_column]
    splits = columns[split_column] if split_column else ["train"] * len(texts)
    _check_values(label_column, labels, place, "a string or an integer", _is_label)
    _check_values(text_column, texts, place, "a string", lambda text: isinstance(text, str))
    if split_column:
        _check_values(
            split_column, splits, place, " or ".join(SPLITS), lambda split: split in SPLITS
        )
    return _Documents(texts, [str(label) for label in labels], splits, place)


def _is_label(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value != "")


def _check_values(
    column: str,
    values: list[Any],
    place: Callable[[int], str],
    expected: str,
    is_valid: Callable[[Any], bool],
) -> None:
    bad_rows = [row for row, value in enumerate(values) if not is_valid(value)]
    if bad_rows:
        raise ValueError(
            f"expected {expected} in column {column!r}, received "
            f"{reprlib.repr(values[bad_rows[0]])} in {place(bad_rows[0])} "
            f"({len(bad_rows):,} such rows); correct or remove them"
        )


def _read_csv(path: Path, wanted: list[str]) -> dict[str, list[Any]]:
    data = _read_utf8(path)
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            # One block holds the file, since a document may exceed pyarrow's default of 1 MB.
            # Files above 1 GB need several blocks.
            read_options=pyarrow.csv.ReadOptions(block_size=min(max(len(data), 1), 1 << 30)),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter="\t" if path.suffix.lower() == ".tsv" else ",", newlines_in_values=True
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string())  # so that "007" stays "007"
            ),
        )
    except pa.ArrowException as error:
        raise _unreadable(path, "rows of comma- or tab-separated values", error) from error
    _check_columns(path, wanted, table.column_names)
    return {column: table[column].to_pylist() for column in wanted}


def _read_jsonl(path: Path, wanted: list[str]) -> dict[str, list[Any]]:
    rows = []
    for number, line in enumerate(_read_utf8(path).splitlines(), start=1):
        if line.strip():
            try:
                row = json.loads(line)
                if not isinstance(row, dict):
                    raise ValueError(f"a {type(row).__name__}")
                "".join(str(row.get(column)) for column in wanted).encode()  # no lone surrogates
            except ValueError as error:
                expected = f"a JSON object with valid Unicode in line {number}"
                raise _unreadable(path, expected, error) from error
            rows.append(row)
    _check_columns(path, wanted, sorted({column for row in rows for column in row}))
    return {column: [row.get(column) for row in rows] for column in wanted}


def _read_parquet(path: Path, wanted: list[str]) -> dict[str, list[Any]]:
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            _check_columns(path, wanted, file.schema_arrow.names)
            table = file.read(columns=wanted)
        return {column: table[column].to_pylist() for column in wanted}
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise _unreadable(path, "a Parquet file with text in UTF-8", error) from error


def _check_columns(path: Path, wanted: list[str], present: list[str]) -> None:
    for column in wanted:
        if present.count(column) != 1:
            raise ValueError(
                f"expected one column {column!r} in {path}, received "
                f"{', '.join(present) or 'no columns'}; name the column with --text-column, "
                "--label-column or --split-column"
            )


def _unreadable(path: Path, expected: str, error: Exception) -> ValueError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ValueError(f"expected {expected} in {path}, received '{reason}'; correct the file")


def _read_utf8(path: Path) -> bytes:
    """Return the bytes of a UTF-8 file, without a byte order mark."""
    data = path.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"expected UTF-8 text in {path}, received the byte 0x{data[error.start]:02x} at byte "
            f"offset {error.start:,}; convert the file, for example with: iconv -f latin1 -t utf-8"
        ) from error
    return data.removeprefix(codecs.BOM_UTF8)


def _check_documents(documents: _Documents, path: Path) -> None:
    if not documents.texts:
        raise ValueError(f"expected documents in {path}, received none; check the path")
    empty = [row for row, text in enumerate(documents.texts) if not text.strip()]
    if empty:
        raise ValueError(
            f"expected text in every document, received {len(empty):,} without text, the first "
            f"in {documents.place(empty[0])}; remove them"
        )
    counts = Counter(documents.classes)
    if len(counts) < 2:
        raise ValueError(
            f"expected two classes or more in {path}, received only {documents.classes[0]!r}; "
            "check the label column or the folders"
        )
    lonely = [name for name, count in counts.items() if count == 1]
    if lonely:
        raise ValueError(
            f"expected two documents or more in every class, received one in class {lonely[0]!r} "
            f"({len(lonely):,} such classes); add documents, or merge or remove the class"
        )
    in_train = {
        name
        for name, split in zip(documents.classes, documents.splits, strict=True)
        if split == "train"
    }
    untrained = sorted(set(counts) - in_train)
    if untrained:
        raise ValueError(
            f"expected documents of every class in the train split, received none of class "
            f"{untrained[0]!r}; move some there, or remove the class"
        )
