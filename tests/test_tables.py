"""Tables: every row is returned or refused, and only the columns that are wanted are kept."""

import csv
import io
import json
import os
import re
import tracemalloc
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.data import readers, tables, text_files

GOOD = "text,label\na1,ham\na2,ham\nb1,spam\nb2,spam\n"  # lines 1 to 5


def rows_of(kind: str, path: Path) -> list[tuple[Any, ...]]:
    return list(zip(*tables.read(kind, path, ["text", "label"]).columns, strict=True))


def assert_refused(kind: str, path: Path, message: str, **columns: str) -> None:
    with pytest.raises(ValueError, match=message) as raised:
        readers.read(kind, path, **columns)
    assert str(raised.value).startswith("expected ")
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 1000


@pytest.fixture
def file(tmp_path: Path) -> Any:
    """Return a function that writes a file and returns its path."""

    def write(content: str | bytes, name: str = "a.csv") -> Path:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


# --- compared with other readers -----------------------------------------------------------------

BYTE_ORDER_MARKS = st.sampled_from(["", "\ufeff"])
LINE_ENDS = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\r\r\n"])


def strict_csv(content: str, delimiter: str) -> list[list[str]] | None:
    """Return the rows that are not blank, or None if the file cannot be trusted."""
    try:
        rows = list(csv.reader(io.StringIO(content, newline=""), delimiter=delimiter, strict=True))
    except csv.Error:
        return None
    rows = [row for row in rows if row]
    return rows if {len(row) for row in rows} == {len(rows[0])} else None


