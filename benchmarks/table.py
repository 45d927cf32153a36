"""Makes the tables and the figure of step times from the records: `python -m benchmarks.table`.

Nothing is measured here, and every number comes from `results/benchmarks/*.json`. Written are
`results/tables/step_time.md` and `.tex` (booktabs), `results/figures/step_time.svg` and `.png`; and
`results/tables/scale.md` and `serving.md` from `results/scale.json` and `serving.json`, if they are
there.
"""

import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import tyro
from matplotlib.figure import Figure

from research.files import atomic

# Same records, same file: no date, and names of SVG elements that don't change from run to run.
matplotlib.rcParams["svg.hashsalt"] = "keras-text-research"

TRAINING_COLUMNS = (
    "framework",
    "what",
    "precision",
    "jit",
    "ms/step [quartiles]",
    "n",
    "first call (s)",
    "of the limit",
    "against model.fit",
    "against the best native",
)
INFERENCE_COLUMNS = (
    "framework",
    "what",
    "items",
    "ms [quartiles]",
    "n",
    "items/s",
    "against the reference",
)

Record = dict[str, Any]
Row = dict[str, Any]


def main(records: Path = Path("results/benchmarks"), results: Path = Path("results")) -> None:
    """Makes tables and a figure of all records in a folder.

    Args:
      records: the folder of the records.
      results: the folder for `tables/` and `figures/`.
    """
    paths = sorted(records.glob("*.json"))
    if not paths:
        raise ValueError(
            f"expected a record in {records}, received none; python -m benchmarks.run writes one"
        )
    read = [json.loads(path.read_bytes()) for path in paths]
    parts = [markdown(record, path.name) for record, path in zip(read, paths, strict=True)]
    atomic.write(results / "tables" / "step_time.md", "\n".join(["# Step times\n", *parts]).encode())
    parts = [latex(record, path.name) for record, path in zip(read, paths, strict=True)]
    atomic.write(results / "tables" / "step_time.tex", "\n".join(parts).encode())
    print(f"written: {results / 'tables' / 'step_time'}.md and .tex")
    for name, made in (("scale", scale), ("serving", serving)):
        if (results / f"{name}.json").exists():
            text = made(json.loads((results / f"{name}.json").read_text()))
            atomic.write(results / "tables" / f"{name}.md", text.encode())
            print(f"written: {results / 'tables' / name}.md")
    timed = [record for record in read if training(record)]
    if timed:  # else it was told to leave all training steps out
        draw(timed, results / "figures" / "step_time")
        print(f"written: {results / 'figures' / 'step_time'}.svg and .png")


def scale(record: Record) -> str:
    """Returns what larger corpora cost, in Markdown, from the record of `benchmarks.scale`."""
    stages = {"learn": "learn the vocabulary", "encode": "encode", "train": "train"}
    columns = ["documents"]
    columns += [f"{title}: {unit}" for title in stages.values() for unit in ("µs/document", "MB")]
    lines = ["# What a larger corpus costs\n", "| " + " | ".join(columns) + " |"]
    lines.append("|" + "---:|" * len(columns))
    for row in record["rows"]:
        costs = [(row[stage]["us_per_document"], row[stage]["peak_mb"]) for stage in stages]
        cells = [f"{value:.0f}" for cost in costs for value in cost]
        lines.append(f"| {row['documents']:,} | " + " | ".join(cells) + " |")
    seconds = {}
    lines += [
        f"\n{record['tokenizing']['documents']:,} texts to integers, the vocabulary included:\n",
        "| | seconds, median [least, most] | MB, most |\n|---|---:|---:|",
    ]
    for way, title in (("ours", "`research.tokens`"), ("tutorial", "the tutorial's way")):
        processes = record["tokenizing"][way]
        times = [process["seconds"] for process in processes]
        seconds[way] = statistics.median(times)
        spread = f"{seconds[way]:.1f} [{min(times):.1f}, {max(times):.1f}]"
        memory = max(process["peak_mb"] for process in processes)
        lines.append(f"| {title} | {spread} | {memory:,.0f} |")
    lines.append(
        f"\nOurs takes {seconds['ours'] / seconds['tutorial']:.3f} of the tutorial's time; "
        f"{len(processes)} processes each."
    )
    return "\n".join(lines) + (
        "\n\nPosts of the train split of news20-bydate, repeated and shuffled; each "
        "measurement in a process of its own. MB are the most private memory over that before the "
        "stage; token ids are in a mapped file, whose pages the system takes back. Training is "
        "that of the tutorial's network, 64 steps in random order. "
        f"{record['processor']}, {record['threads']} threads, load "
        f"{record['load_before']:.2f} before, commit {record['commit']}.\n"
    )


