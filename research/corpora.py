"""Show a corpus: its classes, its lengths, and what leaks between its splits."""

import sys
from typing import Annotated

import numpy as np
import rich.box
import tyro
from rich.console import Console
from rich.table import Table

from research.data import corpora, description, newsgroups
from research.data.corpora import Corpus, CorpusSource
from research.processes import command, escape


def main(
    source: Annotated[CorpusSource, tyro.conf.arg(name="")], sequence_length: int = 200
) -> None:
    """Shows a corpus: classes, counts, lengths, an example, and what leaks between its splits.

    Args:
      source: the corpus.
      sequence_length: Words of each document that a model would see.
    """
    corpus = corpora.load(source, splits=None)
    in_terminal = sys.stdout.isatty()
    # In a file or a pipe, each line stays whole, however long, so that it can be searched.
    width = None if in_terminal else 10_000
    console = Console(highlight=False, markup=False, emoji=False, width=width)
    console.print(escape.terminal(f"{corpus.name}: {corpus.description}"))
    for note in corpus.notes:
        console.print(escape.terminal(note))
    console.print(size_line(corpus))
    console.print(f"digest {corpus.digest}")
    console.print(class_table(corpus, in_terminal))
    console.print(length_lines(corpus, sequence_length))
    console.print(duplicate_line(corpus))
    if source.name in ("news20", "news20-clean"):
        message_ids, posts = description.cross_posts(*newsgroups.read_posts(source.path))
        console.print(f"{message_ids:,} Message-IDs are in two classes or more ({posts:,} posts)")
    console.print(example_line(corpus))


def size_line(corpus: Corpus) -> str:
    """Return the numbers of documents and classes as a line."""
    counts = [len(split.texts) for split in corpus.splits.values()]
    return (
        f"{sum(counts):,} documents in {len(corpus.class_names)} classes, "
        f"{'/'.join(f'{count:,}' for count in counts)} in {'/'.join(corpus.splits)}"
    )


def class_table(corpus: Corpus, in_terminal: bool) -> Table:
    """Return the number of documents of each class in each split."""
    table = Table("class", box=rich.box.ROUNDED if in_terminal else None)
    for split in corpus.splits:
        table.add_column(split, justify="right")
    counts = [
        np.bincount(split.labels, minlength=len(corpus.class_names))
        for split in corpus.splits.values()
    ]
    for label, class_name in enumerate(corpus.class_names):
        shown = escape.terminal(class_name, escape.LONGEST_NAME)
        table.add_row(shown, *(f"{of_split[label]:,}" for of_split in counts))
    return table


def length_lines(corpus: Corpus, sequence_length: int) -> str:
    """Return how long the documents are, and what `sequence_length` keeps of them, in two lines."""
    words = description.word_counts(
        text for split in corpus.splits.values() for text in split.texts
    )
    least, quarter, median, three_quarters, most = np.quantile(words, [0, 0.25, 0.5, 0.75, 1])
    whole, kept = description.share_kept(words, sequence_length)
    return (
        f"words in a document (between white space): from {least:,.0f} to {most:,.0f}, median "
        f"{median:,.0f}, half of them {quarter:,.0f} to {three_quarters:,.0f}; "
        f"{np.count_nonzero(words == 0):,} documents have no words\n"
        f"a sequence length of {sequence_length:,} keeps {whole:.1%} of the documents whole and "
        f"{kept:.1%} of all words"
    )


def duplicate_line(corpus: Corpus) -> str:
    """Return how many documents occur twice, as a line."""
    count, in_train = description.duplicates(corpus)
    return f"{count:,} documents equal another one, except for case and white space" + "".join(
        f"; {leaked:,} of {split} are in train" for split, leaked in in_train.items()
    )


def example_line(corpus: Corpus) -> str:
    """Return the class and the beginning of the first document of train, as a line."""
    train = corpus.splits["train"]
    class_name = escape.terminal(corpus.class_names[train.labels[0]], escape.LONGEST_NAME)
    excerpt = escape.terminal(" ".join(train.texts[0][:2000].split())[:300])
    return f"an example, of class {class_name}: {excerpt}"


if __name__ == "__main__":
    command.run(main, prints_only=True)
