"""Your own texts: what is written in any of the formats is read unchanged, or refused."""

import csv
import io
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.data import readers

Rows = Sequence[tuple[object, ...]]

ROWS = [(f"text number {i} of {label}", label) for label in ("ham", "spam") for i in range(20)]


def documents(kind: str, path: Path, **columns: str) -> list[tuple[str, str]]:
    own = readers.read(kind, path, **columns)
    assert len(own.splits) == len(own.texts)
    return list(zip(own.texts, own.classes, strict=True))


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
    ("kind", "write"), [*WRITERS.items(), ("csv", write_tsv)], ids=[*WRITERS, "tsv"]
)
each_table = pytest.mark.parametrize(
    ("kind", "write"),
    [("csv", write_csv), ("csv", write_tsv), ("jsonl", write_jsonl), ("parquet", write_parquet)],
    ids=["csv", "tsv", "jsonl", "parquet"],
)


@each_format
def test_every_format_gives_the_same_documents(kind: str, write: Writer, tmp_path: Path) -> None:
    own = readers.read(kind, write(tmp_path / "corpus", ROWS))
    assert list(zip(own.texts, own.classes, strict=True)) == ROWS
    assert own.splits == ["train"] * len(ROWS)


@each_format
def test_splits_of_the_user_are_kept(kind: str, write: Writer, tmp_path: Path) -> None:
    split_of = ["train", "train", "train", "validation", "test"]
    rows = [(*row, split_of[number % 5]) for number, row in enumerate(ROWS)]
    path = write(tmp_path / "corpus", rows, header="text,label,split")
    own = readers.read(kind, path, split_column=None if kind == "folder" else "split")
    assert sorted(zip(own.texts, own.classes, own.splits, strict=True)) == sorted(rows)


@each_format
def test_any_unicode_survives(kind: str, write: Writer, tmp_path: Path) -> None:
    strange = 'nul \0, "quotes", tab \t, line\nline\r\nline \u2028 \x85 é 汉字 🙂 \ufeff'
    rows = [*ROWS, (strange, "ham")]
    assert documents(kind, write(tmp_path / "corpus", rows)).count((strange, "ham")) == 1


@each_format
def test_a_document_may_have_10_megabytes(kind: str, write: Writer, tmp_path: Path) -> None:
    long = "many words\n" * 1_000_000
    assert (long, "ham") in documents(kind, write(tmp_path / "corpus", [*ROWS, (long, "ham")]))


@each_table
def test_columns_may_have_other_names(kind: str, write: Writer, tmp_path: Path) -> None:
    rows = [("2020-01-01", *row) for row in ROWS]
    path = write(tmp_path / "corpus", rows, header="text,body,topic")
    assert documents(kind, path, text_column="body", label_column="topic") == ROWS


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_labels_may_be_integers(kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / "corpus", [(f"text {i}", i % 2) for i in range(4)])
    assert documents(kind, path) == [(f"text {i}", str(i % 2)) for i in range(4)]


def test_csv_values_are_not_guessed(tmp_path: Path) -> None:
    rows = [(f"{i:03}", f"00{i % 2}") for i in range(40)]
    assert documents("csv", write_csv(tmp_path / "a.csv", rows)) == rows


@pytest.mark.parametrize("kind", ["folder", "csv", "jsonl"])
def test_a_byte_order_mark_is_removed(kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / "corpus", ROWS)
    file = path / "ham" / "0000.txt" if kind == "folder" else path
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert documents(kind, path) == ROWS


def test_hidden_files_are_left_out(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "corpus", ROWS)
    (path / "ham" / ".DS_Store").write_bytes(b"\xff")
    (path / ".git").mkdir()
    (path / ".git" / "config").write_text("hidden")
    assert documents("folder", path) == ROWS


@each_format
@settings(deadline=None, max_examples=25)
@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8", exclude_characters="\ufeff")), min_size=4, max_size=10
    )
)
def test_any_text_is_either_loaded_or_refused_in_one_line(
    kind: str, write: Writer, texts: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    rows = [(text, "ab"[number % 2]) for number, text in enumerate(texts)]
    path = write(tmp_path_factory.mktemp("any") / "corpus", rows)
    try:
        loaded = documents(kind, path)
    except ValueError as error:
        assert str(error).startswith("expected ")
        assert "received" in str(error)
        assert "\n" not in str(error)
    else:
        assert sorted(loaded) == sorted(rows)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_a_damaged_file_is_either_loaded_or_refused_in_one_line(
    kind: str, data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    write = {"csv": write_csv, "jsonl": write_jsonl, "parquet": write_parquet}[kind]
    path = write(tmp_path_factory.mktemp("damaged") / "corpus", ROWS[:3] + ROWS[-3:])
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(content) - 1))
        content[position : position + data.draw(st.integers(0, 3))] = data.draw(
            st.binary(max_size=3)
        )
    path.write_bytes(content)
    try:
        loaded = documents(kind, path)
    except ValueError as error:
        assert str(error).startswith("expected ")
        assert "\n" not in str(error)
    else:
        assert all(isinstance(text, str) and label for text, label in loaded)


