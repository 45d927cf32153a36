"""Tables of results, in Markdown and LaTeX."""

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np
import pandas as pd

from research.data import corpora
from research.evaluation import metrics, records, significance
from research.evaluation.records import Record, Result
from research.processes import escape

SIGNIFICANT = 0.05
README_ROWS = 6

Cells = dict[str, str]
Sections = Mapping[str, Sequence[Result]]
"""By corpus, its results as `records.section` returns them."""

# --- notes ---------------------------------------------------------------------------------------

NOTES = (
    "Compare rows within a table, not between tables: each table has its own texts and splits. "
    "Accuracy and macro-F1 are means over n runs with different seeds, ± the standard deviation. A "
    "baseline has one run, because its result does not depend on a seed. `95%, seeds` is the t "
    "interval over seeds, with the test examples fixed. `95%, texts` is Wilson's interval over "
    "test examples, with the runs fixed. An experiment that ran on several backends is shown for "
    "the backend with most runs; among equals, for the quickest.",
    "Each row is compared with the next row, and with the strongest baseline. The strongest "
    "baseline is the one with the best validation accuracy among those that learned from train "
    "only. Train-only rows are tested against this baseline; train + validation rows against it "
    "refitted on both. The columns give the difference in accuracy with its 95% interval, and the "
    "p-value of a test over seeds and texts at once, which `compare` in "
    "`research/evaluation/significance.py` describes. The p-values of a column are corrected by "
    "Holm's method; the intervals are not. A star marks p < 0.05. Without a star, the difference "
    "is not significant. For a network with n = 1, the test covers texts but not seeds. A cell is "
    "empty if no record has the number.",
    "Training time is the wall time of all epochs, or of all values tried of a baseline's "
    "hyperparameter. For networks it excludes reading and tokenizing. Compare times on one machine "
    "only.",
)

BACKENDS_NOTE = (
    "This table has the experiments that ran on two backends or more. With the same seed, all "
    "backends use the same initial weights, order of examples and dropout masks. They differ in "
    "rounding, and training amplifies that until the runs are as far apart as runs with different "
    "seeds. The p-values test whether accuracy differs more between backends than between seeds: "
    "by one-way analysis of variance, and by the Kruskal-Wallis test. Both need at least two seeds "
    "on each backend. Compare accuracy within an experiment only."
)

TEST_NOTE = (
    "Scored on the test split, which was opened once for each run. Choices were made on "
    "validation, or by cross-validation within train; results/LOG.md names the exceptions. Rows "
    "with train + validation learned from both splits, as baselines elsewhere often do; all others "
    "learned from train only."
)

VALIDATION_NOTE = (
    "There is no test split, so the scores are of the validation split. Networks have the weights "
    "of their last epoch, baselines the default hyperparameter. The best epoch would score higher, "
    "because it would be chosen on the scored examples. Nothing was chosen on these examples, "
    "except what results/LOG.md names."
)

README_NOTE = "† Learned from train + validation, and compared with the reference refitted on both."

PUBLISHED_NOTE = (
    "They were measured by others; the last column says what differs, so compare with care."
)


def protocol(results: Sequence[Result]) -> str:
    """Return what a reader must know about a section."""
    record = results[0].records[0]
    scores = record["metrics"]
    sizes = record["data"]["examples"] | {scores["split"]: scores["examples"]}
    texts = ", ".join(f"{size:,} {split}" for split, size in sizes.items())
    about = f"{corpora.CORPORA[results[0].corpus]}. Texts: {texts}. "
    about += TEST_NOTE if scores["split"] == "test" else VALIDATION_NOTE
    machines = sorted({_machine(record) for result in results for record in result.records})
    return f"{about} Computed on {'; '.join(machines)}."


def _machine(record: Record) -> str:
    environment = record["environment"][-1]
    device = environment["device"]
    if device.startswith("cpu"):
        return f"{environment['processor']}, {environment['cpu_cores']} cores"
    return str(device)