@pytest.mark.parametrize(("delimiter", "name"), [(",", "a.csv"), ("\t", "a.tsv")])
@settings(deadline=None, max_examples=400)
@given(
    mark=BYTE_ORDER_MARKS,
    line_end=LINE_ENDS,
    parts=st.lists(
        st.sampled_from(
            [*'",\t\n\r éx\u2028', '""', "a,ham\n", "a\tham\n", '"a","b"\n', '"a"\t"b"\n']
        ),
        max_size=12,
    ),
)
def test_csv_of_any_form(
    delimiter: str,
    name: str,
    mark: str,
    line_end: str,
    parts: list[str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    content = f"text{delimiter}label\n{''.join(parts)}".replace("\n", line_end)
    path = tmp_path_factory.mktemp("csv") / name
    path.write_bytes((mark + content).encode())
    expected = strict_csv(content, delimiter)
    if expected is None:
        with pytest.raises(ValueError, match=r"^expected .* in lines? \d"):
            rows_of("csv", path)
    else:
        assert rows_of("csv", path) == [tuple(row) for row in expected[1:]]


FIELDS = st.text(st.sampled_from('a",;\t\n\r é🙂\0'), max_size=6)


@settings(deadline=None, max_examples=100)
@given(
    rows=st.lists(st.tuples(FIELDS, FIELDS, FIELDS)),
    repeats=st.integers(1, 3),
    mark=BYTE_ORDER_MARKS,
    line_end=st.sampled_from(["\n", "\r\n", "\r"]),
    is_minimal=st.booleans(),
    delimiter=st.sampled_from([",", "\t"]),
)
def test_csv_that_another_program_wrote(
    rows: list[tuple[str, ...]],
    repeats: int,
    mark: str,
    line_end: str,
    is_minimal: bool,
    delimiter: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("csv") / ("a.tsv" if delimiter == "\t" else "a.csv")
    # With other line ends, some versions of Python leave \r unquoted.
    quoting = csv.QUOTE_MINIMAL if is_minimal and line_end == "\r\n" else csv.QUOTE_ALL
    with path.open("w", encoding="utf-8", newline="") as output:
        output.write(mark)
        writer = csv.writer(
            output, delimiter=delimiter, lineterminator=line_end, quoting=quoting, strict=True
        )
        writer.writerows([("label", "other", "text"), *rows * repeats])
    assert rows_of("csv", path) == [(text, label) for label, _, text in rows * repeats]


def strict_json(line: str) -> dict[str, Any] | None:
    """Return an object whose keys all differ, or None."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a key occurs twice")
        return dict(pairs)

    try:
        row = json.loads(line, object_pairs_hook=unique)
    except ValueError:
        return None
    return row if isinstance(row, dict) else None


@settings(deadline=None, max_examples=400)
@given(
    mark=BYTE_ORDER_MARKS,
    line_end=LINE_ENDS,
    lines=st.lists(
        st.one_of(
            st.builds(
                lambda row, is_ascii: json.dumps(row, ensure_ascii=is_ascii),
                st.dictionaries(
                    st.sampled_from(["text", "label", "other", "text "]),
                    st.one_of(FIELDS, st.integers(), st.none(), st.lists(st.floats(), max_size=2)),
                ),
                st.booleans(),
            ),
            st.sampled_from(["", " ", "\t", "{}", "[]", "1", '{"text": "a", "text": "b"}', "{} x"]),
            st.text(st.sampled_from('{}":,1 a'), max_size=8),
        ),
        max_size=6,
    ),
)
def test_jsonl_of_any_form(
    mark: str, line_end: str, lines: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    lines = ['{"text": "a", "label": "b"}', *lines]
    path = tmp_path_factory.mktemp("jsonl") / "a.jsonl"
    path.write_bytes((mark + line_end.join(lines)).encode())
    rows = [strict_json(line) for line in lines if line.strip()]
    if None in rows:
        with pytest.raises(ValueError, match=r"^expected a JSON object .* in line \d"):
            rows_of("jsonl", path)
    else:
        expected = [(row.get("text"), row.get("label")) for row in rows]
        assert repr(rows_of("jsonl", path)) == repr(expected)  # NaN differs from itself


@settings(deadline=None, max_examples=60)
@given(
    rows=st.lists(st.tuples(FIELDS | st.none(), st.integers(-(2**63), 2**63 - 1), FIELDS)),
    repeats=st.sampled_from([1, 2, 500]),  # 1,000 rows are read at a time
    group_size=st.sampled_from([1, 7, 100_000]),
    is_dictionary=st.booleans(),
)
def test_parquet_that_another_program_wrote(
    rows: list[tuple[Any, ...]],
    repeats: int,
    group_size: int,
    is_dictionary: bool,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    path = tmp_path_factory.mktemp("parquet") / "a.parquet"
    texts, labels, others = zip(*rows * repeats, strict=True) if rows else ((), (), ())
    text_column = pa.array(texts, pa.string())
    table = pa.table(
        {
            "other": pa.array(others, pa.large_string()),
            "label": pa.array(labels, pa.int64()),
            "text": text_column.dictionary_encode() if is_dictionary else text_column,
        }
    )
    pyarrow.parquet.write_table(table, path, row_group_size=max(group_size, len(texts) // 20))
    assert rows_of("parquet", path) == list(zip(texts, labels, strict=True))


# --- CSV -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["text", "label"])
def test_a_quote_that_is_never_closed(file: Any, column: str) -> None:
    rows = [f"text {i},{('ham', 'spam')[i % 2]}" for i in range(1000)]
    rows[50] = '"' + rows[50] if column == "text" else rows[50].replace(",", ',"')
    path = file("text,label\n" + "\n".join(rows) + "\n")
    assert_refused("csv", path, "in lines 52 to 1,001 of .*a double quote that is never closed")


def test_a_quote_that_the_next_one_closes(file: Any) -> None:
    path = file(GOOD + '"c1,ham\nc2,ham\n"d1",spam\n')
    assert_refused("csv", path, "in lines 6 to 8 of .*received text behind a closing double quote")


def test_a_quoted_field_that_goes_on(file: Any) -> None:
    path = file(GOOD + '"a" b,ham\n')
    assert_refused("csv", path, "in line 6 of .*received text behind a closing double quote")


@pytest.mark.parametrize(("row", "count"), [("a", 1), (" ", 1), ('""', 1), ("a,b,ham", 3)])
def test_a_row_of_another_length(file: Any, row: str, count: int) -> None:
    path = file(f"{GOOD}\n{row}\nc,ham\n")
    assert_refused("csv", path, rf"in the header \(2\) in line 7 of .*, received {count};")


def test_lines_within_fields_are_counted(file: Any) -> None:
    path = file(GOOD + '"a\r\nb\nc\rd",ham\n"a\n",b,ham\n')
    assert_refused("csv", path, "in lines 10 to 11 of .*, received 3;")


def test_quotes_within_a_field_stand_for_themselves(file: Any) -> None:
    assert rows_of("csv", file(GOOD + 'a 5" pipe,ham\n'))[-1] == ('a 5" pipe', "ham")


def test_a_long_field_is_refused(file: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    limit = csv.field_size_limit()
    monkeypatch.setattr(text_files, "MAX_CHARACTERS", 20)
    assert_refused("csv", file(GOOD + '"' + "word\n" * 10), "a field of more than 20 characters")
    assert csv.field_size_limit() == limit


# --- JSONL ---------------------------------------------------------------------------------------


def jsonl(*labels: str) -> str:
    return "".join(f'{{"text": "text {i}", "label": {label}}}\n' for i, label in enumerate(labels))


def test_integers_and_strings_are_not_mixed(file: Any) -> None:
    path = file(jsonl("1", '"1"', "2", '"2"'))
    assert_refused(
        "jsonl", path, "only strings or only integers .* 1 in row 1 of .* '1' in row 2 of"
    )


@pytest.mark.parametrize(
    "label", ["true", "null", "1.0", "NaN", "Infinity", "[]", '""', '" \\n"', str(2**64)]
)
def test_what_is_no_label(file: Any, label: str) -> None:
    path = file(jsonl('"a"', '"a"', label, label))
    assert_refused(
        "jsonl", path, r"a string or an integer of 64 bits .* in row 3 of .* \(2 such rows\)"
    )


def test_integers_of_64_bits_are_labels(file: Any) -> None:
    labels = [str(label) for label in (-(2**63), 2**64 - 1, 0)]
    assert readers.read("jsonl", file(jsonl(*labels * 2)))[1] == labels * 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ('{"text": "a", "label": "b", "label": "c"}', "the key 'label' more than once"),
        ('{"text": "a", "label": "b", "c": {"d": 1, "d": 1}}', "the key 'd' more than once"),
        ('{"text": "a", "label": ' + "[" * 100_000 + "]" * 100_000 + "}", "too many brackets"),
        ('{"text": "a", "label": ' + "7" * 5000 + "}", "an integer with too many digits"),
        ('{"text": "a", "label": "\\ud800"}', r"half a character: '\\ud800'"),
        ('{"text": "a\x1b", "label": "b"}', "'Invalid control character at' at character 12"),
    ],
    ids=["key", "inner key", "depth", "digits", "surrogate", "control character"],
)
def test_json_that_no_two_readers_take_alike(file: Any, row: str, message: str) -> None:
    path = file(f"{jsonl('1', '2')}{row}\n")
    assert_refused("jsonl", path, f"in line 3 of .*{message}")


# --- Parquet -------------------------------------------------------------------------------------


def parquet(path: Path, labels: pa.Array) -> Path:
    texts = [f"text {row}" for row in range(len(labels))]
    pyarrow.parquet.write_table(pa.table({"text": texts, "label": labels}), path)
    return path


@pytest.mark.parametrize("value_type", [pa.string(), pa.large_string(), pa.int8(), pa.uint64()])
@pytest.mark.parametrize("is_dictionary", [False, True])
def test_types_of_labels(tmp_path: Path, value_type: pa.DataType, is_dictionary: bool) -> None:
    labels = pa.array([1, 2, 1, 2]).cast(value_type)
    path = parquet(tmp_path / "a", labels.dictionary_encode() if is_dictionary else labels)
    assert readers.read("parquet", path)[1] == ["1", "2", "1", "2"]


@pytest.mark.parametrize(
    ("labels", "row"),
    [
        (pa.array([True, False, True, False]), 1),
        (pa.array([1.0, 2.0, 1.0, 2.0]), 1),
        (pa.array([b"a", b"b", b"a", b"b"]), 1),
        (pa.array(["a", "b", "a", None]), 4),
        (pa.array(["a", "b", "a", None]).dictionary_encode(), 4),
        (pa.array([1, 2, 1, 2]).cast(pa.decimal128(20)), 1),
    ],
    ids=["bool", "float", "bytes", "null", "null in a dictionary", "decimal"],
)
def test_other_types_are_refused(tmp_path: Path, labels: pa.Array, row: int) -> None:
    path = parquet(tmp_path / "a", labels)
    assert_refused("parquet", path, f"a string or an integer of 64 bits .* in row {row} of")


def test_a_file_that_is_not_parquet(file: Any) -> None:
    assert_refused("parquet", file(GOOD), "does not begin with PAR1; .* choose csv or jsonl")


# --- all of them ---------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_what_is_no_regular_file(kind: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # to open it would wait for a writer
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        assert_refused(kind, path, f"expected a {kind} file, received a pipe, a socket or a device")


def test_labels_that_differ_by_white_space(file: Any) -> None:
    path = file(GOOD + "c1, ham\nc2, ham\n")
    assert_refused("csv", path, "differ in more than white space .*, received 'ham' and ' ham'")


def test_white_space_around_all_labels_is_kept(file: Any) -> None:
    assert readers.read("csv", file(GOOD.replace(",ham", ", ham")))[1][0] == " ham"


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_a_text_has_a_limit(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_files, "MAX_CHARACTERS", 40)
    path, text = tmp_path / "a", "x" * 41
    if kind == "parquet":
        pyarrow.parquet.write_table(pa.table({"text": [text], "label": ["a"]}), path)
    else:
        row = f"text,label\n{text},a\n" if kind == "csv" else json.dumps({"text": text})
        path.write_text(row)
    assert_refused(kind, path, "at most 40 characters")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_messages_stay_short(kind: str, tmp_path: Path) -> None:
    names, path = [f"column\x1b {i}" for i in range(20_000)], tmp_path / "a"
    if kind == "csv":
        path.write_text(",".join(names))
    elif kind == "jsonl":
        path.write_text(json.dumps(dict.fromkeys(names)))
    else:
        pyarrow.parquet.write_table(pa.table({name: ["a"] for name in names[:100]}), path)
    more = "90" if kind == "parquet" else "19,990"
    assert_refused(kind, path, re.escape(r"'column\x1b 0', ") + f".* and {more} more;")


@pytest.mark.parametrize("row", ["a,b\n{0},b,\n", "a,{0}\nb,{0}\n"], ids=["row", "class"])
def test_long_values_are_shortened(file: Any, row: str) -> None:
    assert_refused("csv", file("text,label\n" + row.format("\x1b" * 10_000)), "received")


def test_long_names_of_rare_classes_are_shortened() -> None:
    [note] = readers.class_notes(["a" * 10_000, "\x1b" * 10_000], ["train", "train"])
    assert note.isprintable()
    assert len(note) < 1000


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_columns_that_nobody_wants_are_not_kept(kind: str, file: Any) -> None:
    row = {"text": "a", "label": "b"} | {f"column {i}": "some text" for i in range(100)}
    if kind == "csv":
        path = file("\n".join([",".join(row)] + [",".join(row.values())] * 2000))
    else:
        path = file("\n".join([json.dumps(row)] * 2000))
    tracemalloc.start()
    try:
        rows = rows_of(kind, path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert rows == [("a", "b")] * 2000
    assert peak < path.stat().st_size / 2
