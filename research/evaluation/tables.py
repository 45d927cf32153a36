"""What the tables of results say: of each corpus, of label counts, and of backends."""

from collections.abc import Mapping, Sequence
from itertools import pairwise

import numpy as np

from research.data import corpora
from research.evaluation import metrics, records, significance
from research.evaluation.markup import Cells, latex, markdown
from research.evaluation.records import Record, Result
from research.processes import escape

SIGNIFICANT = 0.05

Sections = Mapping[str, Sequence[Result]]
"""By corpus, its results as `records.section` returns them."""

# --- notes ---------------------------------------------------------------------------------------

ACCURACY_NOTES = (
    "Compare rows within a table, not between tables: each table has its own texts and splits. "
    "Accuracy, macro-F1 and the expected calibration error (ECE) are in percent: means over n runs "
    "with different seeds, ± the standard deviation. A baseline has one run, because its result "
    "does not depend on a seed. A dash means that the records do not have the number; a baseline "
    "without probabilities has no ECE. [All intervals, times, records and published "
    "figures](accuracy_appendix.md) are in the appendix.",
    "Each row is compared with a reference: the baseline with the best validation accuracy among "
    "those that learned from train only. Train + validation rows are compared with this baseline "
    "refitted on both. The difference is in accuracy, in percentage points, with its 95% interval. "
    "p is of a test over seeds and texts at once, which `compare` in "
    "`research/evaluation/significance.py` describes, corrected by Holm's method for the number of "
    "rows; the intervals are not. A star marks p < 0.05. Without a star, no difference was found. "
    "For a network with n = 1, the test covers texts but not seeds.",
)

APPENDIX_NOTES = (
    "The rows of [the tables of accuracy](accuracy.md) with more columns. They are too wide for a "
    "page of paper. Numbers are in percent, except times and p.",
    "`95%, seeds` is the t interval over seeds, with the test texts fixed. `95%, texts` is "
    "Wilson's interval over test texts, with the runs fixed. Each row is compared with the next "
    "row, and with the reference; the p-values of a column are corrected together. An experiment "
    "that ran on several backends is shown for the backend with most runs; among equals, for the "
    "quickest. A cell is empty if no record has the number.",
    "Training time is the wall time of all epochs, or of all values tried of a baseline's "
    "hyperparameter. For networks it excludes reading and tokenizing. Compare times "
    "within one machine only.",
)

LATEX_NOTE = (
    "Percent, with standard deviations over n seeds as subscripts. Difference: of accuracy from "
    "the row marked (ref.), or from that method refitted for rows with train + validation, with "
    "its 95% interval. p is corrected by Holm's method; * marks p < 0.05."
)

LABELS_NOTE = (
    "Accuracy in percent by the number of texts that a method learned from: means over seeds with "
    "standard deviations. Each seed draws its own texts. The last column is of the whole split: "
    "train, or train + validation where a row says so."
)

BACKENDS_NOTE = (
    "Accuracy and macro-F1 in percent, with standard deviations over n seeds, of the experiments "
    "that ran on two backends or more. With the same seed, all backends use the same initial "
    "weights, order of examples and dropout masks. They differ in rounding, and training amplifies "
    "that until the runs are as far apart as runs with different seeds. The p-values test whether "
    "accuracy differs more between backends than between seeds: by one-way analysis of variance "
    "(ANOVA), and by the Kruskal-Wallis test (K-W). Both need at least two seeds on each backend. "
    "Compare accuracy within an experiment only, and the median seconds per epoch within an "
    "experiment on one machine."
)

TEST_NOTE = (
    "Scored on the test split, which was opened once for each run. Choices were made on "
    "validation, or by cross-validation within train; results/LOG.md names the exceptions. Rows "
    "with train + validation learned from both splits, as baselines elsewhere often do; all others "
    "learned from train only."
)

VALIDATION_NOTE = (
    "There is no test split, so the scores are of the validation split. Networks have the weights "
    "of their last epoch, or of one chosen on a tenth of train that they did not learn from; "
    "baselines have the default hyperparameter. The best epoch on validation would score higher, "
    "because it would be chosen on the scored examples. Nothing was chosen on these examples, "
    "except what results/LOG.md names."
)

PUBLISHED_NOTE = (
    "They were measured by others; the last column says what differs, so compare with care."
)


def protocol(results: Sequence[Result]) -> str:
    """Return what a reader must know about a section."""
    record = results[0].records[0]
    scores = record["metrics"]
    sizes = record["data"]["examples"] | {scores["split"]: scores["examples"]}
    texts = ", ".join(f"{size:,} {split}" for split, size in sizes.items())
    note = TEST_NOTE if scores["split"] == "test" else VALIDATION_NOTE
    machines = sorted({records.machine(record) for result in results for record in result.records})
    about = corpora.CORPORA.get(results[0].corpus, "own texts")
    return f"{about}. Texts: {texts}. {note} Computed on {'; '.join(machines)}."


