"""What a corpus is like: its classes, its lengths, and what leaks between its splits."""

import sys
from pathlib import Path
from typing import Annotated

import numpy as np
import rich.box
import tyro
from rich.console import Console
from rich.table import Table

from research.data import corpora, newsgroups
from research.data.corpora import Corpus

_NAMES = "\n".join(f"{name}: {what}" for name, what in corpora.CORPORA.items())


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
      path: your own texts; or newsgroups.tar.gz, which is fetched otherwise.
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
        crossed, posts = cross_posts(*newsgroups.read_posts(path))
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
