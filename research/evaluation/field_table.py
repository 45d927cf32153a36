"""One table for all corpora, as papers of the field print it, and the part of it in the README."""

from collections.abc import Sequence
from itertools import groupby
from typing import NamedTuple

from research.evaluation import records
from research.evaluation.markup import Cells, latex, markdown
from research.evaluation.records import Record, Result
from research.evaluation.significance import Comparison
from research.evaluation.tables import SIGNIFICANT, Sections, mean, percent

CORPORA = ("20ng", "r8", "r52", "ohsumed", "mr", "news20-bydate", "news20")
"""The columns. Text GCN's five come first, because papers print those."""
KINDS = ("inductive", "transductive", "pretrained", "pretrained, transductive")
"""Of published methods: what they learned from. The table has them in this order."""
README_ROWS = 6

NOTE = (
    "Test accuracy in percent, ± the standard deviation over seeds. Choices of ours were made "
    "within train; results/LOG.md names the exceptions. † learned from train + validation, other "
    "rows of ours from train only. news20 has no test split and is scored on validation, where "
    "no epoch was chosen. Published figures were measured by others, mostly with texts cleaned "
    "otherwise; transductive methods see the test texts without their labels, pretrained ones "
    "start from a language model. Bold: the best of a column."
)
CAPTION = (
    "Test accuracy in percent, with standard deviations over seeds as subscripts. † learned from "
    "train and validation. news20: scored on validation, where no epoch was chosen."
)
SEE_ALSO = (
    "For each corpus, [tables with intervals and tests](accuracy.md), and [the sources of "
    "published figures](accuracy_appendix.md)."
)
README_NOTE = "† Learned from train + validation, and compared with the reference refitted on both."


class _Shown(NamedTuple):
    """How a method did on a corpus: its accuracy, and a mark of its comparison."""

    accuracy: str
    mark: str
    dagger: str


def field_markdown(sections: Sections, published: Sequence[Record]) -> str:
    """Return the table of all methods by all corpora, with its note.

    Args:
      sections: by corpus.
      published: others' results, from `results/published.json`.
    """
    cells = field_cells(sections, published)
    table = markdown(cells, _headings(cells) | _best(cells))
    return f"# Accuracy on all corpora\n\n{NOTE}\n\n{SEE_ALSO}\n\n{table}\n"


def field_latex(sections: Sections, published: Sequence[Record]) -> str:
    """Return the same as `field_markdown` in LaTeX, for the package booktabs."""
    cells = field_cells(sections, published)
    bold = _headings(cells) | _best(cells)
    table = latex(cells, CAPTION, "field", bold, first_column_mm=32, font_size_pt=6.5)
    return f"% {NOTE}\n{table}"


def field_cells(sections: Sections, published: Sequence[Record]) -> list[Cells]:
    """Return the cells, ours first, with a heading above each kind of method.

    Baselines that see only the first tokens of a text, and networks in another precision than
    float32, are in the tables of each corpus only: the table has to fit into a page of paper.
    """
    sections = _in_order(sections)
    columns = {corpus: _column(results) for corpus, results in sections.items()}
    is_network = {
        result.method: result.is_network
        for results in sections.values()
        for result in results
        if result.config.get("precision", "float32") == "float32"
        and (result.is_network or not result.config["truncated"])
    }
    ours = [method for method in is_network if is_network[method]]
    baselines = [method for method in is_network if not is_network[method]]
    cells = []
    for heading, names in (("Ours", ours), ("Baselines, our runs", baselines)):
        cells += _heading(heading) if names else []
        for name in names:
            shown = {corpus: columns.get(corpus, {}).get(name) for corpus in CORPORA}
            cells.append(
                {"method": name}
                | {c: s.accuracy + s.dagger if s else "not run" for c, s in shown.items()}
            )
    return cells + _published_cells(published)


