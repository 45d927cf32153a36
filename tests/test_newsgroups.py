"""The posts of 20 Newsgroups, which are the same from an archive and a folder, or are refused."""

import hashlib
import io
import tarfile
from pathlib import Path

import pytest

from research.data import newsgroups
from research.files import archives


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """The content of each post by newsgroup/file, in place of the real posts."""
    posts = {
        f"{newsgroup}/{100 - i}": f"Message-ID: <{i}@é>\n\nbody {newsgroup} {i}".encode("latin-1")
        for newsgroup in ("sci.space", "alt.atheism", "rec.autos")
        for i in range(20)
    }
    digest = hashlib.sha256()
    for name, content in sorted(posts.items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    monkeypatch.setattr(newsgroups, "_SHA256", digest.hexdigest())
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


def test_archives_and_folders_in_any_order_give_the_same_posts(
    posts: dict[str, bytes], tmp_path: Path
) -> None:
    reordered = dict(reversed(posts.items()))
    sources = [
        archive_of(posts, tmp_path / "a.tar.gz"),
        archive_of(reordered, tmp_path / "b.tar.gz"),
        folder_of(posts, tmp_path / "posts"),
        folder_of(posts, tmp_path / "above" / "20_newsgroup").parent,
    ]
    names, texts = newsgroups.read_posts(sources[0])
    assert names == [name.partition("/")[0] for name in sorted(posts)]
    assert texts == [content.decode("latin-1") for _, content in sorted(posts.items())]
    for source in sources[1:]:
        assert newsgroups.read_posts(source) == (names, texts)


def test_the_posts_are_cached_without_pickle(
    posts: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path / "cache"))
    archive = archive_of(posts, tmp_path / "a.tar.gz")
    read = newsgroups.read_posts(archive)
    files = {path.name for path in (tmp_path / "cache").rglob("*") if path.is_file()} - {
        "digests.json"
    }
    assert {name for name in files if not name.endswith(".lock")} == {"posts.parquet"}
    monkeypatch.delattr(archives, "read_tar")
    assert newsgroups.read_posts(archive) == read


@pytest.mark.parametrize("change", ["content", "name", "missing"])
def test_other_posts_are_refused(change: str, posts: dict[str, bytes], tmp_path: Path) -> None:
    name, content = posts.popitem()
    if change != "missing":
        posts[name + "0" * (change == "name")] = content + b"!" * (change == "content")
    with pytest.raises(ValueError, match=r"expected the 19,997 posts of news20\.tar\.gz"):
        newsgroups.read_posts(archive_of(posts, tmp_path / "a.tar.gz"))


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label")
    with pytest.raises(ValueError, match=r"expected a whole .tar.gz"):
        newsgroups.read_posts(tmp_path / "a.csv")


def test_hidden_files_are_left_out(posts: dict[str, bytes], tmp_path: Path) -> None:
    folder = folder_of(posts, tmp_path / "posts")
    (folder / "sci.space" / ".DS_Store").touch()
    folder_of({".git/config": b""}, folder)
    assert len(newsgroups.read_posts(folder)[1]) == len(posts)


def test_message_ids_are_in_the_headers() -> None:
    post = "From: x\nmessage-id: <1@é> (late)\nSubject: y\n\nMessage-ID: <2>"
    assert newsgroups.message_ids([post, "Message-ID: <3>\n\n"]) == ["<1@é>", "<3>"]
