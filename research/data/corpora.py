"""A corpus by name: texts, labels, class names and splits."""

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import numpy as np
import tyro

from research.data import cardoso_cachopo, newsgroups, readers, text_gcn
from research.data.documents import Documents, by_text
from research.data.splits import SPLITS, complete
from research.processes.choices import choose

CORPORA = {
    "news20-bydate": "20 Newsgroups, split by date, in Cardoso-Cachopo's all-terms version",
    "r8": "Reuters-21578, its 8 largest classes, in Cardoso-Cachopo's all-terms version",
    "r52": "Reuters-21578, 52 classes, in Cardoso-Cachopo's all-terms version",
    "20ng": "20 Newsgroups with headers, split by date, in Text GCN's version",
    "ohsumed": "Ohsumed: abstracts about 23 groups of diseases, in Text GCN's split",
    "mr": "MR: sentences from film reviews, for or against, in Text GCN's split",
    "news20": (
        "20 Newsgroups as the Keras tutorial takes it: each post without its first ten lines, "
        "a random 80/20 split, no test split"
    ),
    "news20-clean": "20 Newsgroups without headers; reposts and cross-posts stay in one split",
    "folder": "your own texts: PATH/CLASS/FILE, or PATH/{train,validation,test}/CLASS/FILE",
    "csv": "your own texts: a row for each document, in a .csv or .tsv file",
    "jsonl": "your own texts: a JSON object for each document, one on each line",
    "parquet": "your own texts: a row for each document, in a Parquet file",
    "hub": (
        "a dataset of the Hugging Face Hub, NAME or NAME:CONFIG, or a folder with the files of one"
    ),
}
"""The names of all corpora, each with its protocol in one line."""

OWN = ("folder", "csv", "jsonl", "parquet", "hub")
"""The names that stand for your own texts; each such corpus has a name of its own."""

IN_MEMORY = "memory"
"""The name of texts that a Python program handed over. No file holds them, so `load` refuses it."""

_NAMES = "\n".join(f"{name}: {protocol}" for name, protocol in CORPORA.items())


@dataclass(frozen=True)
class CorpusSource:
    """Which corpus, where it is, and the names of its columns."""

    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME", help=_NAMES)]
    path: Annotated[
        Path | None, tyro.conf.arg(name="corpus-path", aliases=["--path"], metavar="PATH")
    ] = None
    """Your own texts, or the NAME or NAME:CONFIG of a dataset of the Hugging Face Hub. Or
    news20.tar.gz or the folder it unpacks to, which is fetched otherwise."""
    text_column: str = "text"
    """Column of the text, in a corpus that has columns."""
    label_column: str = "label"
    """Column of the class, as strings or integers, in a corpus that has columns."""
    split_column: Annotated[str | None, tyro.conf.arg(metavar="STR")] = None
    """Column that says train, validation or test, if the corpus has one."""
    delimiter: Annotated[str | None, tyro.conf.arg(metavar="CHARACTER")] = None
    """What separates the columns of a CSV file: a character, or comma, semicolon, tab or bar. It is
    found out unless it is given."""


@dataclass(frozen=True)
class Split:
    """Some documents of a corpus: `texts`, and `labels` as int32[examples]."""

    name: str
    texts: list[str]
    labels: np.ndarray

    def part(self, examples: np.ndarray) -> "Split":
        """Return some of the documents: bool[examples], or the positions, int[...]."""
        positions = np.arange(len(self.texts))[examples]
        return Split(self.name, [self.texts[i] for i in positions], self.labels[positions])


@dataclass(frozen=True)
class Corpus:
    """A corpus, with those splits that were asked for.

    Attributes:
      name: under which its runs and records are filed. Your own texts have that of the file, folder
        or dataset.
      description: its protocol and its source, in one line.
      class_names: sorted; a label is an index into it. Train may lack a class of another split.
      splits: by name, in the order train, validation, test.
      digest: the SHA-256 of the class names, labels and texts of all splits of the corpus,
        including those that were not asked for.
      notes: what a person should know about how your own texts were read, a line each.
    """

    name: str
    description: str
    class_names: list[str]
    splits: dict[str, Split]
    digest: str
    notes: Sequence[str] = ()


