"""Makes tables and figures from the committed records: `python -m research.report`.

Nothing is computed here but from `results/runs/**/*.json`, and nothing is trained. Written are
`results/tables/accuracy` and `backends` (.md, and .tex for booktabs), `results/figures/`, and the
table in the README. Published figures come from `results/published.json`.
"""

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd

from research.data import corpora
from research.evaluation import metrics, records, significance
from research.evaluation.records import Record, Row
from research.files import atomic
from research.processes import command

SIGNIFICANT = 0.05
BEGIN = "<!-- The table down to its end mark is written by python -m research.report. -->"
END = "<!-- end of the table -->"

Cells = dict[str, str]


def main(results: Path = Path("results")) -> None:
    """Makes all tables and figures, and the table of the README beside the folder.

    Args:
      results: the folder with `runs/`; it gets `tables/` and `figures/`.
    """
    rows = records.read(results / "runs")
    path = results / "published.json"
    published = atomic.read_json(path) if path.exists() else []
    sections = {
        corpus: of_corpus
        for corpus in corpora.CORPORA
        if (of_corpus := records.section([row for row in rows if row.corpus == corpus]))
    }
    texts = {
        "accuracy.md": accuracy_markdown(sections, published),
        "accuracy.tex": accuracy_latex(sections, published),
        "backends.md": f"# Backends\n\n{BACKENDS_NOTE}\n\n{markdown(backends_cells(rows))}\n",
        "backends.tex": latex(backends_cells(rows), BACKENDS_NOTE, "backends"),
    }
    for name, text in texts.items():
        atomic.write(results / "tables" / name, text.encode())
    draw(sections, results / "figures")
    print(f"written: {results / 'tables'} and {results / 'figures'}")
    readme = results.resolve().parent / "README.md"
    text = readme.read_text() if readme.exists() else ""
    if BEGIN in text and END in text:
        before, _, rest = text.partition(BEGIN)
        _, _, after = rest.partition(END)
        table = readme_table(sections)
        atomic.write(readme, f"{before}{BEGIN}\n\n{table}\n\n{END}{after}".encode())
        print(f"written: the table in {readme.name}")


# --- tables --------------------------------------------------------------------------------------

NOTES = (
    "Rows compare within a table, not between tables: each table is a protocol of its own. "
    "Accuracy is the mean over n runs with other seeds, ± their standard deviation; a baseline "
    "has one run, since another would give the same. The interval over seeds is Student's, of the "
    "mean: it leaves these texts as they are. The interval over texts is Wilson's: it leaves the "
    "runs as they are. An experiment that ran on several backends is shown on the one with most "
    "runs, and of equals on the quickest.",
    "Each row is compared with the next, and with the strongest baseline: the one with the best "
    "accuracy on validation, of those trained on train alone; for a row that learned from "
    "validation too, the same refitted on both. Given are the difference in accuracy, its 95% "
    "interval, and the p-value, for luck with seeds and luck with texts at once "
    "(`research.metrics.compare` says how runs are paired). The p-value, not the interval, is "
    "corrected by Holm's method for all comparisons of the column. A star marks p < 0.05; without "
    "one, the difference may be luck. A network with n = 1 is tested for luck with texts alone. "
    "Cells stay empty where no record has the number.",
    "Training is the wall time of all epochs, or of all values tried of a baseline's one "
    "hyperparameter, without reading and tokenizing for networks. It compares on one machine only.",
)

BACKENDS_NOTE = (
    "Each experiment that ran on two backends or more. All use the same initial weights, order of "
    "examples and dropout masks for the same seed; what differs is rounding, which training "
    "magnifies until runs are as far apart as with other seeds. The p-values tell whether backends "
    "differ more than the seeds within them do: one-way analysis of variance, and Kruskal-Wallis. "
    "They need two seeds or more of each backend. Accuracy compares within an experiment only."
)


def accuracy_cells(rows: Sequence[Row]) -> list[Cells]:
    """Returns the cells of a section."""
    found = []
    next_row = [*records.comparisons(list(pairwise(rows))), None]
    for row, over_next, over_baseline in zip(
        rows, next_row, records.over_strongest(rows), strict=True
    ):
        examples = row.records[0]["metrics"]["examples"]
        found.append(
            {
                "method": row.method,
                "accuracy": _mean(row.accuracy),
                "n": str(row.accuracy.n),
                "95%, seeds": _interval(row.accuracy.interval),
                "95%, texts": _interval(metrics.accuracy_interval(row.accuracy.mean, examples)),
                "macro-F1": _mean(row.macro_f1),
                "training (s)": f"{row.seconds:.1f}",
                "over the next": _difference(over_next),
                "p, next": _p_value(over_next and over_next.p_value),
                "over the strongest baseline": _difference(over_baseline),
                "p, baseline": _p_value(over_baseline and over_baseline.p_value),
                "records": row.source,
            }
        )
    return found


