"""Text files: read as they are, or refused with the kind of file that they look like."""

import bz2
import gzip
import io
import lzma
import re
import zipfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet
import pytest

from research.data import text_files

CSV = b"text,label\na,b\n"


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def read_whole(path: Path) -> str:
    return text_files.read_text(path)


def read_by_line(path: Path) -> str:
    return "".join(text_files.read_lines(path))


either_way = pytest.mark.parametrize("read", [read_whole, read_by_line])


def zipped() -> bytes:
    output = io.BytesIO()
    with zipfile.ZipFile(output, "w") as archive:
        archive.writestr("xl/workbook.xml", CSV)
    return output.getvalue()


def parquet() -> bytes:
    output = io.BytesIO()
    pyarrow.parquet.write_table(pa.table({"text": ["a"]}), output)
    return output.getvalue()


@either_way
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (parquet(), "a Parquet file; choose parquet"),
        (gzip.compress(CSV), "a file packed with gzip; unpack"),
        (bz2.compress(CSV), "a file packed with bzip2; unpack"),
        (lzma.compress(CSV), "a file packed with xz; unpack"),
        (b"\x28\xb5\x2f\xfd\x20\x00", "a file packed with zstd; unpack"),
        (zipped(), "a zip archive or an Excel sheet; .* as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an Excel sheet; save it as CSV"),
        (CSV.decode().encode("utf-16"), "text in UTF-16; .* iconv -f utf-16"),
        (b"\xfe\xff" + CSV.decode().encode("utf-16-be"), "text in UTF-16; .* iconv"),
        (CSV.decode().encode("utf-16-le"), "text in UTF-16; .* iconv"),
        (CSV.decode().encode("utf-16-be"), "text in UTF-16; .* iconv"),
    ],
    # Packed files hold the time, so their bytes cannot name a test.
    ids=[
        *("parquet", "gzip", "bzip2", "xz", "zstd", "zip", "excel-97"),
        *("utf-16", "utf-16-be-marked", "utf-16-le", "utf-16-be"),
    ],
)
def test_other_files_are_refused_by_their_kind(
    read: type[read_whole], content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=f"expected UTF-8 text in .*, received {message}"):
        read(written(tmp_path / "a", content))


@either_way
@pytest.mark.parametrize("text", ["PAR1,label\n", "PK,label\n", "BZh,label\n", "a\0,", "\0", ""])
def test_text_that_begins_almost_like_another_file(
    read: type[read_whole], text: str, tmp_path: Path
) -> None:
    assert read(written(tmp_path / "a", text.encode())) == text


@either_way
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("before", [0, 1, (1 << 20) - 1, 1 << 20, (1 << 20) + 7])
def test_the_first_byte_that_is_not_utf8_is_named(
    read: type[read_whole], mark: bytes, before: int, tmp_path: Path
) -> None:
    content = mark + b"\n" * before + "é".encode() + b"\xe9 " + b"\xff" * 10
    offset = len(mark) + before + 2
    with pytest.raises(ValueError, match=f"byte 0xe9 at byte offset {offset:,};"):
        read(written(tmp_path / "a", content))


@either_way
@pytest.mark.parametrize(
    ("text", "encoding", "advice"),
    [
        ("Grüße aus Köln, „schön“ dort", "cp1252", "looks like cp1252; .*: iconv -f cp1252 -t"),
        ("déjà vu, à la carte", "latin-1", "looks like cp1252;"),
        ("„Ärger“ mit Öl", "utf-16-le", "looks like utf-16le; .*: iconv -f utf-16le -t utf-8"),
        ("„Ärger“ mit Öl", "utf-16-be", "looks like utf-16be;"),
        ("Грузовое судно вышло из порта", "cp1251", "find out its encoding"),
        ("原油の先物価格が下落した", "shift-jis", "find out its encoding"),
    ],
)
def test_the_encoding_is_named_if_it_can_be_told(
    read: type[read_whole], text: str, encoding: str, advice: str, tmp_path: Path
) -> None:
    path = written(tmp_path / "a", (text + "\n").encode(encoding))
    with pytest.raises(ValueError, match=f"received the byte 0x.. at byte offset .*; .*{advice}"):
        read(path)


def test_damaged_utf8_is_not_taken_for_another_encoding(tmp_path: Path) -> None:
    path = written(tmp_path / "a", "Grüße aus Köln".encode() + b" caf\xe9")
    with pytest.raises(ValueError, match="; most of it is UTF-8, so correct it there"):
        read_whole(path)


def test_a_character_that_ends_with_the_file_is_not_utf8(tmp_path: Path) -> None:
    for read in (read_whole, read_by_line):
        with pytest.raises(ValueError, match="byte 0xe2 at byte offset 1;"):
            read(written(tmp_path / "a", b"a\xe2\x82"))


def test_lines_end_with_line_feeds_and_carriage_returns_only(tmp_path: Path) -> None:
    path = written(tmp_path / "a", "a\nb\r\nc\rd\u2028\x85\x0b\x0c\x1ce".encode())
    assert list(text_files.read_lines(path)) == ["a\n", "b\r\n", "c\r", "d\u2028\x85\x0b\x0c\x1ce"]


def test_long_files_and_lines_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(text_files, "MAX_CHARACTERS", 6)
    assert read_whole(written(tmp_path / "a", b"12345\n")) == "12345\n"
    assert read_by_line(written(tmp_path / "a", b"12345\n12345\n")) == "12345\n12345\n"
    with pytest.raises(ValueError, match="at most 6 bytes in a file, received more in"):
        read_whole(written(tmp_path / "a", b"1234567"))
    with pytest.raises(ValueError, match="at most 6 characters in a line, received more in"):
        read_by_line(written(tmp_path / "a", b"123456\n"))


def test_paths_are_shown_without_control_characters(tmp_path: Path) -> None:
    path = written(tmp_path / "\x1b[31m\n", b"\xff")
    for read in (read_whole, read_by_line):
        with pytest.raises(ValueError, match=re.escape(r"/\x1b[31m\n', received")) as raised:
            read(path)
        assert str(raised.value).isprintable()
