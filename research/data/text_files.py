"""UTF-8 text from files: a file as a whole, or line by line.

What is not text in UTF-8 is refused, with the kind of file that it looks like. Nothing longer than
`MAX_CHARACTERS` is held in memory at a time.
"""

import codecs
from collections.abc import Iterator
from pathlib import Path

MAX_CHARACTERS = 100_000_000
"""The longest line, in characters, and the largest file that is read as a whole, in bytes."""

PARQUET = b"PAR1"
"""The first bytes of a Parquet file."""

_UTF_16 = "text in UTF-16", "convert it, for example with: iconv -f utf-16 -t utf-8"
_SIGNATURES = {
    PARQUET + b"\x15": ("a Parquet file", "choose parquet as the corpus"),
    b"PK\x03\x04": ("a zip archive or an Excel sheet", "unpack it, or save the sheet as CSV"),
    b"\xd0\xcf\x11\xe0": ("an Excel sheet", "save it as CSV in UTF-8"),
    b"\x1f\x8b": ("a file packed with gzip", "unpack it"),
    b"BZh91AY&SY": ("a file packed with bzip2", "unpack it"),
    b"\xfd7zXZ\0": ("a file packed with xz", "unpack it"),
    b"\x28\xb5\x2f\xfd": ("a file packed with zstd", "unpack it"),
    codecs.BOM_UTF16_LE: _UTF_16,
    codecs.BOM_UTF16_BE: _UTF_16,
}
_NOT_IN_CP1252 = {0x81, 0x8D, 0x8F, 0x90, 0x9D}
_SAMPLE = 1 << 19  # bytes before a byte that is no UTF-8, and behind it
_LONGEST_SIGNATURE = max(map(len, _SIGNATURES))


def shown(path: Path) -> str:
    """Return a path in quotes, with escapes for the characters that a terminal would obey."""
    return repr(str(path))


def has_byte_order_mark(path: Path) -> bool:
    """Return whether a file begins with the mark that Excel puts before UTF-8."""
    with path.open("rb") as file:
        return file.read(len(codecs.BOM_UTF8)) == codecs.BOM_UTF8


def read_text(path: Path) -> str:
    """Return the text of a file, without a byte order mark.

    Raises:
      ValueError: the file is not UTF-8, or has more than `MAX_CHARACTERS` bytes.
      OSError: it could not be read.
    """
    if path.stat().st_size > MAX_CHARACTERS:
        raise _too_long(path, "file", "bytes")
    data = path.read_bytes()
    _check_signature(path, data[:_LONGEST_SIGNATURE])
    try:
        return data.decode().removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise _not_utf8(path) from error


def read_lines(path: Path) -> Iterator[str]:
    r"""Yield the lines of a file, with their ends, and without a byte order mark.

    A line ends with \n, \r\n or \r, so U+2028 and its like are part of a line.

    Raises:
      ValueError: the file is not UTF-8, or a line has more than `MAX_CHARACTERS` characters.
      OSError: it could not be read.
    """
    with path.open("rb") as file:
        _check_signature(path, file.read(_LONGEST_SIGNATURE))
    with path.open(encoding="utf-8-sig", newline="") as lines:
        try:
            while line := lines.readline(MAX_CHARACTERS + 1):
                if len(line) > MAX_CHARACTERS:
                    raise _too_long(path, "line", "characters")
                yield line
        except UnicodeDecodeError as error:
            raise _not_utf8(path) from error


def _check_signature(path: Path, start: bytes) -> None:
    has_zeros = [byte == 0 for byte in start[:4]]
    if has_zeros in ([False, True, False, True], [True, False, True, False]):
        found = _UTF_16  # without a byte order mark
    else:
        matches = (found for first, found in _SIGNATURES.items() if start.startswith(first))
        found = next(matches, ("", ""))
    kind, advice = found
    if kind:
        raise ValueError(f"expected UTF-8 text in {shown(path)}, received {kind}; {advice}")


def _too_long(path: Path, what: str, unit: str) -> ValueError:
    return ValueError(
        f"expected at most {MAX_CHARACTERS:,} {unit} in a {what}, received more in {shown(path)}; "
        "divide it into documents"
    )


def _not_utf8(path: Path) -> ValueError:
    offset, byte = _first_bad_byte(path)
    return ValueError(
        f"expected UTF-8 text in {shown(path)}, received the byte 0x{byte:02x} at byte offset "
        f"{offset:,}; {_advice(path, offset)}"
    )


def _advice(path: Path, offset: int) -> str:
    """Return what to do with a file that stops being UTF-8 at an offset, from what is around it."""
    with path.open("rb") as file:
        file.seek(max(0, offset - _SAMPLE) & ~1)  # even, so that characters of UTF-16 stay whole
        sample = file.read(2 * _SAMPLE)
    if sample.count(0) > len(sample) / 4:
        little = sample[1::2].count(0) > sample[::2].count(0)
        return _looks_like("utf-16le" if little else "utf-16be")
    beyond_ascii = sum(byte > 0x7F for byte in sample)
    valid = "".join(letter for letter in sample.decode(errors="ignore") if letter > "\x7f")
    if len(valid.encode()) > beyond_ascii / 2:
        return "most of it is UTF-8, so correct it there"
    # In the languages of cp1252, few letters have accents. Others have more bytes beyond ASCII.
    if beyond_ascii < len(sample) / 3 and not set(sample) & _NOT_IN_CP1252:
        return _looks_like("cp1252")
    return "find out its encoding and convert it, for example with: iconv -f ENCODING -t utf-8"


def _looks_like(encoding: str) -> str:
    return f"it looks like {encoding}; convert it with: iconv -f {encoding} -t utf-8"


def _first_bad_byte(path: Path) -> tuple[int, int]:
    """Return where a file stops being UTF-8, as a byte offset, and the byte there."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    with path.open("rb") as file:
        while True:
            begun, _ = decoder.getstate()  # a character that the last chunk cut in two
            start = file.tell() - len(begun)
            chunk = file.read(1 << 20)
            try:
                decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                return start + error.start, error.object[error.start]
            if not chunk:  # somebody has changed the file since it was read
                raise OSError(f"expected {shown(path)} to stay as it is, received other bytes")
