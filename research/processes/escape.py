"""Text of others, written so that each place shows it and does not obey it."""

import json
import re
from typing import Any

LONGEST_NAME = 200
"""Characters of a class name that commands print."""

_LATEX = str.maketrans(
    {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        **{letter: f"\\{letter}" for letter in "&%$#_{}"},
        # The default encoding of fonts, OT1, has other characters in the places of these.
        "<": r"\textless{}",
        ">": r"\textgreater{}",
        "|": r"\textbar{}",
        # Signs of mathematics are in no font for text.
        "\N{LESS-THAN OR EQUAL TO}": r"$\leq$",
        "\N{GREATER-THAN OR EQUAL TO}": r"$\geq$",
        "\N{MINUS SIGN}": "$-$",
    }
)

_MARKDOWN = re.compile(
    r"[\\`\[\]|$~#]"  # code, links, columns, mathematics, deletions, headings
    r"|\*(?!\s)|(?<![^\W_])_(?!\s)"  # emphasis begins here
    r"|:(?=//)|(?<=www)\.|@(?=\w)"  # addresses, of which GitHub makes links
    r"|\A[-+](?=\s|\Z)|\A[>=]"  # lists, quotations and underlines of headings
)
_NUMBER = re.compile(r"\A(\d+)([.)])(?=\s|\Z)")  # a numbered list begins here
_HTML = re.compile(r"<(?=[A-Za-z/!?])|&(?=#?\w+;)")  # a tag or an entity begins here


def terminal(text: object, longest: int | None = None) -> str:
    r"""Return the text in one line, with an escape for each character that a terminal may obey.

    Everything that `str.isprintable` denies becomes an escape such as `\x1b`, `\n` or `\u202e`:
    control characters, tabs, line breaks, marks that turn the direction of writing, spaces other
    than " ", and the bytes of a path that are not UTF-8. Letters of all scripts stay. A backslash
    stays, too, so an escaped text and one that had the backslash look the same.

    The result also fits a column of tab-separated values.

    Args:
      text: or what `str` makes a text of, such as a path.
      longest: of a longer result, this many characters are kept: beginning, ellipsis and end.
    """
    shown = str(text)
    if not shown.isprintable():
        shown = "".join(
            letter if letter.isprintable() else letter.encode("unicode_escape").decode()
            for letter in shown
        )
    if longest is None or len(shown) <= longest:
        return shown
    end = (longest - 1) // 2
    return f"{shown[: longest - 1 - end]}…{shown[len(shown) - end :]}"


def json_line(value: Any, encoding: str) -> str:
    r"""Return a value as JSON in one line, which a terminal shows and a program reads exactly.

    Args:
      value: what `json.dumps` takes.
      encoding: of the stream. If it is no Unicode, all that is not ASCII becomes `\uXXXX`;
        otherwise only what `str.isprintable` denies.
    """
    line = json.dumps(value, ensure_ascii=not encoding.lower().startswith("utf"))
    return "".join(
        letter if letter.isprintable() else json.dumps(letter).strip('"') for letter in line
    )


def markdown(text: object) -> str:
    """Return the text for a line of GitHub's Markdown, or a part of it, such as a cell of a table.

    Only what has a meaning there is escaped, so that names such as `a_b` stay readable.

    Page: https://github.github.com/gfm/
    """
    escaped = _MARKDOWN.sub(lambda found: f"\\{found[0]}", terminal(text))
    escaped = _HTML.sub(lambda found: {"<": "&lt;", "&": "&amp;"}[found[0]], escaped)
    return _NUMBER.sub(r"\1\\\2", escaped)


def markdown_code(text: object) -> str:
    """Return the text as code in a line of Markdown, with more backticks around it than in it."""
    shown = terminal(text)
    longest = max(map(len, re.findall("`+", shown)), default=0)
    fence, space = "`" * (longest + 1), " " * (longest > 0)
    return f"{fence}{space}{shown}{space}{fence}"


def latex(text: object) -> str:
    r"""Return the text for LaTeX, outside mathematics.

    A bracket or star at its beginning would be taken for an argument of the `\\` before it.
    """
    return re.sub(r"^[\[*]", r"{\g<0>}", terminal(text).translate(_LATEX))
