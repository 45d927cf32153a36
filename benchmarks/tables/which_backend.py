"""The page that says which backend to take for what, and its table, in Markdown and LaTeX."""

import re
from collections.abc import Mapping, Sequence

from benchmarks.tables import answers, markdown
from benchmarks.tables.comparisons import (
    Comparison,
    Machine,
    memory_mb,
    texts_per_second,
)
from benchmarks.tables.step_times import with_quartiles
from research.evaluation.markup import latex

_COLUMNS = {
    "what": "sizes",
    "backend": "backend",
    "ms/step [quartiles]": "ms/step [quartiles]",
    "slower": "slower",
    "texts/s": "texts/s",
    "MB": "MB",
    "fit": "against model.fit",
    "native": "against native",
}
"""The headings in Markdown, by those in LaTeX, which are shorter."""
_SHORT_COLUMNS = ("for", "take", "time of the others")
_TEXT_COLUMNS = ("sizes", "backend", "slower")
_NO_DIFFERENCE = "no difference to be seen"
_MISSING = "–"  # noqa: RUF001


def page(machines: Sequence[Machine], figures: Mapping[str, str]) -> str:
    """Return the page in Markdown.

    Args:
      machines: a section for each.
      figures: what each figure that there is shows, by its name.
    """
    if not machines:
        return "# Which backend\n\nNo record has a row of our epoch yet.\n"
    pictures = [f"![{text}](../figures/{name}.png)\n" for name, text in figures.items()]
    return "\n".join(["# Which backend\n", *map(_section, machines), *pictures])


def latex_page(machines: Sequence[Machine]) -> str:
    """Return a table for each machine, for the package booktabs."""
    return "\n".join(map(_latex_table, machines)) or "% No records yet.\n"


def _section(machine: Machine) -> str:
    rows = cells(machine)
    doubts = [f"**Doubtful:** {doubt}.\n" for doubt in _doubts(machine)]
    answer = [f"- {sentence}\n" for sentence in answers.sentences(machine)]
    chosen = list(map(list, choices(machine)))
    short = [markdown.table(_SHORT_COLUMNS, chosen, _SHORT_COLUMNS)] if chosen else []
    columns = list(_COLUMNS.values())
    table = markdown.table(columns, [list(row.values()) for row in rows], _TEXT_COLUMNS)
    texts = "".join(f"- {note}\n" for note in notes(machine))
    return "\n".join([f"## {machine.name}\n", *doubts, "".join(answer), *short, table, texts])


def _latex_table(machine: Machine) -> str:
    comments = [*(f"Doubtful: {doubt}." for doubt in _doubts(machine)), *notes(machine)]
    short = {f", {_NO_DIFFERENCE}": " =", _NO_DIFFERENCE: "="}
    rows = cells(machine)
    for row in rows:
        for long, mark in short.items():
            row["slower"] = row["slower"].replace(long, mark)
    about = f" Base: {machine.base.title(None)}." if machine.base else ""
    caption = (
        f"Our epoch on {machine.name}.{about} Medians; slower: how many times as long as the "
        f"quickest; =: {_NO_DIFFERENCE}; MB: peak of private memory; fit and native: how many "
        "times as fast as model.fit and as native code of the same framework."
    )
    label = "backend-" + re.sub(r"[^a-z0-9]+", "-", machine.name.lower()).strip("-")
    text = "".join(f"% {comment}\n" for comment in comments)
    return text + latex(rows, caption, label, first_column_mm=30)


def choices(machine: Machine) -> list[tuple[str, str, str]]:
    """Return for each size which backend to take, and what the others take of its time.

    Sizes with a single backend are left out.
    """
    found = []
    for one in machine.comparisons:
        if len(one.rows["ours"]) == 1:
            continue
        leaders = one.leaders()
        others = [
            f"{name} {_factor(one.times_slower(name))}"
            for name in one.ranked()
            if name not in leaders
        ]
        title = one.sizes.title(machine.base)
        found.append((title, " or ".join(leaders), ", ".join(others) or _MISSING))
    return found