# --- accuracy ------------------------------------------------------------------------------------


def accuracy_markdown(sections: Sections) -> str:
    """Return the tables of accuracy with their notes, a section for each corpus."""
    parts = ["# Accuracy", *ACCURACY_NOTES]
    for corpus, results in sections.items():
        about = escape.markdown(protocol(results))
        parts += [
            f"## {escape.markdown(corpus)}",
            about,
            markdown(accuracy_cells(results), _best(results)),
        ]
    return "\n\n".join(parts) + "\n"


def accuracy_latex(sections: Sections) -> str:
    """Return the same as `accuracy_markdown` in LaTeX, for the package booktabs."""
    parts = [
        f"% {protocol(results)}\n"
        + latex(
            accuracy_cells(results),
            f"Results on {escape.latex(corpus)}. {LATEX_NOTE}",
            corpus,
            _best(results),
            first_column_mm=33,
            font_size_pt=7,
        )
        for corpus, results in sections.items()
    ]
    return "\n".join(parts)


def accuracy_cells(results: Sequence[Result]) -> list[Cells]:
    """Return the cells of the table of a corpus, a row for each result."""
    references = records.references(results)
    return [
        {
            "method": result.label + (" (ref.)" if result is reference else ""),
            "n": str(result.accuracy.n),
            "accuracy": mean(result.accuracy),
            "macro-F1": mean(result.macro_f1),
            "ECE": mean(result.ece) if result.ece else "\N{EN DASH}",
            "difference": _difference(compared),
            "p": _p_value(compared and compared.p_value),
        }
        for result, reference, compared in zip(
            results, references, records.over_references(results), strict=True
        )
    ]


def appendix_markdown(sections: Sections, published: Sequence[Record]) -> str:
    """Return the tables of accuracy with all columns, and the published figures.

    They are in Markdown only: with three intervals in each row they fit no page of paper.

    Args:
      sections: by corpus.
      published: others' results, from `results/published.json`.
    """
    parts = ["# Accuracy: appendix", *APPENDIX_NOTES]
    for corpus in corpora.in_order([*sections, *(figure["corpus"] for figure in published)]):
        results, cells = sections.get(corpus), published_cells(corpus, published)
        parts += [f"## {escape.markdown(corpus)}"] if results or cells else []
        if results:
            parts.append(markdown(appendix_cells(results), _best(results)))
        if cells:
            parts += [f"Published figures on {corpus}. {PUBLISHED_NOTE}", markdown(cells)]
    return "\n\n".join(parts) + "\n"


def appendix_cells(results: Sequence[Result]) -> list[Cells]:
    """Return the cells of a table of the appendix, a row for each result."""
    over_next = [*records.comparisons(list(pairwise(results))), None]
    over_reference = records.over_references(results)
    return [
        {
            "method": result.label,
            "n": str(result.accuracy.n),
            "accuracy": mean(result.accuracy),
            "95%, seeds": _interval(result.accuracy.interval),
            "95%, texts": _interval(
                metrics.accuracy_interval(
                    result.accuracy.mean, result.records[0]["metrics"]["examples"]
                )
            ),
            "macro-F1": mean(result.macro_f1),
            "training (s)": f"{result.seconds:.1f}",
            "timed on": result.machine,
            "over the next": _difference(with_next),
            "p, next": _p_value(with_next and with_next.p_value),
            "over the reference": _difference(with_reference),
            "p, reference": _p_value(with_reference and with_reference.p_value),
            "records": result.source,
        }
        for result, with_next, with_reference in zip(
            results, over_next, over_reference, strict=True
        )
    ]


def published_cells(corpus: str, published: Sequence[Record]) -> list[Cells]:
    """Return the cells of the published figures on a corpus, the best first."""
    of_corpus = [figure for figure in published if figure["corpus"] == corpus]
    return [
        {
            "published method": figure["method"],
            "kind": figure["kind"],
            "accuracy": percent(figure["accuracy"], figure.get("deviation")),
            "source": figure["source"],
            "protocol": figure["protocol"],
        }
        for figure in sorted(of_corpus, key=lambda figure: -figure["accuracy"])
    ]


def _best(results: Sequence[Result]) -> set[tuple[int, str]]:
    f1 = [result.macro_f1.mean for result in results]
    return {(0, "accuracy"), (f1.index(max(f1)), "macro-F1")}


# --- label counts --------------------------------------------------------------------------------


def label_curves_markdown(results: Sequence[Result]) -> str:
    """Return the tables of accuracy by the number of texts, one for each corpus."""
    parts = ["# Accuracy by the number of texts", LABELS_NOTE]
    by_corpus = _with_label_curves(results)
    for corpus, of_corpus in by_corpus.items():
        parts += [f"## {escape.markdown(corpus)}", markdown(label_curve_cells(of_corpus))]
    if not by_corpus:
        parts.append(markdown([]))
    return "\n\n".join(parts) + "\n"