# --- accuracy ------------------------------------------------------------------------------------


def accuracy_markdown(sections: Sections, published: Sequence[Record]) -> str:
    """Return the tables of accuracy with their notes, a section for each corpus.

    Args:
      sections: by corpus.
      published: others' results, from `results/published.json`.
    """
    parts = ["# Accuracy", *NOTES]
    for corpus, results in sections.items():
        best = _best(results)
        about = escape.markdown(protocol(results))
        parts += [f"## {corpus}", about, markdown(accuracy_cells(results), best)]
        if cells := published_cells(corpus, published):
            parts += [f"Published figures on {corpus}. {PUBLISHED_NOTE}", markdown(cells)]
    return "\n\n".join(parts) + "\n"


def accuracy_latex(sections: Sections, published: Sequence[Record]) -> str:
    """Return the same as `accuracy_markdown` in LaTeX, for the package booktabs."""
    parts = [f"% {note}\n" for note in NOTES]
    for corpus, results in sections.items():
        caption = f"Accuracy on {corpus}. {protocol(results)}"
        parts.append(latex(accuracy_cells(results), caption, corpus, _best(results)))
        if cells := published_cells(corpus, published):
            caption = f"Published figures on {corpus}. {PUBLISHED_NOTE}"
            parts.append(latex(cells, caption, f"{corpus}-published"))
    return "\n".join(parts)


def accuracy_cells(results: Sequence[Result]) -> list[Cells]:
    """Return the cells of a section, a row for each result."""
    over_next = [*records.comparisons(list(pairwise(results))), None]
    over_reference = records.over_references(results)
    return [
        {
            "method": result.label,
            "accuracy": _mean(result.accuracy),
            "n": str(result.accuracy.n),
            "95%, seeds": _interval(result.accuracy.interval),
            "95%, texts": _interval(
                metrics.accuracy_interval(
                    result.accuracy.mean, result.records[0]["metrics"]["examples"]
                )
            ),
            "macro-F1": _mean(result.macro_f1),
            "training (s)": f"{result.seconds:.1f}",
            "over the next": _difference(with_next),
            "p, next": _p_value(with_next and with_next.p_value),
            "over the strongest baseline": _difference(with_reference),
            "p, baseline": _p_value(with_reference and with_reference.p_value),
            "records": result.source,
        }
        for result, with_next, with_reference in zip(
            results, over_next, over_reference, strict=True
        )
    ]


def published_cells(corpus: str, published: Sequence[Record]) -> list[Cells]:
    """Return the cells of the published figures on a corpus, the best first."""
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


def _best(results: Sequence[Result]) -> dict[str, int]:
    f1 = [result.macro_f1.mean for result in results]
    return {"accuracy": 0, "macro-F1": f1.index(max(f1))}


# --- backends ------------------------------------------------------------------------------------


def backends_markdown(results: Sequence[Result]) -> str:
    """Return the table of backends with its note."""
    return f"# Backends\n\n{BACKENDS_NOTE}\n\n{markdown(backends_cells(results))}\n"


def backends_latex(results: Sequence[Result]) -> str:
    """Return the same as `backends_markdown` in LaTeX, for the package booktabs."""
    return latex(backends_cells(results), BACKENDS_NOTE, "backends")


def backends_cells(results: Sequence[Result]) -> list[Cells]:
    """Return the cells of the experiments that ran on two backends or more."""
    by_experiment: dict[str, list[Result]] = {}
    for result in results:
        if result.is_network:
            by_experiment.setdefault(result.source.rpartition("/")[0], []).append(result)
    return [
        cells
        for experiment, on_backends in sorted(by_experiment.items())
        if len(on_backends) > 1
        for cells in _experiment_cells(experiment, on_backends)
    ]


