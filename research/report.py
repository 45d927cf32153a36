"""Makes tables and figures from the committed records: `python -m research.report`.

It reads `results/runs/**/*.json` and others' results from `results/published.json`, and trains
nothing. It writes `results/tables/`, `results/figures/` and the table in the README.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import tyro

from research.config import Config
from research.data import corpora
from research.evaluation import field_table, records, tables
from research.evaluation.records import Result
from research.files import atomic
from research.processes import command, escape

RecordsFolder = Annotated[Path | None, tyro.conf.arg(name="records")]

_OWN = Path("results")

BEGIN = "<!-- The table down to its end mark is written by python -m research.report. -->"
END = "<!-- end of the table -->"


def main(results: Path = _OWN, records_folder: RecordsFolder = None) -> None:
    """Makes tables and figures from records; without options the project's own.

    Args:
      results: the folder that gets `tables/` and `figures/`.
      records_folder: where your own records are, such as runs/records. By default it is `runs/` in
        the folder of the results, and the README beside that folder gets a table too.
    """
    if records_folder is not None and results == _OWN:
        raise ValueError(
            "expected --results with --records, received none, and results/ has the project's own "
            "tables; give another folder"
        )
    of_all = records.read(records_folder or results / "runs", defaults=Config().to_json())
    sections = by_corpus(of_all)
    published_path = results / "published.json"
    published = atomic.read_json(published_path) if published_path.exists() else []
    texts = {
        "field.md": field_table.field_markdown(sections, published),
        "field.tex": field_table.field_latex(sections, published),
        "accuracy.md": tables.accuracy_markdown(sections),
        "accuracy.tex": tables.accuracy_latex(sections),
        "accuracy_appendix.md": tables.appendix_markdown(sections, published),
        "label_curves.md": tables.label_curves_markdown(of_all),
        "label_curves.tex": tables.label_curves_latex(of_all),
        "backends.md": tables.backends_markdown(of_all),
        "backends.tex": tables.backends_latex(of_all),
    }
    for name, text in texts.items():
        atomic.write(results / "tables" / name, text.encode())
    from research.evaluation import report_figures  # lazily: Matplotlib takes a second

    report_figures.draw(sections, results / "figures")
    report_figures.draw_label_curves(records.section(of_all), results / "figures")
    print(escape.terminal(f"written: {results / 'tables'} and {results / 'figures'}"))
    readme = results.resolve().parent / "README.md"
    if records_folder is None and replace_table(readme, field_table.readme_table(sections)):
        print(f"written: the table in {readme.name}")


def by_corpus(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Return the sections of the tables, in the order of `corpora.CORPORA`; own corpora last.

    Results that learned from a part of the split are left out; `tables.label_curves_markdown` has
    a table of them.
    """
    sections = {
        corpus: records.section(
            [
                result
                for result in results
                if result.corpus == corpus and result.train_examples is None
            ]
        )
        for corpus in corpora.in_order(result.corpus for result in results)
    }
    return {corpus: section for corpus, section in sections.items() if section}


def replace_table(readme: Path, table: str) -> bool:
    """Write the table between the marks of a README; return whether it has both marks."""
    text = readme.read_text() if readme.exists() else ""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not (begin and end):
        return False
    atomic.write(readme, f"{before}{BEGIN}\n\n{table}\n\n{END}{after}".encode())
    return True


if __name__ == "__main__":
    command.run(main)
