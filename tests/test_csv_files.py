"""CSV files in the forms that programs write them in."""

from pathlib import Path

import pytest

from research.data import csv_files, readers

ROWS = [(f"text {number}; with, all | of\tthem", "ab"[number % 2]) for number in range(4)]
EXPECTED = [text for text, _ in ROWS]


def write(path: Path, delimiter: str, header: str = "text,label", mark: str = "") -> Path:
    """Write the rows as Excel does: quotes only where they are needed, and CRLF."""
    lines = [header.split(","), *([f'"{text}"', label] for text, label in ROWS)]
    content = mark + "".join(delimiter.join(line) + "\r\n" for line in lines)
    path.write_bytes(content.encode())
    return path


@pytest.mark.parametrize(
    ("name", "delimiter", "mark", "note"),
    [
        ("a.csv", ",", "", ""),
        ("a.tsv", "\t", "", ""),
        ("a.csv", ";", "", "a.csv: separated by semicolons"),
        ("a.csv", "|", "", "a.csv: separated by bars"),
        ("a.csv", "\t", "", "a.csv: separated by tabs"),
        ("a.tsv", ",", "", "a.tsv: separated by commas"),
        ("a.csv", ",", "\ufeff", "a.csv: with a byte-order mark"),
        ("a.csv", ";", "\ufeff", "a.csv: separated by semicolons, with a byte-order mark"),
    ],
)
def test_the_delimiter_is_found_out_and_said(
    name: str, delimiter: str, mark: str, note: str, tmp_path: Path
) -> None:
    own = readers.read("csv", write(tmp_path / name, delimiter, mark=mark))
    assert own.texts == EXPECTED
    assert own.notes == ([note] if note else [])


@pytest.mark.parametrize("header", ['"text",label', '"a,b;c|d",text,label', "text,a b;c;d,label"])
def test_other_delimiters_in_the_header_do_not_mislead(header: str, tmp_path: Path) -> None:
    fields = '"x; y; z",' * (header.count(",") - 1) + "ham\n"
    path = tmp_path / "a.csv"
    path.write_text(f"{header}\n{fields}")
    table = csv_files.open_csv(path, ["text", "label"])
    assert table.delimiter == ","


@pytest.mark.parametrize(("delimiter", "given"), [("~", "~"), (";", "semicolon"), ("\t", "tab")])
def test_the_delimiter_may_be_given(delimiter: str, given: str, tmp_path: Path) -> None:
    own = readers.read("csv", write(tmp_path / "a.csv", delimiter), delimiter=given)
    assert own.texts == EXPECTED
    assert own.notes == []


def test_a_delimiter_that_is_given_is_not_doubted(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ",")
    with pytest.raises(ValueError, match=r"received 'text,label'; .*, or leave --delimiter out"):
        readers.read("csv", path, delimiter=";")


@pytest.mark.parametrize("delimiter", ["::", "", '"', "\n", "dot"])
def test_what_is_no_delimiter(delimiter: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ",")
    with pytest.raises(
        ValueError, match="--delimiter of one character, or comma, semicolon, tab, bar, received"
    ):
        readers.read("csv", path, delimiter=delimiter)


def test_a_file_without_a_header(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", ";", header="Crude oil futures fell,crude")
    with pytest.raises(
        ValueError,
        match=r"expected one column 'text' in the first line of '.*a\.csv', received 'Crude oil "
        r"futures fell', 'crude'; .*, or write the names of the columns into a first line$",
    ):
        readers.read("csv", path)


def test_a_header_that_nothing_separates(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "~")
    with pytest.raises(ValueError, match=r"received 'text~label'; .*columns with --delimiter"):
        readers.read("csv", path)


@pytest.mark.parametrize("content", ['{"text": "a", "label": "b"}\n', '{"text": "a"}\n'])
def test_jsonl_is_recognised(content: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(ValueError, match="choose jsonl as the corpus: the file seems to be JSONL"):
        readers.read("csv", tmp_path / "a.csv")