def serving(record: Record) -> str:
    """Returns how fast artefacts answer, in Markdown, from the record of `benchmarks.serving`."""
    one, many = (f"ms, {texts} text{'s' * (texts > 1)}" for texts in (1, record["run"]["texts"]))
    lines = [
        "# How fast artefacts answer\n",
        f"| | takes | MB | {one} | {many} | texts/s |",
        "|---|---|---:|---:|---:|---:|",
    ]
    left_out = []
    for row in record["rows"]:
        if "left_out" in row:
            left_out.append(f"\n- `{row['name']}`: {row['left_out']}")
            continue
        first, whole = ([latency[i][1] for latency in row["latency_ms"]] for i in (0, 1))
        texts_s = 1000 * record["run"]["texts"] / statistics.median(whole)
        size = f"{row['size_mb']:.1f}" if "size_mb" in row else ""
        lines.append(
            f"| {row['name']} | {row['takes']} | {size} | {_with_range(first, 2)} | "
            f"{_with_range(whole, 1)} | {texts_s:,.0f} |"
        )
    run, machine = record["run"], record["machine"]
    notes = [f"Doubtful: {doubt}." for doubt in record["doubts"]]
    if left_out:
        notes.append("Left out:\n" + "".join(left_out))
    return "\n".join(lines) + (
        f"\n\nMedians of {record['processes']} processes [lowest, highest], each of which has the "
        f"median of 20 calls after a first. Model `{run['model']}`, texts of the validation split "
        f"of `{run['corpus']}`. What takes token ids leaves out the splitting into words; "
        f"scikit-learn gives labels without probabilities. {machine['processor']}, "
        f"{machine['threads']} threads, load {record['load_before']:.2f} before, commit "
        f"{machine['commit']}.\n" + "".join(f"\n{note}\n" for note in notes)
    )


def _with_range(values: Sequence[float], digits: int) -> str:
    low, middle, high = min(values), statistics.median(values), max(values)
    return f"{middle:.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def step_gflop(record: Record) -> float:
    """Returns the products of a step on a whole batch, in 10**9 floating-point operations."""
    steps = (row["gflop_per_round"] / row["units_per_round"] for row in training(record))
    return max(map(float, steps))


def best_gflops(record: Record) -> float:
    """Returns the best rate of float32 matrix products seen in any process, in GFLOP/s."""
    return max(float(rate) for row in training(record) for rate in row["matmul_gflops"])


def training(record: Record) -> list[Row]:
    """Returns the rows about a training step, the quickest first."""
    found = [row for row in record["rows"] if row["kind"] not in ("inference", "reference")]
    return sorted(found, key=lambda row: row["unit_time_ms"]["median"])


def training_cells(record: Record) -> list[list[str]]:
    """Returns the cells of the first table."""
    rows = training(record)
    fit_ms = {row["framework"]: _median(row) for row in rows if row["kind"] == "fit"}
    best_native_ms = min((_median(row) for row in rows if row["kind"] == "peer"), default=None)
    cells = []
    for row in rows:
        gflop = row["gflop_per_round"] / row["units_per_round"]
        limit_ms = 1e3 * gflop / best_gflops(record)
        cells.append(
            [
                row["framework"],
                row["name"],
                row["precision"],
                row["jit"],
                _with_quartiles(row, 1),
                str(row["unit_time_ms"]["n"]),
                f"{statistics.median(row['first_call_s']):.1f}",
                # The limit is that of float32, and bfloat16 has another.
                f"{100 * limit_ms / _median(row):.0f}%" if row["precision"] == "float32" else "",
                _times_faster(fit_ms.get(row["framework"]), row),
                _times_faster(best_native_ms, row),
            ]
        )
    return cells


