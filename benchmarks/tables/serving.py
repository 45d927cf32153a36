"""The table of how fast artefacts answer."""

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.tables import markdown
from research.processes import hardware


def page(record: dict[str, Any]) -> str:
    """Return the page in Markdown.

    Args:
      record: the content of the record of `benchmarks.serving`.
    """
    run, machine = record["run"], record["machine"]
    one, many = (f"ms, {texts} text{'s' * (texts > 1)}" for texts in (1, run["texts"]))
    columns = ["what", "takes", "MB", one, many, "texts/s"]
    cells = [_cells(row, run["texts"]) for row in record["rows"] if "left_out" not in row]
    notes = [
        f"Medians of {record['processes']} processes [lowest, highest]. Each process gives the "
        "median of 20 calls, after a first one that is not timed. The model is "
        f"`{run['model']}`, and the texts are from the validation split of `{run['corpus']}`. Rows "
        "that take token ids do not include tokenizing. scikit-learn returns labels without "
        f"probabilities. Measured on {hardware.label(machine)}, {machine['threads']} threads, load "
        f"average {record['load_before']:.2f} before the first process, commit "
        f"{machine['commit']}.\n"
    ]
    notes += [f"Doubtful: {doubt}.\n" for doubt in record["doubts"]]
    left_out = [
        f"- `{row['name']}`: {row['left_out']}\n" for row in record["rows"] if "left_out" in row
    ]
    if left_out:
        notes.append("Left out:\n\n" + "".join(left_out))
    table = markdown.table(columns, cells, text_columns=["what", "takes"])
    return "\n".join(["# How fast artefacts answer\n", table, *notes])


def _cells(row: dict[str, Any], texts: int) -> list[str]:
    first, whole = ([latency[i][1] for latency in row["latency_ms"]] for i in (0, 1))
    texts_per_s = 1000 * texts / statistics.median(whole)
    size = f"{row['size_mb']:.1f}" if "size_mb" in row else ""
    return [
        row["name"],
        row["takes"],
        size,
        _with_range(first, 2),
        _with_range(whole, 1),
        f"{texts_per_s:,.0f}",
    ]


def _with_range(values: Sequence[float], digits: int) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"
