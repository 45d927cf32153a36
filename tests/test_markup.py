"""Tables as Markdown and LaTeX; those that are committed compile and fit into a page."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import HOSTILE, ROOT
from markdown_it import MarkdownIt

from research.evaluation import markup
from research.processes import escape


def test_markdown_and_latex_hold_the_same_cells():
    cells = [{"method": "50% a_b & c", "accuracy": "0.9"}, {"method": "d", "accuracy": ""}]
    markdown = markup.markdown(cells, [(0, "accuracy")])
    assert [re.split(r" *\| *", line)[1:-1] for line in markdown.split("\n")] == [
        ["method", "accuracy"],
        [":------------", "-----------:"],
        ["50% a_b & c", "**0.9**"],
        ["d", ""],
    ]
    latex = markup.latex(cells, "100% & more", "it", [(0, "accuracy")], first_column_mm=30)
    assert r"\raggedright 50\% a\_b \& c & \bfseries 0.9 \\" in latex
    assert r"\caption{100\% \& more}" in latex
    assert r"\label{tab:it}" in latex
    for line in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{@{}p{30mm}r@{}}"):
        assert latex.count(line) == 1
    assert markup.markdown([]) == "No records yet."
    assert markup.latex([], "", "", first_column_mm=30) == "% No records yet.\n"


def test_cells_cannot_change_a_table():
    cells = [{"method": HOSTILE, HOSTILE: "1"}, {"method": "-", HOSTILE: HOSTILE}]
    page = MarkdownIt("commonmark").enable("table").parse(markup.markdown(cells, [(0, "method")]))
    assert [part.type for part in page].count("tr_open") == 3
    shown = [part for part in page if part.type == "inline"]
    name = escape.terminal(HOSTILE)
    texts = ["".join(part.content for part in of_cell.children) for of_cell in shown]
    assert texts == ["method", name, name, "1", "-", name]
    kinds = {part.type for of_cell in shown for part in of_cell.children}
    assert kinds == {"text", "strong_open", "strong_close"}

    latex = markup.latex(cells, HOSTILE, "it", [(0, "method")], first_column_mm=30)
    assert latex.count(escape.latex(HOSTILE)) == 4
    assert latex.count(r"\\") == 3
    assert r"\input" not in latex
    assert "".join(latex.split("\n")).isprintable()


def test_deviations_are_subscripts_and_long_headings_are_broken():
    cells = [{"method": "1 ± 0.2", "news20-bydate": "1.00 ± 0.10†", "first call (s)": "<1"}]
    latex = markup.latex(cells, "", "it", first_column_mm=30)
    assert r"\raggedright 1$_{0.2}$ & 1.00$_{0.10}^\dagger$ & \textless{}1 \\" in latex
    assert r"\shortstack[r]{news20-\\bydate} & \shortstack[r]{first call \\(s)} \\" in latex


# --- pdflatex ------------------------------------------------------------------------------------

needs_pdflatex = pytest.mark.skipif(
    shutil.which("pdflatex") is None,
    reason="pdflatex is not installed: apt-get install texlive-latex-recommended",
)


def complaints(folder: Path, tables: str, preamble: str = "") -> list[str]:
    """Return what pdflatex has against tables in the class article, which spoils a page."""
    page = "\n".join(
        [
            *(r"\documentclass{article}", preamble, r"\usepackage{booktabs}"),
            *(r"\begin{document}", tables, r"\end{document}"),
        ]
    )
    (folder / "page.tex").write_text(page)
    command = ["pdflatex", "-draftmode", "-interaction=nonstopmode", "page.tex"]
    subprocess.run(command, cwd=folder, capture_output=True, check=False, timeout=300)
    log = (folder / "page.log").read_text(errors="replace")
    return re.findall(r"^(?:! |Overfull|Missing character|LaTeX Warning: Float too).*", log, re.M)


@needs_pdflatex
@pytest.mark.parametrize("preamble", ["", r"\usepackage[T1]{fontenc}"])
def test_the_committed_tables_compile_and_fit_into_a_page(tmp_path, preamble):
    paths = sorted((ROOT / "results" / "tables").glob("*.tex"))
    assert "accuracy.tex" in {path.name for path in paths}
    tables = "\\clearpage\n".join(path.read_text() for path in paths)
    assert complaints(tmp_path, tables, preamble) == []


@needs_pdflatex
@pytest.mark.parametrize(
    ("cell", "complaint"),
    [
        ("a long text, " * 10, "Overfull"),
        ("\N{BLACK UP-POINTING TRIANGLE}", "! LaTeX Error: Unicode character"),
        ("p ≥ 0.05 ± 0.01 \N{EN DASH} \N{MINUS SIGN}1 <†> | $", None),
    ],
)
def test_what_does_not_fit_is_noticed(tmp_path, cell, complaint):
    cells = [{"method": "a", "accuracy": cell}]
    found = complaints(tmp_path, markup.latex(cells, cell, "it", first_column_mm=30))
    if complaint is None:
        assert found == []
    else:
        assert any(line.startswith(complaint) for line in found)


@needs_pdflatex
def test_a_table_that_is_longer_than_a_page_is_noticed(tmp_path):
    cells = [{"method": "a", "accuracy": "1"}] * 100
    found = complaints(tmp_path, markup.latex(cells, "", "it", first_column_mm=30))
    assert [line.partition(" for")[0] for line in found] == ["LaTeX Warning: Float too large"]