def published_cells(corpus: str, published: Sequence[Record]) -> list[Cells]:
    """Returns the cells of the published figures on a corpus, the best first."""
    of_corpus = [record for record in published if record["corpus"] == corpus]
    return [
        {
            "published method": record["method"],
            "accuracy": f"{record['accuracy']:.4f}",
            "source": record["source"],
            "protocol": record["protocol"],
        }
        for record in sorted(of_corpus, key=lambda record: -record["accuracy"])
    ]


def protocol(rows: Sequence[Row]) -> str:
    """Returns what a reader must know of a section."""
    record = rows[0].records[0]
    scores = record["metrics"]
    sizes = record["data"]["examples"] | {scores["split"]: scores["examples"]}
    texts = ", ".join(f"{size:,} {split}" for split, size in sizes.items())
    about = f"{corpora.CORPORA[rows[0].corpus]}. Texts: {texts}. "
    if scores["split"] == "test":
        about += (
            "Scored on test, opened once a run. Epochs and hyperparameters were chosen on "
            "validation, or by cross-validation within train. Everything was trained on train "
            "alone, but for the rows with train + validation, which saw more texts, as baselines "
            "elsewhere often do."
        )
    else:
        about += (
            "There is no test split: scored on validation. Nothing was chosen there: networks have "
            "the weights of their last epoch, baselines their default hyperparameter. The best "
            "epoch would score higher, and mean less."
        )
    machines = sorted({_machine(record) for row in rows for record in row.records})
    return f"{about} Computed on {'; '.join(machines)}."


def accuracy_markdown(sections: dict[str, list[Row]], published: Sequence[Record]) -> str:
    """Returns all sections with their notes."""
    parts = ["# Accuracy", *NOTES]
    for corpus, rows in sections.items():
        parts += [f"## {corpus}", protocol(rows), markdown(accuracy_cells(rows), _best(rows))]
        if cells := published_cells(corpus, published):
            parts += [f"Published figures on {corpus}. {PUBLISHED_NOTE}", markdown(cells)]
    return "\n\n".join(parts) + "\n"


def accuracy_latex(sections: dict[str, list[Row]], published: Sequence[Record]) -> str:
    """Returns the same as LaTeX, for the package booktabs."""
    parts = [f"% {note}\n" for note in NOTES]
    for corpus, rows in sections.items():
        caption = f"Accuracy on {corpus}. {protocol(rows)}"
        parts.append(latex(accuracy_cells(rows), caption, corpus, _best(rows)))
        if cells := published_cells(corpus, published):
            caption = f"Published figures on {corpus}. {PUBLISHED_NOTE}"
            parts.append(latex(cells, caption, f"{corpus}-published"))
    return "\n".join(parts)


PUBLISHED_NOTE = "They are others' measurements, with what differs: compare with care."


def backends_cells(rows: Sequence[Row]) -> list[Cells]:
    """Returns the cells of the table of backends."""
    by_experiment: dict[str, list[Row]] = {}
    for row in rows:
        if row.is_network:
            by_experiment.setdefault(row.source.rpartition("/")[0], []).append(row)
    cells = []
    for experiment, of_experiment in sorted(by_experiment.items()):
        if len(of_experiment) < 2:
            continue
        groups = [[r["metrics"]["accuracy"] for r in row.records] for row in of_experiment]
        p_values: tuple[float | None, ...] = (None, None)
        if min(map(len, groups)) > 1:
            p_values = significance.groups_differ(groups)
        for row in of_experiment:
            epochs = [line["seconds"] for r in row.records for line in r["history"]]
            cells.append(
                {
                    "experiment": experiment,
                    "corpus": row.corpus,
                    "backend": row.backend,
                    "accuracy": _mean(row.accuracy),
                    "n": str(row.accuracy.n),
                    "95%, seeds": _interval(row.accuracy.interval),
                    "macro-F1": _mean(row.macro_f1),
                    "s/epoch": f"{np.median(epochs):.1f}",
                    "p, variance": _p_value(p_values[0]),
                    "p, Kruskal-Wallis": _p_value(p_values[1]),
                }
            )
            p_values = (None, None)  # once for each experiment
    return cells


