"""Datasets of the Hugging Face Hub, and folders in its form, through the library `datasets`.

Since version 4 the library runs no code of a dataset. What it fetches stays in its own cache.
"""

import logging
import re
import sys
import tempfile
from bisect import bisect_right
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from research.data.rows import Rows, check_columns
from research.data.splits import by_name
from research.data.text_files import shown

_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?")


def read(path: Path, wanted: list[str]) -> Rows:
    """Return the rows of a dataset. Splits without labels, and with other names, are left out.

    Args:
      path: NAME or NAME:CONFIG of a dataset, or a folder in the Hub's form, perhaps with :CONFIG.
      wanted: the names of the columns of the text, the class and perhaps the split.

    Raises:
      ImportError: `datasets` is not installed.
      FileNotFoundError: the path is neither a folder nor a name.
      ValueError: there is no such dataset or column, or it cannot be read.
      OSError: the dataset could not be fetched.
    """
    with tempfile.TemporaryDirectory() as scratch:
        # In its cache the library does not always notice that a file in a folder has changed.
        dataset = _load(path, scratch if is_folder(path) else None)
        return _rows(dataset, path, wanted)


def is_folder(path: Path) -> bool:
    """Return whether a path means a folder, perhaps with :CONFIG, and not a name on the Hub."""
    name, _ = _name_and_config(path)
    return Path(name).exists()


def _rows(dataset: Mapping[str, Any], path: Path, wanted: list[str]) -> Rows:
    split_of = by_name(dataset, shown(path))
    columns: list[list[Any]] = [[] for _ in wanted]
    splits: list[str] = []
    starts, places, notes = [], [], []
    for name, split in dataset.items():
        place = f"split {name!r} of {shown(path)}"
        if name not in split_of:
            notes.append(f"left out: {place}, which is not called train, validation or test")
            continue
        check_columns(place, wanted, split.column_names)
        values = [split[column][:] for column in wanted]
        values[1] = _class_names(values[1], split.features[wanted[1]])
        if values[1].count(None) == split.num_rows:
            notes.append(f"left out: {place}, whose texts have no labels")
            continue
        starts.append(len(splits))
        places.append(place)
        splits += [split_of[name]] * split.num_rows
        for column, of_split in zip(columns, values, strict=True):
            column += of_split

    def place_of(row: int) -> str:
        number = bisect_right(starts, row) - 1
        return f"row {row - starts[number] + 1:,} of {places[number]}"

    return Rows(columns, splits, place_of, notes)


def _name_and_config(path: Path) -> tuple[str, str | None]:
    if path.exists() or ":" not in path.name:
        return str(path), None
    name, _, config = str(path).rpartition(":")
    return name, config


def _load(path: Path, cache: str | None) -> Mapping[str, Any]:
    """Return a `datasets.Dataset` for each split; None as the cache means the library's own."""
    name, config = _name_and_config(path)
    if Path(name).is_file():
        raise ValueError(
            f"expected a dataset's name or folder, received the file {shown(path)}; choose csv, "
            "jsonl or parquet as the corpus"
        )
    if not Path(name).exists() and not _NAME.fullmatch(name):
        raise FileNotFoundError(
            f"expected a folder, or the name of a dataset of the Hub such as org/name, received "
            f"{shown(path)}; check the path"
        )
    try:
        import datasets
    except ImportError:
        raise ImportError(
            "expected the library datasets, which reads the Hub, found none; install it: "
            "pip install 'keras-text-research[hub]'"
        ) from None
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)  # it would report each retry
    if not sys.stderr.isatty():
        datasets.disable_progress_bars()
    try:
        found: Mapping[str, Any] = datasets.load_dataset(name, config, cache_dir=cache)
    except Exception as error:  # whatever its readers and the network raise
        reason = " ".join(str(error).split())[:300]
        kind = OSError if isinstance(error, OSError) else ValueError
        raise kind(
            f"expected a dataset of the Hub, or a folder in its form, at {shown(path)}, received "
            f"{reason!r}; check the name (NAME or NAME:CONFIG), the files and the network"
        ) from error
    return found


def _class_names(labels: list[Any], feature: Any) -> list[Any]:
    """Return the names of the labels; None for those that are below 0, which means no label."""
    names = getattr(feature, "names", None)
    if names is None:  # the values are the classes
        return labels
    # A number without a name stays a number, which is refused beside the names of the others.
    return [
        None if label is None or label < 0 else names[label] if label < len(names) else label
        for label in labels
    ]