def _experiment_cells(experiment: str, on_backends: Sequence[Result]) -> list[Cells]:
    accuracies = [[r["metrics"]["accuracy"] for r in result.records] for result in on_backends]
    p_values: tuple[float | None, ...] = (None, None)
    if min(map(len, accuracies)) > 1:
        p_values = significance.groups_differ(accuracies)
    cells = []
    for result in on_backends:
        epoch_seconds = [line["seconds"] for r in result.records for line in r["history"]]
        cells.append(
            {
                "experiment": experiment,
                "corpus": result.corpus,
                "backend": result.backend,
                "accuracy": _mean(result.accuracy),
                "n": str(result.accuracy.n),
                "95%, seeds": _interval(result.accuracy.interval),
                "macro-F1": _mean(result.macro_f1),
                "s/epoch": f"{np.median(epoch_seconds):.1f}",
                "p, variance": _p_value(p_values[0]),
                "p, Kruskal-Wallis": _p_value(p_values[1]),
            }
        )
        p_values = (None, None)  # shown once for each experiment
    return cells


# --- README --------------------------------------------------------------------------------------


def readme_table(sections: Sections) -> str:
    """Return a short table of accuracies: a few methods by all corpora, with a mark in each cell.

    The methods are the references, and the best of each kind on the first corpus; six rows, unless
    there are more references. A cell shows the train-only result, if there is one.
    """
    methods = _readme_methods(sections)
    columns = {corpus: _readme_cells(results) for corpus, results in sections.items()}
    cells = [
        {"method": method, **{corpus: columns[corpus].get(method, "") for corpus in sections}}
        for method in methods
    ]
    # Every text begins with the mean accuracy.
    bold = {
        corpus: max(range(len(cells)), key=lambda row: cells[row][corpus]) for corpus in sections
    }
    table = markdown(cells, bold)
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


def _readme_cells(results: Sequence[Result]) -> dict[str, str]:
    """Return a column of the table by method."""
    compared = zip(
        results, records.references(results), records.over_references(results), strict=True
    )
    column: dict[str, str] = {}
    for result, reference, comparison in sorted(compared, key=lambda row: row[0].saw_validation):
        mark = "(ref.)" if result is reference else _mark(comparison)
        dagger = "†" if result.saw_validation else ""
        column.setdefault(result.method, f"{_mean(result.accuracy)} {mark}{dagger}")
    return column


# --- markup --------------------------------------------------------------------------------------


def markdown(cells: Sequence[Cells], bold: dict[str, int] | None = None) -> str:
    """Return a table in Markdown.

    Args:
      cells: a dictionary for each row, from column to plain text.
      bold: by column, the row that is set in bold.
    """
    if not cells:
        return "No records yet."
    frame, emphasis = _frames(cells, bold)
    frame = frame.map(escape.markdown).rename(columns=escape.markdown)
    emphasis.columns = frame.columns
    return str(
        frame.where(~emphasis, "**" + frame + "**").to_markdown(
            index=False, disable_numparse=True, colalign=[_align(c) for c in frame]
        )
    )


def latex(
    cells: Sequence[Cells], caption: str, label: str, bold: dict[str, int] | None = None
) -> str:
    """Return a table in LaTeX, for the package booktabs.

    Args:
      cells: a dictionary for each row, from column to plain text.
      caption: of the table, as plain text.
      label: of the table, without `tab:`.
      bold: by column, the row that is set in bold.
    """
    if not cells:
        return "% No records yet.\n"
    frame, emphasis = _frames(cells, bold)
    styles = emphasis.map(lambda is_bold: "textbf:--rwrap" if is_bold else "")
    styler = frame.style.hide(axis="index").apply(lambda _: styles, axis=None)
    styler = styler.format(escape.latex).format_index(escape.latex, axis=1)
    return str(
        styler.to_latex(
            hrules=True,
            column_format="".join(_align(column)[0] for column in frame),
            position_float="centering",
            caption=escape.latex(caption),
            label=f"tab:{label}",
        )
    )


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


# --- numbers -------------------------------------------------------------------------------------


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