def _published_cells(published: Sequence[Record]) -> list[Cells]:
    cells = []
    in_order = sorted(published, key=lambda figure: KINDS.index(figure["kind"]))
    for kind, figures in groupby(in_order, key=lambda figure: figure["kind"]):
        rows: dict[str, Cells] = {}
        for figure in figures:
            accuracy = percent(figure["accuracy"], figure.get("deviation"))
            rows.setdefault(figure["method"], {})[figure["corpus"]] = accuracy
        cells += _heading(f"Published, {kind}")
        cells += [
            {"method": name} | {corpus: row.get(corpus, "\N{EN DASH}") for corpus in CORPORA}
            for name, row in rows.items()
        ]
    return cells


def _in_order(sections: Sections) -> Sections:
    return {corpus: sections[corpus] for corpus in CORPORA if corpus in sections}


def _heading(text: str) -> list[Cells]:
    return [{"method": text} | dict.fromkeys(CORPORA, "")]


def _headings(cells: Sequence[Cells]) -> set[tuple[int, str]]:
    return {(i, "method") for i, row in enumerate(cells) if not any(row[c] for c in CORPORA)}


def _best(cells: Sequence[Cells]) -> set[tuple[int, str]]:
    """Return the places of the highest accuracy in each column; of equals, all."""
    places: set[tuple[int, str]] = set()
    for corpus in cells[0].keys() - {"method"} if cells else ():
        means = {
            i: float(row[corpus].split()[0].rstrip("†"))
            for i, row in enumerate(cells)
            if row[corpus][:1].isdigit()
        }
        places |= {(i, corpus) for i, value in means.items() if value == max(means.values())}
    return places


def _column(results: Sequence[Result]) -> dict[str, _Shown]:
    """Return by method how it did on a corpus; the train-only result, if there is one."""
    compared = zip(
        results, records.references(results), records.over_references(results), strict=True
    )
    column: dict[str, _Shown] = {}
    for result, reference, comparison in sorted(compared, key=lambda row: row[0].saw_validation):
        mark = "(ref.)" if result is reference else _mark(comparison)
        dagger = "†" if result.saw_validation else ""
        column.setdefault(result.method, _Shown(mean(result.accuracy), mark, dagger))
    return column


# --- README --------------------------------------------------------------------------------------


def readme_table(sections: Sections) -> str:
    """Return six rows of the table on the corpora that have results, with a mark in each cell.

    The methods are the references, and the best of each kind on the first corpus; more than six
    rows only if there are more references.
    """
    columns = {corpus: _column(results) for corpus, results in _in_order(sections).items()}
    cells = []
    for method in _readme_methods(sections):
        shown = {corpus: column.get(method) for corpus, column in columns.items()}
        cells.append(
            {"method": method}
            | {c: f"{s.accuracy} {s.mark}{s.dagger}" if s else "" for c, s in shown.items()}
        )
    table = markdown(cells, _best(cells))
    return f"{table}\n\n{README_NOTE}" if "†" in table else table


def _readme_methods(sections: Sections) -> list[str]:
    """Return the methods that the README shows, networks first."""
    results = [result for of_corpus in sections.values() for result in of_corpus]
    best_of_kind: dict[str, str] = {}
    for result in results:  # those of the first corpus first, and the most accurate first
        best_of_kind.setdefault(result.kind, result.method)
    strongest = [records.strongest_baseline(of_corpus) for of_corpus in sections.values()]
    references = {result.method for result in strongest if result}
    is_network = {result.method: result.is_network for result in results}
    methods = sorted(is_network, key=lambda method: not is_network[method])
    others = [m for m in methods if m in best_of_kind.values() and m not in references]
    shown = references.union(others[: max(0, README_ROWS - len(references))])
    return [method for method in methods if method in shown]


def _mark(compared: Comparison | None) -> str:
    if compared is None:
        return "?"
    if compared.p_value >= SIGNIFICANT:
        return "="
    return "▲" if compared.difference > 0 else "▼"