def cells(machine: Machine) -> list[dict[str, str]]:
    """Return the rows of the table by its headings in LaTeX: the quickest of each size first."""
    return [
        _cells(comparison, backend, comparison.sizes.title(machine.base))
        for comparison in machine.comparisons
        for backend in comparison.ranked()
    ]


def _cells(comparison: Comparison, backend: str, title: str) -> dict[str, str]:
    row = comparison.rows["ours"][backend]
    peak = memory_mb(row)
    faster = {kind: comparison.times_faster(backend, kind) for kind in ("fit", "peer")}
    is_first = backend == comparison.ranked()[0]
    return {
        "what": title if is_first else "",
        "backend": backend,
        "ms/step [quartiles]": with_quartiles(row, 1),
        "slower": _slower(comparison, backend),
        "texts/s": f"{texts_per_second(comparison, row):,.0f}",
        "MB": _MISSING if peak is None else f"{peak:,.0f}",
        "fit": _factor(faster["fit"]),
        "native": _factor(faster["peer"]),
    }


def _slower(comparison: Comparison, backend: str) -> str:
    if len(comparison.rows["ours"]) == 1:
        return _MISSING
    if backend == comparison.ranked()[0]:
        return "quickest"
    is_tie = backend in comparison.leaders()
    factor = _factor(comparison.times_slower(backend))
    return f"{factor}, {_NO_DIFFERENCE}" if is_tie else factor


def _factor(factor: float | None) -> str:
    return _MISSING if factor is None else f"{factor:.2f}x"


def notes(machine: Machine) -> list[str]:
    """Return what a reader must know about the numbers, a few sentences each."""
    rows = [row for one in machine.comparisons for row in one.rows["ours"].values()]
    processes = sorted({len(row["unit_time_ms"]["medians_of_processes"]) for row in rows})
    rounds = sorted({row["unit_time_ms"]["n"] for row in rows})
    texts = []
    if machine.base:
        texts.append(
            f"Base: {machine.base.title(None)}. Each other size names how it differs from the base."
        )
    texts.append(
        f"Times are medians and quartiles of `our epoch` in float32, from {_range(processes)} for "
        f"each row and {_range(rounds, 'round')} in all. `slower` says how many times as long a "
        f"backend takes as the quickest, and *{_NO_DIFFERENCE}* that their ranges overlap: a "
        "range holds the quartiles and the medians of all processes."
    )
    if any(memory_mb(row) is not None for row in rows):
        texts.append(
            "MB is the peak of the private memory of the process above that at the start of the "
            "row. The memory of a GPU is not in it, nor what an earlier row of the process left to "
            "be used again. So it compares backends roughly, and not ways to train."
        )
    texts.append(
        "`against model.fit` and `against native`: how many times as fast our epoch is as that row "
        f"of the same framework at the same sizes; {_MISSING} where there is none."
    )
    records = [f"{name}, commit {r['machine']['commit']}" for name, r in machine.records.items()]
    texts.append(f"Records: {'; '.join(records)}.")
    return texts


def _range(numbers: Sequence[int], noun: str = "process") -> str:
    plural = {"process": "processes", "round": "rounds"}[noun]
    if len(numbers) > 1:
        return f"{numbers[0]} to {numbers[-1]} {plural}"
    return f"{numbers[0]} {noun if numbers[0] == 1 else plural}"


def _doubts(machine: Machine) -> list[str]:
    found = []
    for name, record in machine.records.items():
        devices = record["machine"]["devices"]
        on_cpu = [backend for backend, device in devices.items() if device.startswith("cpu")]
        doubts = list(record["doubts"])
        if 0 < len(on_cpu) < len(devices):
            doubts.append(
                f"{answers.joined(on_cpu)} computed on a CPU and the others on a GPU, so devices "
                "are compared and not backends"
            )
        found += [f"{doubt} ({name})" for doubt in doubts]
    return found
