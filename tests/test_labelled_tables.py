"""Labelled tables: all that was in a file is in the new one, which appears as a whole."""

import csv
import datetime
import decimal
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.data import labelled_tables, text_files


def by_length(texts: list[str]) -> list[tuple[str | None, float]]:
    """Label a text with its length; leave an empty one without a label."""
    return [(f"of {len(text)}" if text else None, 0.25) for text in texts]


@pytest.fixture
def written(tmp_path: Path) -> Callable[..., bytes]:
    """Return a function that labels a file with this content, and returns the new content."""

    def label(content: str | bytes, suffix: str, text_column: str = "text") -> bytes:
        source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
        source.write_bytes(content if isinstance(content, bytes) else content.encode())
        labelled_tables.write(source, target, text_column, by_length)
        assert sorted(path.name for path in tmp_path.iterdir()) == [source.name, target.name]
        return target.read_bytes()

    return label


# --- CSV and TSV ---------------------------------------------------------------------------------


def test_a_csv_keeps_its_columns(written):
    table = 'id,text,\n007,"a, ""b""",1e400\n\n,,NaN\n'
    assert written(table, ".csv").decode() == (
        'id,text,,label,probability\n007,"a, ""b""",1e400,of 6,0.25\n,,NaN,,0.25\n'
    )


def test_a_tsv_has_tabs(written):
    assert written("text\tid\na, b\t1\n", ".TSV") == (
        b"text\tid\tlabel\tprobability\na, b\t1\tof 4\t0.25\n"
    )


def test_a_byte_order_mark_stays_for_excel(written):
    assert written("\ufefftext\r\né\r\n", ".csv").decode() == (
        "\ufefftext,label,probability\né,of 1,0.25\n"
    )


FIELDS = st.text(st.sampled_from('a",;\t\n\r é🙂\0'), max_size=6)


@settings(deadline=None, max_examples=100)
@given(rows=st.lists(st.tuples(FIELDS, FIELDS)), suffix=st.sampled_from([".csv", ".tsv"]))
def test_any_field_comes_back(rows, suffix, tmp_path_factory):
    folder = tmp_path_factory.mktemp("csv")
    delimiter = "\t" if suffix == ".tsv" else ","
    with (folder / f"a{suffix}").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerows([("other", "text"), *rows])
    count = labelled_tables.write(folder / f"a{suffix}", folder / f"b{suffix}", "text", by_length)
    assert count == len(rows)
    content = (folder / f"b{suffix}").read_bytes().decode()
    _, *found = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True)
    labels = [label or "" for label, _ in by_length([text for _, text in rows])]
    assert found == [[*row, label, "0.25"] for row, label in zip(rows, labels, strict=True)]


# --- JSONL ---------------------------------------------------------------------------------------


def test_an_object_keeps_every_character(written):
    line = r'{"n": 0.10000000000000000000001, "t": "\u00e9\ud800", "text": "a",  "x": {"y": [1e5]}'
    added = '"label": "of 1", "probability": 0.25}'
    assert written(f"\n {line} }} \r\n", ".jsonl").decode() == f" {line} , {added}\n"


def test_no_label_is_null(written):
    assert json.loads(written('{"text": ""}', ".jsonl")) == {
        "text": "",
        "label": None,
        "probability": 0.25,
    }


# --- Parquet -------------------------------------------------------------------------------------


def test_types_and_metadata_of_parquet_stay(tmp_path):
    table = pa.table(
        {
            "id": pa.array([7, None], pa.uint8()),
            "text": pa.array(["a", ""]).dictionary_encode(),
            "when": pa.array([datetime.datetime(2024, 1, 1)] * 2, pa.timestamp("ms", "UTC")),
            "price": pa.array([decimal.Decimal("1.10"), None], pa.decimal128(9, 2)),
            "tags": pa.array([["x"], []], pa.list_(pa.large_string())),
        }
    ).replace_schema_metadata({"made by": "hand"})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    labelled_tables.write(tmp_path / "a.parquet", tmp_path / "b.parquet", "text", by_length)
    found = pyarrow.parquet.read_table(tmp_path / "b.parquet")
    kept = pyarrow.parquet.read_table(tmp_path / "a.parquet")
    assert found.drop_columns(["label", "probability"]).equals(kept, check_metadata=True)
    assert found["label"].to_pylist() == ["of 1", None]
    assert found["probability"].to_pylist() == [0.25, 0.25]


def test_a_large_group_of_rows_is_read_and_written_in_pieces(tmp_path):
    source, target = tmp_path / "a.parquet", tmp_path / "b.parquet"
    table = pa.table({"text": ["orbit moon rocket " * 50] * 40_000})  # 36 MB
    pyarrow.parquet.write_table(table, source, use_dictionary=False, compression="none")
    del table
    pool, taken = pa.default_memory_pool(), []
    before = pool.bytes_allocated()

    def label(texts):
        taken.append(pool.bytes_allocated() - before)
        return by_length(texts)

    assert pyarrow.parquet.read_metadata(source).num_row_groups == 1
    labelled_tables.write(source, target, "text", label)
    assert max(taken) < 10e6


# --- all of them ---------------------------------------------------------------------------------