def load(source: CorpusSource, splits: Sequence[str] | None = ("train", "validation")) -> Corpus:
    """Load a corpus, and the test split only if it is asked for.

    Args:
      source: which corpus, and where it is.
      splits: those to load, out of "train", "validation" and "test"; None for all that exist.

    Raises:
      FileNotFoundError: there is nothing at the path.
      ValueError: there is no such corpus or split, or its content cannot be used.
      OSError: a file could not be fetched, read or written.

    Example:
      corpus = load(CorpusSource("r8"))
      corpus.splits["train"].texts[0]
    """
    if source.name == IN_MEMORY:
        raise ValueError(
            f"expected a corpus that can be read again, received {IN_MEMORY!r}: a Python program "
            "handed the texts over, and the run does not keep them; score it in Python, with "
            "TextClassifier.score or with research.load(RUN).predict"
        )
    choose("the corpus", source.name, CORPORA)
    if source.path is not None and source.name != "hub" and not source.path.exists():
        raise FileNotFoundError(
            f"expected the corpus {source.name!r} at {str(source.path)!r}, found nothing there; "
            "check the path"
        )
    whole = _corpus(source, _read(source))
    if splits is None:
        return whole
    wanted = [choose(f"a split of {source.name!r}", split, whole.splits) for split in splits]
    return replace(whole, splits={split: whole.splits[split] for split in wanted})


def in_order(names: Iterable[str]) -> list[str]:
    """Return each of the names once: those in `CORPORA` in its order, then others by alphabet."""
    places = {name: place for place, name in enumerate(CORPORA)}
    return sorted(set(names), key=lambda name: (places.get(name, len(places)), name))


def _read(source: CorpusSource) -> Documents:
    name, path = source.name, source.path
    match name:
        case "news20":
            return newsgroups.as_in_the_tutorial(path)
        case "news20-clean":
            return newsgroups.without_leakage(path)
        case "folder" | "csv" | "jsonl" | "parquet" | "hub":
            if path is None:
                raise ValueError(
                    f"expected the path of your {name} corpus, received none; pass it as "
                    "--corpus-path"
                )
            own = readers.read(
                name,
                path,
                source.text_column,
                source.label_column,
                source.split_column,
                source.delimiter,
            )
            return by_text(own.texts, own.classes, own.splits, str(path), own.notes)
    if path is not None:
        raise ValueError(
            f"expected no path for {name!r}, which is fetched by its name, received "
            f"{str(path)!r}; leave the path out, or choose {', '.join(OWN)}"
        )
    return text_gcn.read(name) if name in text_gcn.NAMES else cardoso_cachopo.read(name)


def _corpus(source: CorpusSource, documents: Documents) -> Corpus:
    class_names, labels = _labels(documents.classes)
    name, notes = source.name, list(documents.notes)
    split_of = documents.splits
    if name != "news20":  # the tutorial has no test split
        split_of = complete(name, labels, split_of, documents.groups)
    splits = {}
    for split in SPLITS:
        rows = [row for row, of_row in enumerate(split_of) if of_row == split]
        if rows:
            splits[split] = Split(split, [documents.texts[row] for row in rows], labels[rows])
    if name in OWN:
        notes += readers.class_notes(documents.classes, split_of)
    description = f"{CORPORA[source.name]}; from {documents.source}"
    of_all = digest(class_names, splits.values())
    return Corpus(name_of(source), description, class_names, splits, of_all, notes)


def name_of(source: CorpusSource) -> str:
    """Return the name under which runs and records are filed.

    It is that of the corpus; for your own texts, that of the file, folder or dataset, made fit for
    the name of a folder.
    """
    kind, path = source.name, source.path
    if kind not in OWN or path is None:
        return kind
    stem = path.absolute().name if kind in ("folder", "hub") else path.stem
    name = re.sub(r"[^\w.-]+", "-", stem).strip("-.")
    is_free = name and name not in CORPORA  # own texts never count as a public corpus
    return name if is_free else f"{name or 'own'}-{kind}"


def _labels(classes: list[str]) -> tuple[list[str], np.ndarray]:
    # Not np.unique, which takes as much memory for each string as for the longest one.
    class_names = sorted(set(classes))
    index = {class_name: label for label, class_name in enumerate(class_names)}
    return class_names, np.array([index[of_one] for of_one in classes], dtype=np.int32)


def digest(class_names: list[str], splits: Iterable[Split]) -> str:
    """Return the SHA-256 of class names, and of the labels and texts of splits."""
    digest = hashlib.sha256(json.dumps(class_names).encode())
    for split in splits:
        digest.update(f"{split.name} {len(split.texts)}\n".encode())
        digest.update(split.labels.astype("<i4").tobytes())
        for text in split.texts:
            encoded = text.encode("utf-8", "surrogatepass")
            digest.update(f"{len(encoded)}\n".encode())  # keeps ["ab"] apart from ["a", "b"]
            digest.update(encoded)
    return digest.hexdigest()
