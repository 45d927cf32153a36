"""The posts of 20 Newsgroups: whatever they are packed in, the same posts come out, or none."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from research.data import newsgroups


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Class/file -> content, taken for the real posts."""
    posts = {
        f"{newsgroup}/{100 - i}": f"Message-ID: <{i}@é>\n\nbody {newsgroup} {i}".encode("latin-1")
        for newsgroup in ("sci.space", "alt.atheism", "rec.autos")
        for i in range(20)
    }
    digest = hashlib.sha256()
    for name, content in sorted(posts.items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    monkeypatch.setattr(news20, "_SHA256", digest.hexdigest())
    return posts


def archive_of(posts: dict[str, bytes], path: Path) -> Path:
    with tarfile.open(path, "w:gz") as tar:
        for name, content in posts.items():
            info = tarfile.TarInfo(f"20_newsgroup/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def folder_of(posts: dict[str, bytes], path: Path) -> Path:
    for name, content in posts.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(content)
    return path


def test_archive_and_folder_and_order_do_not_matter(
    posts: dict[str, bytes], tmp_path: Path
) -> None:
    reordered = dict(reversed(posts.items()))
    sources = [
        archive_of(posts, tmp_path / "a.tar.gz"),
        archive_of(reordered, tmp_path / "b.tar.gz"),
        folder_of(posts, tmp_path / "posts"),
        folder_of(posts, tmp_path / "above" / "20_newsgroup").parent,
    ]
    newsgroups, texts = newsgroups.read_posts(sources[0])
    assert newsgroups == [name.partition("/")[0] for name in sorted(posts)]
    assert texts == [content.decode("latin-1") for _, content in sorted(posts.items())]
    for source in sources[1:]:
        assert newsgroups.read_posts(source) == (newsgroups, texts)


def test_the_posts_are_cached_without_pickle(
    posts: dict[str, bytes], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(posts, tmp_path / "a.tar.gz")
    read = newsgroups.read_posts(archive)
    files = {path.name for path in cache.rglob("*") if path.is_file()} - {"digests.json"}
    assert {name for name in files if not name.endswith(".lock")} == {"posts.parquet"}
    monkeypatch.delattr(assets, "read_tar")
    assert newsgroups.read_posts(archive) == read


@pytest.mark.parametrize("change", ["content", "name", "missing"])
def test_other_posts_are_refused(change: str, posts: dict[str, bytes], tmp_path: Path) -> None:
    name, content = posts.popitem()
    if change != "missing":
        posts[name + "0" * (change == "name")] = content + b"!" * (change == "content")
    with pytest.raises(ValueError, match=r"expected the 19,997 posts of newsgroups.tar.gz"):
        newsgroups.read_posts(archive_of(posts, tmp_path / "a.tar.gz"))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label")
    with pytest.raises(ValueError, match=r"expected a whole .tar.gz"):
        newsgroups.read_posts(tmp_path / "a.csv")


def test_hidden_files_are_no_posts(posts: dict[str, bytes], tmp_path: Path) -> None:
    folder = folder_of(posts, tmp_path / "posts")
    (folder / "sci.space" / ".DS_Store").touch()
    folder_of({".git/config": b""}, folder)
    assert len(newsgroups.read_posts(folder)[1]) == len(posts)


def test_message_ids_are_in_the_headers() -> None:
    post = "From: x\nmessage-id: <1@é> (late)\nSubject: y\n\nMessage-ID: <2>"
    assert newsgroups.message_ids([post, "Message-ID: <3>\n\n"]) == ["<1@é>", "<3>"]