def table_of(suffix: str, columns: dict[str, list[str]]) -> bytes:
    rows = list(zip(*columns.values(), strict=True))
    if suffix == ".jsonl":
        return "".join(
            json.dumps(dict(zip(columns, row, strict=True))) + "\n" for row in rows
        ).encode()
    if suffix == ".csv":
        return "".join(",".join(row) + "\n" for row in [columns, *rows]).encode()
    buffer = io.BytesIO()
    schema = pa.schema([(name, pa.string()) for name in columns])
    pyarrow.parquet.write_table(pa.table(columns, schema), buffer)
    return buffer.getvalue()


def names_in(suffix: str, content: bytes) -> list[str]:
    if suffix == ".jsonl":
        return list(json.loads(content.splitlines()[0]))
    if suffix == ".csv":
        return content.decode().splitlines()[0].split(",")
    return pyarrow.parquet.read_schema(io.BytesIO(content)).names


every_kind = pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])


@every_kind
@pytest.mark.parametrize("taken", ["label", "probability"])
def test_names_that_are_taken_make_way(written, suffix, taken):
    columns = {"text": ["a"], taken: ["b"]}
    new = ["predicted_label", "predicted_probability"]
    assert names_in(suffix, written(table_of(suffix, columns), suffix)) == [*columns, *new]
    with pytest.raises(ValueError, match=r"room for the columns .* that has label and predicted_l"):
        written(table_of(suffix, {"text": ["a"], "label": ["b"], new[0]: ["c"]}), suffix)


def test_a_later_object_must_have_room_too(written):
    with pytest.raises(ValueError, match="room for the columns"):
        written('{"text": "a"}\n{"text": "b", "label": 1}', ".jsonl")


@every_kind
def test_rows_come_in_batches_and_in_order(suffix, tmp_path):
    (tmp_path / f"a{suffix}").write_bytes(
        table_of(suffix, {"text": [str(row) for row in range(2_500)]})
    )
    sizes, texts = [], []

    def label(of_rows):
        sizes.append(len(of_rows))
        texts.extend(of_rows)
        return by_length(of_rows)

    rows = labelled_tables.write(tmp_path / f"a{suffix}", tmp_path / f"b{suffix}", "text", label)
    assert (rows, sizes) == (2_500, [1_000, 1_000, 500])
    assert texts == [str(row) for row in range(2_500)]


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_a_table_without_rows_stays_one(written, suffix):
    content = written(table_of(suffix, {"text": []}), suffix)
    assert names_in(suffix, content) == ["text", "label", "probability"]


@every_kind
@pytest.mark.parametrize("failure", [ValueError, KeyboardInterrupt])
def test_after_a_failure_the_old_file_is_there_and_nothing_else(suffix, failure, tmp_path):
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    source.write_bytes(table_of(suffix, {"text": ["a"] * 2_500}))
    target.write_text("old")
    batches = iter([1, 2])

    def fail_later(texts):
        if next(batches) == 2:
            raise failure("no more")
        return by_length(texts)

    with pytest.raises(failure, match="no more"):
        labelled_tables.write(source, target, "text", fail_later)
    assert target.read_text() == "old"
    assert sorted(tmp_path.iterdir()) == [source, target]


@every_kind
def test_a_column_that_is_not_there(written, suffix):
    with pytest.raises(ValueError, match=r"one column 'text' .*'body'; name .* --text-column"):
        written(table_of(suffix, {"body": ["a"]}), suffix)
    assert written(table_of(suffix, {"body": ["a"]}), suffix, "body")


@pytest.mark.parametrize("value", ["null", "7", "[]"])
def test_what_is_no_text(written, value):
    with pytest.raises(ValueError, match=r"a string .* in column 'text', row 2 of .*a.jsonl"):
        written(f'{{"text": "a"}}\n{{"text": {value}}}\n', ".jsonl")


def test_a_text_has_a_limit(written, monkeypatch):
    monkeypatch.setattr(text_files, "MAX_CHARACTERS", 40)
    with pytest.raises(ValueError, match=r"a string of at most 40 .*row 1 of"):
        written(table_of(".parquet", {"text": ["x" * 41]}), ".parquet")


# --- paths ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("a.xlsx", "b.csv", r"--input to end in \.csv, \.tsv, \.jsonl, \.parquet, received"),
        ("a.csv", "b.tsv", r"--output to end in \.csv, as --input does, received 'b\.tsv'"),
        ("a.csv", "b", r"--output to end in \.csv"),
        ("a.csv", "a.csv", "expected two files"),
        ("a.csv", "./a.csv", "expected two files"),
        ("a.csv", "link.csv", "expected two files"),
        ("a.csv", "folder.csv", "a file as --output, .*'folder.csv', which is none"),
        ("a.csv", "pipe.csv", "a file as --output, .*'pipe.csv', which is none"),
    ],
)
def test_paths_that_cannot_be(source, target, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a.csv").write_text("text\na\n")
    Path("link.csv").symlink_to("a.csv")
    Path("folder.csv").mkdir()
    os.mkfifo("pipe.csv")
    with pytest.raises(ValueError, match=message):
        labelled_tables.write(Path(source), Path(target), "text", by_length)
    assert Path("a.csv").read_text() == "text\na\n"


def test_a_source_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a file as --input, found nothing at '.*a\.csv'"):
        labelled_tables.write(tmp_path / "a.csv", tmp_path / "b.csv", "text", by_length)
