"""Tables of plain text, as Markdown and LaTeX."""

import re
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from research.processes import escape

if TYPE_CHECKING:
    import pandas as pd

Cells = dict[str, str]
"""A row of a table, from column to plain text."""
Places = Collection[tuple[int, str]]
"""Cells of a table, each as the number of its row and the name of its column."""

_TEXT_COLUMNS = {
    *("method", "published method", "kind", "records", "source", "protocol"),
    *("experiment", "backend", "framework", "what"),
}
_LONG_HEADING = re.compile(r"(?=.{9})(.*\S[ -])(\S+)")


def markdown(cells: Sequence[Cells], bold: Places = ()) -> str:
    """Return a table in Markdown.

    Args:
      cells: the rows.
      bold: which cells are set in bold.
    """
    if not cells:
        return "No records yet."
    import pandas as pd  # lazily: it takes a second

    frame = pd.DataFrame(cells)
    emphasis = _emphasis(frame, bold)
    frame = frame.map(escape.markdown)
    frame = frame.where(~emphasis, "**" + frame + "**")
    return str(
        frame.rename(columns=escape.markdown).to_markdown(
            index=False,
            disable_numparse=True,
            colalign=["left" if column in _TEXT_COLUMNS else "right" for column in frame],
        )
    )


def latex(
    cells: Sequence[Cells],
    caption: str,
    label: str,
    bold: Places = (),
    *,
    first_column_mm: int,
    font_size_pt: float = 8,
) -> str:
    r"""Return a table in LaTeX, for the class article and the package booktabs.

    Standard deviations become subscripts with a mark † above them, and long headings and names in
    the first column are broken into lines. Otherwise tables would be wider than a page, 345 pt.

    Args:
      cells: the rows.
      caption: of the table, as plain text.
      label: of the table, without `tab:`.
      bold: which cells are set in bold.
      first_column_mm: the width of the first column.
      font_size_pt: of the table; the caption has the size of the page.
    """
    if not cells:
        return "% No records yet.\n"
    import pandas as pd  # lazily: it takes a second

    frame = pd.DataFrame(cells)
    styles = _emphasis(frame, bold).map(lambda is_bold: "bfseries:" if is_bold else "")
    frame = frame.map(_latex_cell)
    frame.iloc[:, 0] = r"\raggedright " + frame.iloc[:, 0]
    styler = frame.style.hide(axis="index").apply(lambda _: styles, axis=None)
    styler = styler.format_index(_latex_heading, axis=1).set_table_styles(
        [
            {
                "selector": "fontsize",
                "props": f":{{{font_size_pt}}}{{{font_size_pt + 0.5}}}\\selectfont;",
            },
            {"selector": "setlength", "props": r":{\tabcolsep}{2pt};"},
        ]
    )
    others = "".join("l" if column in _TEXT_COLUMNS else "r" for column in frame.columns[1:])
    return str(
        styler.to_latex(
            hrules=True,
            column_format=f"@{{}}p{{{first_column_mm}mm}}{others}@{{}}",
            position_float="centering",
            caption=escape.latex(caption),
            label=f"tab:{label}",
        )
    )


def _latex_heading(text: str) -> str:
    broken = _LONG_HEADING.fullmatch(text)
    if broken is None:
        return escape.latex(text)
    first, second = map(escape.latex, broken.groups())
    return rf"\shortstack[r]{{{first}\\{second}}}"


def _latex_cell(text: str) -> str:
    escaped = re.sub(r" ± ([\d.]+)†", r"$_{\1}^\\dagger$", escape.latex(text))
    return re.sub(r" ± ([\d.]+)", r"$_{\1}$", escaped)


def _emphasis(frame: "pd.DataFrame", bold: Places) -> "pd.DataFrame":
    """Return which cells are bold, bool[rows, columns]."""
    import pandas as pd

    emphasis = pd.DataFrame(False, frame.index, frame.columns)
    for row, column in bold:
        emphasis.loc[row, column] = True
    return emphasis