def label_curves_latex(results: Sequence[Result]) -> str:
    """Return the same as `label_curves_markdown` in LaTeX, for the package booktabs."""
    parts = [
        latex(
            label_curve_cells(of_corpus),
            f"Label counts on {escape.latex(corpus)}. {LABELS_NOTE}",
            f"{corpus}-labels",
            first_column_mm=22,
            font_size_pt=7,
        )
        for corpus, of_corpus in _with_label_curves(results).items()
    ]
    return "\n".join(parts) or "% No records yet.\n"


def label_curve_cells(results: Sequence[Result]) -> list[Cells]:
    """Return the cells of a corpus, a row for each method that has runs on fewer texts.

    Args:
      results: on the corpus, one for each method, split and number of texts; for more, the first
        counts.
    """
    accuracies: dict[str, dict[int | None, str]] = {}
    for result in results:
        accuracies.setdefault(result.label, {}).setdefault(
            result.train_examples, mean(result.accuracy)
        )
    curves = {label: row for label, row in accuracies.items() if row.keys() != {None}}
    counts = sorted({count for row in curves.values() for count in row if count is not None})
    return [
        {"method": label}
        | {f"{count:,}": row.get(count, "not run") for count in counts}
        | {"all": row.get(None, "not run")}
        for label, row in curves.items()
    ]


def _with_label_curves(results: Sequence[Result]) -> dict[str, list[Result]]:
    """Return the results on each corpus that has runs on fewer texts."""
    by_corpus = {
        corpus: records.section([result for result in results if result.corpus == corpus])
        for corpus in corpora.in_order(result.corpus for result in results)
    }
    return {
        corpus: of_corpus
        for corpus, of_corpus in by_corpus.items()
        if any(result.train_examples for result in of_corpus)
    }


# --- backends ------------------------------------------------------------------------------------


def backends_markdown(results: Sequence[Result]) -> str:
    """Return the table of backends with its note."""
    note = escape.markdown(backends_note(results))
    return f"# Backends\n\n{note}\n\n{markdown(backends_cells(results))}\n"


def backends_latex(results: Sequence[Result]) -> str:
    """Return the same as `backends_markdown` in LaTeX, for the package booktabs."""
    note = escape.latex(backends_note(results))
    return latex(backends_cells(results), note, "backends", first_column_mm=32)


def backends_note(results: Sequence[Result]) -> str:
    """Return what a reader must know, with the machines on which experiments were timed."""
    timed: dict[str, dict[str, None]] = {}
    for experiment, on_backends in _on_several_backends(results).items():
        for result in on_backends:
            timed.setdefault(result.machine, {})[experiment] = None
    machines = "; on ".join(f"{machine}: {', '.join(names)}" for machine, names in timed.items())
    return f"{BACKENDS_NOTE} Timed on {machines}." if machines else BACKENDS_NOTE


def backends_cells(results: Sequence[Result]) -> list[Cells]:
    """Return the cells of the experiments that ran on two backends or more."""
    return [
        cells
        for experiment, on_backends in _on_several_backends(results).items()
        for cells in _experiment_cells(experiment, on_backends)
    ]


def _on_several_backends(results: Sequence[Result]) -> dict[str, list[Result]]:
    by_experiment: dict[str, list[Result]] = {}
    for result in results:
        if result.is_network:
            by_experiment.setdefault(result.source.rpartition("/")[0], []).append(result)
    return {name: found for name, found in sorted(by_experiment.items()) if len(found) > 1}


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
                "experiment": f"{experiment} on {result.corpus}",
                "backend": result.backend,
                "n": str(result.accuracy.n),
                "accuracy": mean(result.accuracy),
                "macro-F1": mean(result.macro_f1),
                "s/epoch": f"{np.median(epoch_seconds):.1f}",
                "p, ANOVA": _p_value(p_values[0]),
                "p, K-W": _p_value(p_values[1]),
            }
        )
        p_values = (None, None)  # shown once for each experiment
    return cells


# --- numbers -------------------------------------------------------------------------------------


def mean(values: significance.OverSeeds) -> str:
    """Return the mean and the deviation of scores from 0 to 1, in percent."""
    return percent(values.mean, values.deviation)


def percent(share: float, deviation: float | None = None) -> str:
    """Return a share in percent, with its deviation if there is one."""
    spread = "" if deviation is None else f" ± {100 * deviation:.2f}"
    return f"{100 * share:.2f}{spread}"


def _interval(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f"{percent(interval[0])} to {percent(interval[1])}"


def _difference(compared: significance.Comparison | None) -> str:
    if compared is None:
        return ""
    star = "*" if compared.p_value < SIGNIFICANT else ""
    low, high = map(_points, compared.interval)
    return f"{_points(compared.difference)}{star} ({low} to {high})"


def _points(difference: float) -> str:
    return f"{100 * difference:+.2f}".replace("-", "\N{MINUS SIGN}")


def _p_value(p_value: float | None) -> str:
    if p_value is None:
        return ""
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}"