# --- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_an_empty_file(kind: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(ValueError, match=r"expected documents in .*empty"):
        readers.read(kind, tmp_path / "empty")


def test_no_documents(tmp_path: Path) -> None:
    (tmp_path / "ham").mkdir()
    (tmp_path / "header.csv").write_text("text,label\n")
    for kind, path in (("folder", tmp_path), ("csv", tmp_path / "header.csv")):
        with pytest.raises(ValueError, match=r"expected documents in .*, received none"):
            readers.read(kind, path)


def test_a_file_for_a_folder_and_a_folder_for_a_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="received the file"):
        readers.read("folder", write_csv(tmp_path / "a.csv", ROWS))
    for kind in ("csv", "jsonl", "parquet"):
        with pytest.raises(ValueError, match="received the folder"):
            readers.read(kind, tmp_path)


@each_format
def test_one_class(kind: str, write: Writer, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"two classes or more .*, received only 'ham'"):
        readers.read(kind, write(tmp_path / "corpus", ROWS[:20]))


@each_table
def test_empty_documents_in_a_table(kind: str, write: Writer, tmp_path: Path) -> None:
    rows = [*ROWS, (" \n\t", "ham"), ("", "ham")]
    with pytest.raises(ValueError, match="received 2 without text, the first in row 41 of"):
        readers.read(kind, write(tmp_path / "corpus", rows))


def test_empty_documents_in_a_folder(tmp_path: Path) -> None:
    path = write_folder(tmp_path / "corpus", [*ROWS, ("", "spam")])
    with pytest.raises(ValueError, match=r"1 without text, the first in .*spam.0040\.txt"):
        readers.read("folder", path)


@pytest.mark.parametrize("kind", ["folder", "csv", "jsonl"])
def test_bytes_that_are_not_utf8(kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / "corpus", ROWS)
    file = path / "ham" / "0000.txt" if kind == "folder" else path
    whole = file.read_bytes()
    file.write_bytes(whole.replace(b"number 0", b"n\xfcmber 0", 1))
    offset = whole.index(b"number 0") + 1
    with pytest.raises(
        ValueError, match=f"'{file}', received the byte 0xfc at byte offset {offset};"
    ):
        readers.read(kind, path)


@each_table
@pytest.mark.parametrize("missing", ["text_column", "label_column", "split_column"])
def test_a_missing_column(kind: str, write: Writer, missing: str, tmp_path: Path) -> None:
    path = write(tmp_path / "corpus", [(label, text) for text, label in ROWS], header="label,text")
    with pytest.raises(
        ValueError, match=r"expected one column 'topic' in .*, received 'label', 'text';"
    ):
        readers.read(kind, path, **{missing: "topic"})


def test_a_column_that_occurs_twice(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("a", "b", "c")], header="text,text,label")
    with pytest.raises(ValueError, match="expected one column 'text'"):
        readers.read("csv", path)


@each_table
def test_a_missing_label(kind: str, write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path / "corpus", [*ROWS, ("some text", "")])
    with pytest.raises(ValueError, match=r"in column 'label', received '' in row 41 .*\(1 such"):
        readers.read(kind, path)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_labels_of_other_types(kind: str, tmp_path: Path) -> None:
    for label in (None, 1.5):
        rows = [*[(text, 0.5) for text, _ in ROWS], ("some text", label)]
        expected = "received (None|0.5) in row (41|1) of"
        with pytest.raises(ValueError, match=expected):
            readers.read(kind, WRITERS[kind](tmp_path / "corpus", rows))


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_a_text_of_another_type(kind: str, tmp_path: Path) -> None:
    path = WRITERS[kind](tmp_path / "corpus", [(number, "ham") for number in range(5)])
    with pytest.raises(
        ValueError, match=r"expected a string .* in column 'text', received 0 in row 1"
    ):
        readers.read(kind, path)


@each_table
def test_a_split_of_another_name(kind: str, write: Writer, tmp_path: Path) -> None:
    rows = [(*row, "holdout") for row in ROWS]
    path = write(tmp_path / "corpus", rows, header="text,label,split")
    with pytest.raises(
        ValueError, match=r"expected one of train, .*dev.* in column 'split', received 'holdout'"
    ):
        readers.read(kind, path, split_column="split")


def test_two_names_for_one_split(tmp_path: Path) -> None:
    rows = [(*row, ("train", "dev", "eval")[number % 3]) for number, row in enumerate(ROWS)]
    path = write_csv(tmp_path / "a.csv", rows, header="text,label,split")
    with pytest.raises(
        ValueError, match=r"one name for the validation split in column 'split'.*'dev' and 'eval'"
    ):
        readers.read("csv", path, split_column="split")


