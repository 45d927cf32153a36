"""Your own texts and their classes: from a folder, a CSV, JSONL or Parquet file, or the Hub.

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

from research.data import hub, tables, text_files
from research.data.class_folders import list_class_files
from research.data.rows import Rows
from research.data.splits import SPLIT_OF, by_name
from research.data.text_files import shown

_INTEGERS = range(-(2**63), 2**64)
"""What fits into 64 bits, with or without a sign."""


_FEW = 10
"""Texts; a class with fewer is named, since nothing learns it well."""

_NAMES_SHOWN = 3


class OwnTexts(NamedTuple):
    """Documents that can be trained on.

    Attributes:
      texts: the text of each document.
      classes: the name of the class of each document.
      splits: "train", "validation" or "test" for each document; all "train" without splits.
      place: returns where document i is, for error messages.
      notes: what a person should know about how they were read, a line each.
    """

    texts: list[str]
    classes: list[str]
    splits: list[str]
    place: Callable[[int], str]
    notes: list[str]


def read(
    kind: str,
    path: Path,
    text_column: str = "text",
    label_column: str = "label",
    split_column: str | None = None,
    delimiter: str | None = None,
) -> OwnTexts:
    """Read documents.

    Args:
      kind: "folder", "csv", "jsonl", "parquet" or "hub".
      path: the folder or file, or the name of a dataset as `hub.read` takes it. A folder holds
        CLASS/FILE or SPLIT/CLASS/FILE; hidden files are left out. All text is UTF-8.
      text_column: the column of the text.
      label_column: the column of the class: strings that are not blank, or integers of 64 bits,
        and the same kind in every row.
      split_column: the column of the split, if there is one. `splits.SPLIT_OF` has the names.
      delimiter: what separates the columns of a CSV file, as `csv_files.find_form` takes it.

    Raises:
      ValueError: a file is not of its kind, or the documents cannot be trained on: a text is
        empty, there is only one class in train, or two classes differ only by white space around
        them.
      ImportError: the Hub is asked for, and its library is not installed.
      OSError: a file could not be read or fetched.
    """
    if kind == "folder":
        documents = _read_folder(path)
    else:
        wanted = [text_column, label_column] + ([split_column] if split_column else [])
        if kind == "hub":
            rows = hub.read(path, wanted)
        else:
            rows = tables.read(kind, path, wanted, delimiter)
        documents = _of_rows(rows, wanted, path)
    _check_documents(documents, path)
    return documents


def class_notes(classes: list[str], splits: list[str]) -> list[str]:
    """Return a line about the classes that train lacks, and one about those with few texts.

    Args:
      classes: the name of the class of each document.
      splits: "train", "validation" or "test" for each document.
    """
    counts = Counter(classes)
    pairs = set(zip(classes, splits, strict=True))
    missing = sorted(name for name in counts if (name, "train") not in pairs)
    few = sorted(name for name in counts if counts[name] < _FEW and name not in missing)
    notes = []
    if missing:
        texts = sum(counts[name] for name in missing)
        notes.append(
            f"warning: classes without a text in train: {_listed(missing, counts)}; nothing can "
            f"learn them, so their texts ({texts:,}) count as mistakes"
        )
    if few:
        notes.append(
            f"warning: classes with fewer than {_FEW} texts: {_listed(few, counts)}; expect "
            "mistakes, and add texts or join classes"
        )
    return notes


def _listed(names: list[str], counts: Counter[str]) -> str:
    listed = ", ".join(f"{reprlib.repr(name)} ({counts[name]:,})" for name in names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"{listed} and {more:,} more" if more > 0 else listed


def _read_folder(path: Path) -> OwnTexts:
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
    return OwnTexts(
        texts=texts,
        classes=[file.class_name for file in files],
        splits=[file.split for file in files],
        place=lambda document: shown(files[document].path),
        notes=[],
    )


def _of_rows(rows: Rows, wanted: list[str], path: Path) -> OwnTexts:
    texts = ["" if text is None else text for text in rows.columns[0]]
    labels, splits = rows.columns[1], rows.splits
    label = "one class: a string or an integer of 64 bits"
    _check_values(wanted[1], labels, rows.place, label, _is_label)
    _check_same_kind(wanted[1], labels, rows.place)
    longest = f"a string of at most {text_files.MAX_CHARACTERS:,} characters"
    _check_values(wanted[0], texts, rows.place, longest, _is_text)
    if len(wanted) > 2:
        values = rows.columns[2]
        _check_values(wanted[2], values, rows.place, f"one of {', '.join(SPLIT_OF)}", _is_split)
        split_of = by_name(dict.fromkeys(values), f"column {wanted[2]!r} of {shown(path)}")
        splits = [split_of[value] for value in values]
    return OwnTexts(texts, [str(label) for label in labels], splits, rows.place, rows.notes)


def _is_label(value: Any) -> bool:
    if isinstance(value, str):
        return value.strip() != ""
    return type(value) is int and value in _INTEGERS  # True is an int, too


def _is_split(value: Any) -> bool:
    return isinstance(value, str) and value.lower() in SPLIT_OF


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


def _check_documents(documents: OwnTexts, path: Path) -> None:
    if not documents.texts:
        raise ValueError(f"expected documents in {shown(path)}, received none; check the path")
    empty = [row for row, text in enumerate(documents.texts) if not text.strip()]
    if empty:
        raise ValueError(
            f"expected text in every document, received {len(empty):,} without text, the first "
            f"in {documents.place(empty[0])}; remove them"
        )
    learned = {
        name
        for name, split in zip(documents.classes, documents.splits, strict=True)
        if split == "train"
    }
    if len(learned) < 2:
        only = "".join(f"only {reprlib.repr(name)}" for name in learned)
        raise ValueError(
            f"expected two classes or more to learn from in {shown(path)}, received "
            f"{only or 'no text in train'}; check the labels and the splits"
        )
    _check_names(dict.fromkeys(documents.classes))


def _check_names(names: Iterable[str]) -> None:
    by_name: dict[str, str] = {}
    for name in names:
        other = by_name.setdefault(name.strip(), name)
        if other != name:
            raise ValueError(
                "expected classes that differ in more than white space around them, received "
                f"{reprlib.repr(other)} and {reprlib.repr(name)}; write both in one way"
            )
