"""Text of others in a terminal, in JSON, Markdown and LaTeX."""

import json
import re
import sys

import pytest
from conftest import HOSTILE
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from research.processes import escape

MARKDOWN = MarkdownIt("commonmark").enable(["table", "strikethrough"])
ANY_TEXT = st.text(st.characters() | st.sampled_from("\\`*_[]()<>&|$~#!:/ \n\t\x1b"))
unhurried = settings(deadline=None)  # a busy machine is no error


def test_a_terminal_gets_only_what_is_printable():
    everything = "".join(map(chr, range(sys.maxunicode + 1)))
    shown = escape.terminal(everything)
    assert shown.isprintable()
    assert {letter for letter in everything if letter.isprintable()} == set(shown)
    shown = escape.terminal("größe 新闻\x1b[31m\u202e\t\n\x85\u2028\udcff\xa0")
    assert shown == r"größe 新闻\x1b[31m\u202e\t\n\x85\u2028\udcff\xa0"


def test_a_long_text_keeps_beginning_and_end():
    assert escape.terminal("abcdefghi", 9) == "abcdefghi"
    assert escape.terminal("abcdefghij", 9) == "abcd…ghij"
    assert escape.terminal("abcdefghij", 4) == "ab…j"
    assert len(escape.terminal("\x1b" * 20_000, 40)) == 40


@unhurried
@given(ANY_TEXT)
@pytest.mark.parametrize("encoding", ["utf-8", "UTF-8", "utf-16", "ascii", "latin-1", "cp1252"])
def test_json_is_exact_and_printable_in_any_encoding(encoding, text):
    line = escape.json_line({text: [text, 0.5]}, encoding)
    assert json.loads(line) == {text: [text, 0.5]}
    assert line.isprintable()
    line.encode(encoding)


def test_json_keeps_letters_where_it_can():
    assert escape.json_line("größe 新", "utf-8") == '"größe 新"'
    assert escape.json_line("größe", "ascii") == r'"gr\u00f6\u00dfe"'


def inline(markdown):
    """Return what Markdown makes of a line: the types of its parts, and their text."""
    (_, paragraph, _) = MARKDOWN.parse(f"x{markdown}x\n")
    parts = paragraph.children
    return {part.type for part in parts}, "".join(part.content for part in parts)[1:-1]


@unhurried
@given(ANY_TEXT)
@example("<b> </b> <!-- --> <?x?> <http://x.org>")
@example("&amp; &#65; &#x41; &lt;")
@example("[l](http://x) ![l](x) **b** _i_ ~~s~~ `c`")
def test_markdown_shows_any_text_as_it_is(text):
    kinds, shown = inline(escape.markdown(text))
    assert shown == escape.terminal(text)
    assert kinds == {"text"}


@unhurried
@given(ANY_TEXT, ANY_TEXT)
def test_two_texts_in_one_line_of_markdown_do_not_meet(one, other):
    kinds, _ = inline(f"{escape.markdown(one)}, {escape.markdown(other)}")
    assert kinds == {"text"}


@unhurried
@given(ANY_TEXT.filter(str.strip))
def test_code_in_markdown_shows_any_text_as_it_is(text):
    _, paragraph, _ = MARKDOWN.parse(f"a {escape.markdown_code(text)} b\n")
    _, code, _ = paragraph.children
    assert code.type == "code_inline"
    assert code.content.strip() == escape.terminal(text).strip()


def test_common_names_stay_readable_in_markdown():
    for name in ("a_b", "comp.os.ms-windows.misc", "R & D", "<0.001", "5 * 3", "+0.01* (to 0.02)"):
        assert escape.markdown(name) == name


@pytest.mark.parametrize("address", ["http://x.org", "www.x.org", "a@x.org", "see ftp://x"])
def test_addresses_do_not_become_links(address):
    # GitHub links them without any brackets. A backslash prevents that.
    assert not re.search(r"(?<!\\)(://|@)|www\.", escape.markdown(address))


@given(ANY_TEXT)
def test_latex_has_no_special_characters_left(text):
    escaped = escape.latex(text)
    assert escaped.isprintable()
    assert not escaped.startswith(("[", "*"))
    left = re.sub(r"\\text[a-z]+\{\}|\$(-|\\[gl]eq)\$|\\[&%$#_{}]|\A\{.\}", "", escaped)
    assert not set(left) & set("\\&%$#_{}~^<>|")


def test_latex_by_hand():
    assert escape.latex(r"50% a_b & \input{x}") == r"50\% a\_b \& \textbackslash{}input\{x\}"
    assert escape.latex("[2pt] x") == "{[}2pt] x"  # after \\ it would be a length
    assert escape.latex("*") == "{*}"
    assert escape.latex("<0.001") == r"\textless{}0.001"  # a bare < prints as ¡
    assert escape.latex("p ≥ \N{MINUS SIGN}1") == r"p $\geq$ $-$1"


def test_a_hostile_name_everywhere():
    assert escape.terminal(HOSTILE).endswith(r"\x1b[31m\u202e\t\n:car: 新 ``é")
    assert inline(escape.markdown(HOSTILE)) == ({"text"}, escape.terminal(HOSTILE))