@pytest.mark.parametrize(
    ("split", "received"), [("train", "only 'ham'"), ("dev", "no text in train")]
)
def test_train_needs_two_classes(split: str, received: str, tmp_path: Path) -> None:
    rows = [(*row, split if row[1] == "ham" else "test") for row in ROWS]
    path = write_folder(tmp_path / "corpus", rows, header="text,label,split")
    with pytest.raises(ValueError, match=f"two classes or more to learn from.*{received};"):
        readers.read("folder", path)


@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_several_classes_for_one_text(kind: str, tmp_path: Path) -> None:
    rows = [(text, [label, "mail"]) for text, label in ROWS]
    with pytest.raises(
        ValueError, match=r"expected one class: .* in column 'label', received \['ham', 'mail'\]"
    ):
        readers.read(kind, WRITERS[kind](tmp_path / "corpus", rows))


@each_table
def test_the_nearest_column_is_suggested(kind: str, write: Writer, tmp_path: Path) -> None:
    path = write(tmp_path / "corpus", ROWS, header="Text,labels")
    for columns, nearest in (
        ({"label_column": "labels"}, r"did you mean 'Text'\? name the column with --text-column"),
        ({"text_column": "Text"}, r"did you mean 'labels'\? name the column with --label-column"),
    ):
        with pytest.raises(ValueError, match=rf"received 'Text', 'labels'; {nearest}"):
            readers.read(kind, path, **columns)


@pytest.mark.parametrize(
    ("split", "named"),
    [
        *[("training", "train"), ("TRAIN", "train"), ("Testing", "test"), ("dev", "validation")],
        *[("valid", "validation"), ("Val", "validation"), ("eval", "validation")],
    ],
)
@pytest.mark.parametrize("kind", ["folder", "csv"])
def test_splits_have_many_names(kind: str, split: str, named: str, tmp_path: Path) -> None:
    others = {"train", "validation", "test"} - {named}
    rows = [(*row, of_row) for of_row in (split, *others) for row in ROWS]
    path = WRITERS[kind](tmp_path / "corpus", rows, header="text,label,split")
    own = readers.read(kind, path, split_column="split")
    assert {name: own.splits.count(name) for name in (named, *others)} == dict.fromkeys(
        (named, *others), len(ROWS)
    )


# --- what is said about classes -----------------------------------------------------------------


def test_classes_with_few_texts_are_named_in_one_line() -> None:
    classes = ["a"] * 10 + ["b"] * 9 + ["c", "d", "e"]
    splits = ["train"] * 18 + ["test"] + ["train"] * 3
    assert readers.class_notes(classes, splits) == [
        "warning: classes with fewer than 10 texts: 'b' (9), 'c' (1), 'd' (1) and 1 more; expect "
        "mistakes, and add texts or join classes"
    ]
    assert readers.class_notes(["a", "b"] * 10, ["train"] * 20) == []


def test_classes_that_train_lacks_are_named_in_one_line() -> None:
    classes = ["a", "b"] * 10 + ["c"] * 1_200 + ["d"]
    splits = ["train"] * 20 + ["test"] * 1_200 + ["validation"]
    assert readers.class_notes(classes, splits) == [
        "warning: classes without a text in train: 'c' (1,200), 'd' (1); nothing can learn them, "
        "so their texts (1,201) count as mistakes"
    ]


def parquet_with(text: bytes) -> bytes:
    """Return a file that declares its text to be a string, whatever bytes it holds."""
    buffers = [None, pa.array([0, len(text)], pa.int32()).buffers()[1], pa.py_buffer(text)]
    column = pa.Array.from_buffers(pa.string(), 1, buffers)
    output = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"text": column, "label": ["ham"]}), output)
    return output.getvalue()


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("csv", b"text,label\na,b\na,b,c\n", r"header \(2\) in line 3 of .*, received 3;"),
        (
            "jsonl",
            b'{"text": "a", "label": "b"}\n{"text": \n',
            "in line 2 of .*'Expecting value' at character 11",
        ),
        ("jsonl", b'{"text": "a", "label": "b"}\n["a", "b"]\n', "in line 2 of .*a list"),
        ("jsonl", rb'{"text": "\ud800", "label": "b"}', "valid Unicode in line 1"),
        ("parquet", b"text,label\na,b\n", "expected a Parquet file"),
        ("parquet", parquet_with(b"\xff"), "text in UTF-8 .*Invalid UTF8"),
    ],
)
def test_a_file_of_another_form(kind: str, content: bytes, message: str, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(content)
    with pytest.raises(ValueError, match=message) as raised:
        readers.read(kind, tmp_path / "a")
    assert "\n" not in str(raised.value)
