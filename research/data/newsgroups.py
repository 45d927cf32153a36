"""The 19,997 posts of 20 Newsgroups, from `news20.tar.gz` or the folder it unpacks to."""

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

import numpy as np

from research.data.documents import Documents
from research.data.splits import linked, normalised
from research.files import archives, cache
from research.files.downloads import RemoteFile, fetch_url

ARCHIVE = RemoteFile(
    url="http://www.cs.cmu.edu/afs/cs.cmu.edu/project/theo-20/www/data/news20.tar.gz",
    filename="news20.tar.gz",
    max_bytes=50_000_000,  # it has 17 MB
    sha256=None,  # `_checked` checks the posts instead, since copies of the archive differ
)

# Over the sorted names CLASS/FILE and the bytes of the posts.
_SHA256 = "398436f091a5b1383b093c9be94402af2cfebf60a84b0e1937b657ac92eddd8c"
_MAX_BYTES = 200_000_000  # the posts are 37 MB, in 20,000 files with a header each


def read_posts(path: Path | None) -> tuple[list[str], list[str]]:
    """Read all posts.

    Args:
      path: the archive or the folder; None to fetch `ARCHIVE`.

    Returns:
      The newsgroup of each post, and its raw text with headers; sorted by newsgroup and file name.

    Raises:
      ValueError: the posts are not byte for byte those of the archive.
      OSError: the archive could not be fetched or read, or the cache cannot be written.
    """
    import pyarrow as pa  # lazily: few commands read this corpus
    import pyarrow.parquet

    source = path or fetch_url(ARCHIVE)
    if source.is_dir():
        below = source / "20_newsgroup"
        root = below if below.is_dir() else source
        files = (file for file in root.glob("[!.]*/[!.]*") if file.is_file())
        return _checked(((file.as_posix(), file.read_bytes()) for file in files), source)

    def build(entry: Path) -> None:
        newsgroups, posts = _checked(archives.read_tar(source, _MAX_BYTES), source)
        table = pa.table({"newsgroup": newsgroups, "post": posts})
        pyarrow.parquet.write_table(table, entry / "posts.parquet", compression="zstd")

    entry = cache.cached("news20", {"archive": cache.sha256_of(source), "format": 1}, build)
    table = pyarrow.parquet.read_table(entry / "posts.parquet")
    return table["newsgroup"].to_pylist(), table["post"].to_pylist()


def as_in_the_tutorial(path: Path | None) -> Documents:
    """Read the posts as https://keras.io/examples/nlp/pretrained_word_embeddings/ does.

    The first ten lines of each post are cut off. A shuffle with a fixed seed chooses a fifth for
    validation. One thing differs: the tutorial takes the files of a class in the order of the file
    system, and here they are sorted.
    """
    classes, posts = read_posts(path)
    texts = ["\n".join(post.split("\n")[10:]) for post in posts]
    for values in (texts, classes):  # the same seed gives both the same order
        np.random.RandomState(1337).shuffle(values)
    validation = int(0.2 * len(texts))
    splits = ["train"] * (len(texts) - validation) + ["validation"] * validation
    return Documents(texts, classes, splits, np.arange(len(texts)), str(path or ARCHIVE.url))


def without_leakage(path: Path | None) -> Documents:
    """Read the posts without headers. Copies and cross-posts of a post are in its group."""
    classes, posts = read_posts(path)
    texts = [post.partition("\n\n")[2] for post in posts]
    groups = linked([normalised(text) for text in texts], message_ids(posts))
    return Documents(texts, classes, ["train"] * len(texts), groups, str(path or ARCHIVE.url))


def message_ids(posts: Iterable[str]) -> list[str]:
    """Return the Message-ID of each post. Every post of 20 Newsgroups has one in its headers."""
    pattern = re.compile(r"^message-id:\s*(\S+)", re.IGNORECASE | re.MULTILINE)
    return [pattern.findall(post.partition("\n\n")[0])[0] for post in posts]


def _checked(files: Iterable[tuple[str, bytes]], source: Path) -> tuple[list[str], list[str]]:
    paths = ((PurePosixPath(name), content) for name, content in files)
    posts = sorted((path.parent.name, path.name, content) for path, content in paths)
    digest = hashlib.sha256()
    for newsgroup, file, content in posts:
        digest.update(f"{newsgroup}/{file} {len(content)}\n".encode())
        digest.update(content)
    if digest.hexdigest() != _SHA256:
        raise ValueError(
            f"expected the 19,997 posts of news20.tar.gz in {source} (SHA-256 {_SHA256} over names "
            f"and bytes), received {len(posts):,} files ({digest.hexdigest()}); replace it with "
            f"{ARCHIVE.url}"
        )
    return [post[0] for post in posts], [post[2].decode("latin-1") for post in posts]
