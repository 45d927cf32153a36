"""Your own texts and their classes, from a folder or a CSV, TSV, JSONL or Parquet file.

Documents are taken as they are, or refused. Nothing is guessed, dropped or repaired. Two things
are no documents: blank lines between the rows of a CSV or JSONL file, and hidden files and files
outside the class folders of a folder.

Memory holds the texts and one row of the file, or 1,000 rows of a Parquet file. English texts of
about 700 characters took 1.2 bytes for each byte of a CSV file, a JSONL file or a folder, and 3
for each byte of a compressed Parquet file, at the peak. Count another 100 bytes for each document.
A text takes 2 or 4 bytes for each character if one of them is beyond U+00FF or U+FFFF. No line
and no text may have more than 100 million characters (`text_files.MAX_CHARACTERS`); a row of that
size takes 0.6 GB while it is read.
"""

import reprlib
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from research.data import tables, text_files
from research.data.class_folders import list_class_files
from research.data.splits import SPLITS
from research.data.text_files import shown

_INTEGERS = range(-(2**63), 2**64)
"""What fits into 64 bits, with or without a sign."""


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
      label_column: the column of the class: strings that are not blank, or integers of 64 bits,
        and the same kind in every row.
      split_column: the column that says "train", "validation" or "test", if there is one.

    Returns:
      The text, the class and the split of each document. Without splits, all are in "train".

    Raises:
      ValueError: a file is not of its kind, or the documents cannot be trained on: a text is
        empty, there is only one class, two classes differ only by white space around them, or a
        class has only one document, or none in train.
      OSError: a file could not be read.
    """
    if kind == "folder":
        documents = _read_folder(path)
    else:
        documents = _read_table(kind, path, text_column, label_column, split_column)
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
            f"expected a folder with one folder for each class, received the file {shown(path)}; "
            "give the folder, or choose csv, jsonl or parquet"
        )
    try:
        files = list_class_files(path)
        texts = [text_files.read_text(file.path) for file in files]
    except OSError as error:
        raise OSError(
            f"expected to read all of {shown(path)}, received {error.strerror!r} for "
            f"{str(error.filename)!r}; make it readable, or remove it"
        ) from error
    return _Documents(
        texts=texts,
        classes=[file.class_name for file in files],
        splits=[file.split for file in files],
        place=lambda document: shown(files[document].path),
    )


def _read_table(
    kind: str, path: Path, text_column: str, label_column: str, split_column: str | None
) -> _Documents:
    def place(row: int) -> str:
        return f"row {row + 1:,} of {shown(path)}"

    wanted = [text_column, label_column] + ([split_column] if split_column else [])
    columns = tables.read_columns(kind, path, wanted)
    texts = ["" if text is None else text for text in columns[0]]
    labels = columns[1]
    splits = columns[2] if split_column else ["train"] * len(texts)
    _check_values(label_column, labels, place, "a string or an integer of 64 bits", _is_label)
    _check_same_kind(label_column, labels, place)
    longest = f"a string of at most {text_files.MAX_CHARACTERS:,} characters"
    _check_values(text_column, texts, place, longest, _is_text)
    if split_column:
        _check_values(
            split_column, splits, place, " or ".join(SPLITS), lambda split: split in SPLITS
        )
    return _Documents(texts, [str(label) for label in labels], splits, place)


def _is_label(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip() != ""
    return type(value) is int and value in _INTEGERS  # True is an int, too


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= text_files.MAX_CHARACTERS


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
            f"expected {expected} in column {reprlib.repr(column)}, received "
            f"{reprlib.repr(values[bad_rows[0]])} in {place(bad_rows[0])} "
            f"({len(bad_rows):,} such rows); correct or remove them"
        )


def _check_same_kind(
    column: str, labels: list[str] | list[int], place: Callable[[int], str]
) -> None:
    for row, label in enumerate(labels):
        if type(label) is not type(labels[0]):
            raise ValueError(
                f"expected only strings or only integers in column {reprlib.repr(column)}, "
                f"received {reprlib.repr(labels[0])} in {place(0)} and {reprlib.repr(label)} in "
                f"{place(row)}; write all in one way"
            )


def _check_documents(documents: _Documents, path: Path) -> None:
    if not documents.texts:
        raise ValueError(f"expected documents in {shown(path)}, received none; check the path")
    empty = [row for row, text in enumerate(documents.texts) if not text.strip()]
    if empty:
        raise ValueError(
            f"expected text in every document, received {len(empty):,} without text, the first "
            f"in {documents.place(empty[0])}; remove them"
        )
    counts = Counter(documents.classes)
    if len(counts) < 2:
        raise ValueError(
            f"expected two classes or more in {shown(path)}, received only "
            f"{reprlib.repr(documents.classes[0])}; check the label column or the folders"
        )
    _check_names(counts)
    lonely = [name for name, count in counts.items() if count == 1]
    if lonely:
        raise ValueError(
            "expected two documents or more in every class, received one in class "
            f"{reprlib.repr(lonely[0])} ({len(lonely):,} such classes); add documents, or merge or "
            "remove the class"
        )
    in_train = {
        name
        for name, split in zip(documents.classes, documents.splits, strict=True)
        if split == "train"
    }
    untrained = sorted(set(counts) - in_train)
    if untrained:
        raise ValueError(
            "expected documents of every class in the train split, received none of class "
            f"{reprlib.repr(untrained[0])}; move some there, or remove the class"
        )


def _check_names(names: Iterable[str]) -> None:
    by_name: dict[str, str] = {}
    for name in names:
        other = by_name.setdefault(name.strip(), name)
        if other != name:
            raise ValueError(
                "expected classes that differ in more than white space around them, received "
                f"{reprlib.repr(other)} and {reprlib.repr(name)}; write both in one way"
            )