def inference_cells(record: Record) -> list[list[str]]:
    """Returns the cells of the second table."""
    rows = [row for row in record["rows"] if row["kind"] in ("inference", "reference")]
    return [
        [
            row["framework"],
            row["name"],
            f"{row['units_per_round']:,}",
            _with_quartiles(row, row["units_per_round"]),
            str(row["unit_time_ms"]["n"]),
            f"{1e3 / _median(row):,.0f}",
            _times_faster(_reference_ms(row, rows), row),
        ]
        for row in sorted(rows, key=lambda row: (row["name"], _median(row)))
    ]


def _reference_ms(row: Row, rows: Sequence[Row]) -> float | None:
    """Returns the time of the reference for the same task, in the same framework if there is one.

    The task is the name up to the comma.
    """
    task = row["name"].partition(",")[0]
    found = [
        other
        for other in rows
        if other["kind"] == "reference" and other["name"].partition(",")[0] == task
    ]
    found.sort(key=lambda other: bool(other["framework"] != row["framework"]))
    return _median(found[0]) if found else None


def markdown(record: Record, name: str) -> str:
    """Returns a section for a record.

    Args:
      record: its content.
      name: of its file.
    """
    lines = [f"## {heading(record)}", "", *(f"**Doubtful:** {d}.\n" for d in record["doubts"])]
    for columns, cells in _tables(record):
        right = _numeric(columns)
        lines.append("| " + " | ".join(columns) + " |")
        lines.append("|" + "|".join("---:" if is_right else "---" for is_right in right) + "|")
        lines += ["| " + " | ".join(row) + " |" for row in cells]
        lines.append("")
    lines += [f"- {note}" for note in notes(record, name)]
    return "\n".join(lines) + "\n"


def latex(record: Record, name: str) -> str:
    """Returns the same as LaTeX, for the package booktabs.

    Args:
      record: its content.
      name: of its file.
    """
    lines = [f"% {name}: {heading(record)}"]
    lines += [f"% Doubtful: {doubt}." for doubt in record["doubts"]]
    lines += [f"% {note}" for note in notes(record, name)]
    for columns, cells in _tables(record):
        alignment = "".join("r" if is_right else "l" for is_right in _numeric(columns))
        lines += [rf"\begin{{tabular}}{{{alignment}}}", r"\toprule"]
        lines += [_latex_row(columns), r"\midrule", *map(_latex_row, cells)]
        lines += [r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines) + "\n"


def heading(record: Record) -> str:
    """Returns what was computed on, and at which size."""
    devices = dict.fromkeys(record["machine"]["devices"].values())
    gpus = [device.partition(": ")[2] for device in devices if not device.startswith("cpu")]
    device = ", ".join(gpus) or record["machine"]["processor"]
    return (
        f"{device}, {record['machine']['threads']} threads, {record['about']['embedding_dim']} "
        f"dimensions, batch {record['about']['batch_size']}"
    )


def notes(record: Record, name: str) -> list[str]:
    """Returns what a reader must know of the numbers, a sentence or two each."""
    about, method, machine = record["about"], record["method"], record["machine"]
    found = [
        f"The tutorial's network on {about['corpus']}, {about['training_examples']:,} examples of "
        f"{about['sequence_length']} tokens, {about['vocabulary_size']:,} words, vectors: "
        f"{about['vectors']}. Record: {name}, commit {machine['commit']}.",
        f"Median and quartiles over n rounds, from {method['processes']} processes of each row, "
        "all in a random order, after compiling and a warm-up. The steps of a round are not told "
        "apart: a time is the round's divided by its steps. `our epoch` and `model.fit` run epochs "
        f"of {about['epoch_examples']:,} examples and copy each batch; the others have their "
        "batches on the device. The first call compiles, and is an epoch or a step; it is not "
        "among the rounds.",
        "float32 means 24 bits throughout: TF32 is switched off on every GPU. `memory kept`: the "
        "process keeps what it frees, as those of our commands do; `model.fit` and the other "
        "native rows leave the allocator as it is.",
    ]
    if training(record):
        gflop, rate = step_gflop(record), best_gflops(record)
        found.append(
            f"The limit is the time of a step's products alone, {gflop:.2f} GFLOP at the best rate "
            f"of float32 matrix products seen in any process, {rate:.0f} GFLOP/s: "
            f"{1e3 * gflop / rate:.1f} ms."
        )
    checks = {
        f"{row['framework']} {row['name']}": max(row["check"].values())
        for row in training(record)
        if row["check"]
    }
    if checks:
        found.append(
            "At equal weights and without dropout, loss, gradients and a step of each native row "
            "differed from our model's by a share of at most: "
            + ", ".join(f"{name} {difference:.0e}" for name, difference in checks.items())
            + "."
        )
    if any(row["kind"] == "inference" for row in record["rows"]):
        found.append(
            "Labels are for the validation split; `model.predict` takes 32 texts at a time, its "
            "default, ours 256 of similar lengths. The reference of labels for token ids is "
            "`model.predict` in the same framework; of labels for strings, scikit-learn; of token "
            "ids, the tutorial. Texts to token ids are learning the vocabulary and encoding, of at "
            f"most {about['slice_texts']:,} texts: of all, the tutorial's array takes 10 GB."
        )
    found += [f"Left out: {left['subject']}: {left['reason']}." for left in record["left_out"]]
    return found