def readme_table(sections: dict[str, list[Row]]) -> str:
    """Returns a table of accuracies, methods by corpora, marked against the strongest baseline."""
    columns: dict[str, dict[str, str]] = {}
    best: dict[str, str] = {}
    for corpus, rows in sections.items():
        compared = zip(rows, records.references(rows), records.over_strongest(rows), strict=True)
        columns[corpus] = {
            row.method: f"{_mean(row.accuracy)} {'(ref.)' if row is other else _mark(found)}"
            for row, other, found in compared
        }
        best[corpus] = rows[0].method
    is_network = {row.method: row.is_network for rows in sections.values() for row in rows}
    # The networks first; within those and the baselines, the best of the first column first.
    methods = sorted(is_network, key=lambda method: not is_network[method])
    cells = [
        {"method": method, **{corpus: columns[corpus].get(method, "") for corpus in sections}}
        for method in methods
    ]
    return markdown(cells, {corpus: methods.index(method) for corpus, method in best.items()})


def markdown(cells: Sequence[Cells], bold: dict[str, int] | None = None) -> str:
    """Returns a table in Markdown.

    Args:
      cells: by row and column.
      bold: by column, the row to be set in bold.
    """
    if not cells:
        return "No records yet."
    frame, emphasis = _frames(cells, bold)
    return str(
        frame.where(~emphasis, "**" + frame + "**").to_markdown(
            index=False, disable_numparse=True, colalign=[_align(c) for c in frame]
        )
    )


def latex(
    cells: Sequence[Cells], caption: str, label: str, bold: dict[str, int] | None = None
) -> str:
    """Returns a table in LaTeX, for the package booktabs.

    Args:
      cells: by row and column.
      caption: above it.
      label: `tab:` is put before it.
      bold: by column, the row to be set in bold.
    """
    if not cells:
        return "% No records yet.\n"
    frame, emphasis = _frames(cells, bold)
    styles = emphasis.map(lambda is_bold: "textbf:--rwrap" if is_bold else "")
    styler = frame.style.hide(axis="index").apply(lambda _: styles, axis=None)
    styler = styler.format(escape="latex").format_index(escape="latex", axis=1)
    return str(
        styler.to_latex(
            hrules=True,
            column_format="".join(_align(column)[0] for column in frame),
            position_float="centering",
            caption=re.sub(r"([%&_#])", r"\\\1", caption),
            label=f"tab:{label}",
        )
    )


# --- parts ---------------------------------------------------------------------------------------


def _machine(record: Record) -> str:
    environment = record["environment"][-1]
    device = environment["device"]
    if device.startswith("cpu"):
        return f"{environment['processor']}, {environment['cpu_cores']} cores"
    return str(device)


def _best(rows: Sequence[Row]) -> dict[str, int]:
    f1 = [row.macro_f1.mean for row in rows]
    return {"accuracy": 0, "macro-F1": f1.index(max(f1))}


def _frames(
    cells: Sequence[Cells], bold: dict[str, int] | None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    frame = pd.DataFrame(cells)
    emphasis = pd.DataFrame(False, frame.index, frame.columns)
    for column, row in (bold or {}).items():
        emphasis.loc[row, column] = True
    return frame, emphasis


def _align(column: str) -> str:
    is_text = re.search("method|records|source|protocol|experiment|corpus|backend", column)
    return "left" if is_text else "right"


def _mean(values: significance.OverSeeds) -> str:
    spread = "" if values.deviation is None else f" ± {values.deviation:.4f}"
    return f"{values.mean:.4f}{spread}"


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{interval[0]:.4f} to {interval[1]:.4f}"


def _difference(compared: significance.Comparison | None) -> str:
    if compared is None:
        return ""
    star = "*" if compared.p_value < SIGNIFICANT else ""
    low, high = compared.interval
    return f"{compared.difference:+.4f}{star} ({low:+.4f} to {high:+.4f})"


def _mark(compared: significance.Comparison | None) -> str:
    if compared is None:
        return "?"
    if compared.p_value >= SIGNIFICANT:
        return "="
    return "▲" if compared.difference > 0 else "▼"


def _p_value(p_value: float | None) -> str:
    if p_value is None:
        return ""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"


if __name__ == "__main__":
    command.run(main)
