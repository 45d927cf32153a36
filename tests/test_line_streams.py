"""Line streams: lines are there as soon as they arrive, and whole."""

import io
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from research.data import line_streams
from research.data.line_streams import read_arriving


@pytest.fixture
def pipe():
    """The end of a pipe to read from, and a function that writes into it."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as reader, os.fdopen(writing, "wb", buffering=0) as writer:
        yield reader, writer


def test_a_line_is_there_before_the_next_one_is_written(pipe):
    reader, writer = pipe
    lists = read_arriving(reader, "a pipe")
    writer.write(b"one\ntwo\nthr")
    assert next(lists) == ["one", "two"]
    writer.write(b"ee\n")
    assert next(lists) == ["three"]
    writer.write(b"four")
    writer.close()
    assert list(lists) == [["four"]]


@pytest.mark.skipif(sys.platform != "linux", reason="pipes of other systems hold less")
def test_many_lines_that_are_there_come_together(pipe):
    reader, writer = pipe
    lists = read_arriving(reader, "a pipe")
    writer.write(b"first\n")
    assert next(lists) == ["first"]
    writer.write(b"a line\n" * 100_000)
    assert next(lists) == ["a line"] * 100_000


@given(
    lines=st.lists(st.text(st.sampled_from("aé🙂\r\t \u2028\0"), max_size=5)),
    is_ended=st.booleans(),
    size=st.integers(1, 9),
)
def test_lines_are_whole_however_they_arrive(lines, is_ended, size):
    content = "\n".join(lines) + "\n" * is_ended
    expected = [line.rstrip("\r") for line in content.removesuffix("\n").split("\n")]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(line_streams, "_BYTES_AT_A_TIME", size)
        found = [
            line for lines in read_arriving(io.BytesIO(content.encode()), "x") for line in lines
        ]
    assert found == (expected if content else [])


def test_what_is_not_utf8_has_its_place():
    stream = io.BytesIO(b"fine\nna\xefve\n")
    with pytest.raises(ValueError, match=r"UTF-8 on a pipe, received 0xef at byte 2 of line 2;"):
        list(read_arriving(stream, "a pipe"))


def test_a_line_has_a_limit(monkeypatch):
    monkeypatch.setattr(line_streams, "MAX_CHARACTERS", 40)
    monkeypatch.setattr(line_streams, "_BYTES_AT_A_TIME", 10)
    assert list(read_arriving(io.BytesIO(b"x" * 40), "a pipe")) == [["x" * 40]]
    with pytest.raises(ValueError, match=r"at most 40 bytes in a line of a pipe, .* in line 2;"):
        list(read_arriving(io.BytesIO(b"a\n" + b"x" * 60), "a pipe"))
