"""What a corpus is like: its classes, its lengths, and what leaks between its splits."""

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
import rich.box
import tyro
from rich.console import Console
from rich.table import Table

from research import corpora, news20
from research.corpora import Corpus

_NAMES = "\n".join(f"{name}: {what}" for name, what in corpora.CORPORA.items())


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
    bodies = {
        name: [corpora.normalised(t) for t in split.texts] for name, split in corpus.splits.items()
    }
    counts = Counter(body for of_split in bodies.values() for body in of_split)
    in_train = set(bodies["train"])
    return sum(count for count in counts.values() if count > 1), {
        name: sum(body in in_train for body in of_split)
        for name, of_split in bodies.items()
        if name != "train"
    }


def cross_posts(newsgroups: Sequence[str], posts: Sequence[str]) -> tuple[int, int]:
    """Counts the Message-IDs that are in two or more newsgroups, and the posts that have them."""
    ids = news20.message_ids(posts)
    places: dict[str, set[str]] = {}
    for newsgroup, message_id in zip(newsgroups, ids, strict=True):
        places.setdefault(message_id, set()).add(newsgroup)
    crossed = {message_id for message_id, groups in places.items() if len(groups) > 1}
    return len(crossed), sum(message_id in crossed for message_id in ids)


def main(
    name: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="NAME", help=_NAMES)],
    path: Path | None = None,
    sequence_length: int = 200,
    text_column: str = "text",
    label_column: str = "label",
    split_column: str | None = None,
) -> None:
    """Shows a corpus: classes, counts, lengths, an example, and what leaks between its splits.

    Args:
      name: one of `corpora.CORPORA`.
      path: your own texts; or news20.tar.gz, which is fetched otherwise.
      sequence_length: how many words of a document a model would see.
      text_column: where csv, jsonl and parquet have the text.
      label_column: where they have the class.
      split_column: where they say train, validation or test, if they do.
    """
    corpus = corpora.load(
        name,
        path,
        splits=None,
        text_column=text_column,
        label_column=label_column,
        split_column=split_column,
    )
    texts = [text for split in corpus.splits.values() for text in split.texts]
    sizes = {name: f"{len(split.texts):,}" for name, split in corpus.splits.items()}
    lengths = word_counts(texts)
    least, quarter, median, three_quarters, most = np.quantile(lengths, [0, 0.25, 0.5, 0.75, 1])
    whole, words = share_kept(lengths, sequence_length)
    same, leaked = duplicates(corpus)

    # In a file or a pipe a line stays a line, however long, so that it can be searched.
    in_terminal = sys.stdout.isatty()
    console = Console(
        highlight=False, markup=False, emoji=False, width=None if in_terminal else 10_000
    )
    console.print(
        f"{corpus.name}: {corpus.description}",
        f"{len(texts):,} documents in {len(corpus.class_names)} classes, "
        f"{'/'.join(sizes.values())} in {'/'.join(sizes)}",
        f"digest {corpus.digest}",
        _class_table(corpus, in_terminal),
        f"words in a document (between white space): from {least:,.0f} to {most:,.0f}, median "
        f"{median:,.0f}, half of them {quarter:,.0f} to {three_quarters:,.0f}; "
        f"{np.count_nonzero(lengths == 0):,} documents have none",
        f"a sequence length of {sequence_length:,} keeps {whole:.1%} of the documents whole and "
        f"{words:.1%} of all words",
        f"{same:,} documents are the same as another, but for case and white space"
        + "".join(f"; {count:,} of {split} are in train" for split, count in leaked.items()),
        sep="\n",
    )
    if name in ("news20", "news20-clean"):
        crossed, posts = cross_posts(*news20.read_posts(path))
        console.print(f"{crossed:,} Message-IDs are in two classes or more ({posts:,} posts)")
    train = corpus.splits["train"]
    class_name = _printable(corpus.class_names[train.labels[0]])
    excerpt = _printable(" ".join(train.texts[0][:2000].split())[:300])
    console.print(f"an example, of class {class_name}: {excerpt}")


def _class_table(corpus: Corpus, in_terminal: bool) -> Table:
    table = Table("class", box=rich.box.ROUNDED if in_terminal else None)
    for split in corpus.splits:
        table.add_column(split, justify="right")
    counts = [
        np.bincount(split.labels, minlength=len(corpus.class_names))
        for split in corpus.splits.values()
    ]
    for label, class_name in enumerate(corpus.class_names):
        table.add_row(_printable(class_name), *(f"{of_split[label]:,}" for of_split in counts))
    return table


def _printable(text: str) -> str:
    """The text without what a terminal would obey."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
