"""Folders of classes: every file is a document, or refused by name."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.data import readers
from research.data.class_folders import list_class_files


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    for class_name in ("ham", "spam"):
        (tmp_path / "corpus" / class_name / "more").mkdir(parents=True)
        for name in ("1.txt", "2.txt", "more/3.txt"):
            (tmp_path / "corpus" / class_name / name).write_text(f"{class_name} {name}")
    return tmp_path / "corpus"


def assert_refused(corpus: Path, message: str) -> None:
    with pytest.raises((ValueError, OSError), match=message) as raised:
        readers.read("folder", corpus)
    assert str(raised.value).startswith("expected ")
    assert str(raised.value).isprintable()


NAMES = st.sampled_from(["ham", "spam", "train", "test", "a b", "é", ".hidden", "x.txt", "\x1b"])


@settings(deadline=None, max_examples=60)
@given(
    files=st.dictionaries(
        st.lists(NAMES, min_size=1, max_size=4).map(tuple),
        st.text(st.characters(codec="utf-8", exclude_characters="\ufeff\0")),
        max_size=12,
    )
)
def test_every_file_in_a_class_folder_is_listed(
    files: dict[tuple[str, ...], str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("any")
    for parts, text in files.items():
        path = root.joinpath("class", *parts)
        if not path.exists() and not any(parent.is_file() for parent in path.parents):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text.encode())
    there = {
        Path(folder, name)
        for folder, _, names in os.walk(root)
        for name in names
        if not any(part.startswith(".") for part in Path(folder, name).relative_to(root).parts)
    }
    listed = list_class_files(root)
    assert [file.path for file in listed] == sorted(there)
    assert {(file.class_name, file.split) for file in listed} <= {("class", "train")}


def test_a_link_to_nothing(corpus: Path) -> None:
    (corpus / "ham" / "4.txt").symlink_to("nowhere")
    assert_refused(corpus, r"received '.*ham.4\.txt', a link to nothing")


def test_a_class_that_is_a_link_to_nothing(corpus: Path) -> None:
    (corpus / "eggs").symlink_to("/nowhere")
    assert_refused(corpus, "received '.*eggs', a link to nothing")


def test_a_link_to_itself(corpus: Path) -> None:
    (corpus / "ham" / "4.txt").symlink_to("4.txt")
    assert_refused(corpus, r"received '.*symbolic links' for '.*ham.4\.txt'")


def test_a_pipe(corpus: Path) -> None:
    os.mkfifo(corpus / "ham" / "pipe")
    assert_refused(corpus, "received '.*ham.pipe', which is a pipe")


def test_a_socket(corpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(corpus / "ham")  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert_refused(corpus, "received '.*ham.socket', which is a pipe, a socket")


@pytest.mark.parametrize(
    ("link", "target"),
    [("all", "."), ("ham/all", "../.."), ("more", "ham"), ("a", "spam/more"), ("ham/root", "/")],
)
def test_a_link_to_a_folder_that_is_read_anyway(corpus: Path, link: str, target: str) -> None:
    (corpus / link).symlink_to(target)
    assert_refused(corpus, f"expected every folder once, received .*{link}'")


def test_links_to_other_places_are_followed(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "else").mkdir()
    (tmp_path / "else" / "4.txt").write_text("eggs 4")
    for link, target in (("eggs", "else"), ("eggs.txt", "else/4.txt")):
        (corpus / "ham" / link).symlink_to(tmp_path / target)
    texts, classes, *_ = readers.read("folder", corpus)
    assert classes == ["ham"] * 5 + ["spam"] * 3
    assert texts.count("eggs 4") == 2


@pytest.mark.parametrize(("method", "place"), [("iterdir", "ham"), ("read_bytes", "ham/1.txt")])
def test_what_cannot_be_read(
    corpus: Path, method: str, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    allowed = getattr(Path, method)

    def forbidden(path: Path) -> object:  # as for everyone except root after `chmod 000`
        if path == corpus / place:
            raise PermissionError(13, "Permission denied", str(path))
        return allowed(path)

    monkeypatch.setattr(Path, method, forbidden)
    assert_refused(corpus, f"expected to read all of .*'Permission denied' for '{corpus / place}'")


def test_a_class_whose_name_is_not_utf8(corpus: Path) -> None:
    folder = os.fsencode(corpus) + b"/caf\xe9"
    os.mkdir(folder)  # noqa: PTH102
    Path(os.fsdecode(folder), "1.txt").write_text("some text")
    assert_refused(corpus, r"names in UTF-8, received the name of the class of '.*caf\\udce9.1.txt")


@pytest.mark.parametrize("other", ["holdout", "notes"])
def test_splits_beside_other_folders(corpus: Path, tmp_path: Path, other: str) -> None:
    (tmp_path / "splits").mkdir()
    corpus.rename(tmp_path / "splits" / "train")
    (tmp_path / "splits" / other).mkdir()
    assert_refused(tmp_path / "splits", f"received 'train' with folders .* beside it '{other}'")


def test_two_folders_for_one_split(corpus: Path, tmp_path: Path) -> None:
    (tmp_path / "splits" / "Val").mkdir(parents=True)
    (tmp_path / "splits" / "valid").mkdir()
    corpus.rename(tmp_path / "splits" / "train")
    assert_refused(tmp_path / "splits", "one name for the validation split .* 'Val' and 'valid'")


def test_a_class_may_be_called_train(corpus: Path) -> None:
    (corpus / "ham").rename(corpus / "train")
    _, classes, splits, *_ = readers.read("folder", corpus)
    assert classes == ["spam"] * 3 + ["train"] * 3
    assert set(splits) == {"train"}


def test_files_outside_class_folders_are_left_out(corpus: Path) -> None:
    (corpus / "README").write_text("about this corpus")
    assert len(list_class_files(corpus)) == 6