def draw(records: Sequence[Record], stem: Path) -> None:
    """Draws the step times, a panel for each record: bars are medians, dots those of processes.

    Args:
      records: their contents, each with a training step.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    heights = [1 + 0.28 * len(training(record)) for record in records]
    figure = Figure(figsize=(8, sum(heights)), layout="constrained")
    panels = figure.subplots(len(records), 1, squeeze=False, height_ratios=heights)[:, 0]
    colors = {"ours": "tab:blue", "fit": "tab:orange", "peer": "tab:gray"}
    for axes, record in zip(panels, records, strict=True):
        rows = training(record)[::-1]
        for position, row in enumerate(rows):
            axes.barh(position, _median(row), color=colors[row["kind"]], alpha=0.6)
            medians = row["unit_time_ms"]["medians_of_processes"]
            axes.plot(medians, [position] * len(medians), "k.", markersize=4)
        axes.set_yticks(range(len(rows)), [f"{row['framework']}: {row['name']}" for row in rows])
        limit_ms = 1e3 * step_gflop(record) / best_gflops(record)
        axes.axvline(limit_ms, color="tab:red", linestyle="--", linewidth=1)
        axes.set(xlabel="ms/step; dashed: its arithmetic alone", xlim=(0, None))
        axes.set_title(heading(record) + (" (doubtful)" if record["doubts"] else ""), fontsize=9)
        if _median(rows[0]) > 10 * _median(rows[-1]):  # one slow row would hide all the others
            axes.set_xscale("log")
            axes.set_xlim(limit_ms / 2, None)
    svg, png = (stem.with_name(stem.name + suffix) for suffix in (".svg", ".png"))
    stem.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(svg, bbox_inches="tight", metadata={"Date": None})
    figure.savefig(png, bbox_inches="tight", dpi=150)


def _tables(record: Record) -> list[tuple[Sequence[str], list[list[str]]]]:
    found = [
        (TRAINING_COLUMNS, training_cells(record)),
        (INFERENCE_COLUMNS, inference_cells(record)),
    ]
    return [(columns, cells) for columns, cells in found if cells]


def _numeric(columns: Sequence[str]) -> list[bool]:
    return [column not in ("framework", "what", "precision", "jit") for column in columns]


def _latex_row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("%", r"\%").replace("_", r"\_").replace("&", r"\&") for cell in cells)
    return " & ".join(escaped) + r" \\"


def _median(row: Row) -> float:
    median: float = row["unit_time_ms"]["median"]
    return median


def _with_quartiles(row: Row, units: int) -> str:
    times = row["unit_time_ms"]
    values = (units * times[name] for name in ("median", "first_quartile", "third_quartile"))
    return "{:.1f} [{:.1f}, {:.1f}]".format(*values)


def _times_faster(reference_ms: float | None, row: Row) -> str:
    return "–" if reference_ms is None else f"{reference_ms / _median(row):.2f}x"  # noqa: RUF001


if __name__ == "__main__":
    try:
        tyro.cli(main, prog="python -m benchmarks.table")
    except (ValueError, OSError) as error:
        sys.exit("error: " + " ".join(str(error).split()))
