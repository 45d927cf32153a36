"""The tables of step times and of inference, in Markdown and LaTeX."""

import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks.tables import markdown
from research.evaluation.markup import latex
from research.processes import hardware

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
TEXT_COLUMNS = ("framework", "what", "precision", "jit")

_LATEX_COLUMNS = {
    "what": "what",
    "framework": "framework",
    "ms/step [quartiles]": "ms/step [quartiles]",
    "items": "items",
    "ms [quartiles]": "ms [quartiles]",
    "n": "n",
    "first call (s)": "first (s)",
    "of the limit": "limit",
    "against model.fit": "fit",
    "against the best native": "native",
    "items/s": "items/s",
    "against the reference": "reference",
}
"""The headings in LaTeX, by those in Markdown. What it is comes first, in a column that wraps."""
_TRAINING_NOTE = (
    "Medians over n rounds; first is the first call. limit: the time of the arithmetic "
    "alone, of the time of a step. fit and native: how many times as fast as model.fit of the same "
    "framework, and as the best native code."
)
_INFERENCE_NOTE = (
    "Medians over n rounds; reference: how many times as fast as the reference for the task."
)

SuiteRecord = dict[str, Any]
"""The content of a record of `benchmarks.run`."""
SubjectTimes = dict[str, Any]
"""One of its `rows`."""


def markdown_section(record: SuiteRecord, name: str) -> str:
    """Return a section for a record.

    Args:
      record: its content.
      name: the name of its file.
    """
    parts = [f"## {heading(record)}\n", *(f"**Doubtful:** {d}.\n" for d in record["doubts"])]
    for columns, cells in _tables(record):
        parts.append(markdown.table(columns, cells, TEXT_COLUMNS))
    return "\n".join(parts) + "\n" + "".join(f"- {note}\n" for note in notes(record, name))


def latex_section(record: SuiteRecord, name: str) -> str:
    """Return the same as LaTeX, for the package booktabs.

    Two columns, `precision` and `jit`, are left out, so that the tables fit into a page.

    Args:
      record: its content.
      name: the name of its file.
    """
    comments = [f"{name}: {heading(record)}", *(f"Doubtful: {d}." for d in record["doubts"])]
    text = "".join(f"% {comment}\n" for comment in [*comments, *notes(record, name)])
    for columns, cells in _tables(record):
        rows = [
            {
                short: row[columns.index(long)]
                for long, short in _LATEX_COLUMNS.items()
                if long in columns
            }
            for row in cells
        ]
        is_training = columns is TRAINING_COLUMNS
        subject = "Training steps" if is_training else "Inference"
        caption = (
            f"{subject}: {heading(record)}. {_TRAINING_NOTE if is_training else _INFERENCE_NOTE}"
        )
        label = f"{subject.split()[0].lower()}-{name.removesuffix('.json')}"
        text += latex(rows, caption, label, first_column_mm=37)
    return text


def plain(record: SuiteRecord) -> str:
    """Return a line for each training step, the fastest first, and the device above them."""
    lines = [
        f"{row['framework']:<12}{row['name']:<36}{with_quartiles(row, 1):>24} ms/step"
        f"  n = {row['unit_time_ms']['n']}"
        for row in training(record)
    ]
    return "\n".join([heading(record), *lines])


def _tables(record: SuiteRecord) -> list[tuple[Sequence[str], list[list[str]]]]:
    tables = [
        (TRAINING_COLUMNS, training_cells(record)),
        (INFERENCE_COLUMNS, inference_cells(record)),
    ]
    return [(columns, cells) for columns, cells in tables if cells]


def training(record: SuiteRecord) -> list[SubjectTimes]:
    """Return the rows about a training step, the fastest first."""
    rows = [row for row in record["rows"] if row["kind"] not in ("inference", "reference")]
    return sorted(rows, key=median_ms)


def median_ms(row: SubjectTimes) -> float:
    """Return the median time of a unit: of a step, a text or a vector."""
    median: float = row["unit_time_ms"]["median"]
    return median


def step_gflop(record: SuiteRecord) -> float:
    """Return the products of a step on a whole batch, in 10**9 floating-point operations."""
    steps = (row["gflop_per_round"] / row["units_per_round"] for row in training(record))
    return max(map(float, steps))


def best_gflops(record: SuiteRecord, precision: str = "float32") -> float | None:
    """Return the best rate of matrix products in any process, in GFLOP/s.

    Args:
      record: its content.
      precision: "float32" or "mixed_bfloat16", whose rate older records lack: then it is None.
    """
    measured = "matmul_gflops" if precision == "float32" else "bfloat16_gflops"
    rates = [rate for row in training(record) for rate in row.get(measured) or ()]
    return max((float(rate) for rate in rates if rate is not None), default=None)


def limit_ms(record: SuiteRecord, row: SubjectTimes) -> float | None:
    """Return the time of a step's products alone, at the best rate in the precision of a row."""
    rate = best_gflops(record, row["precision"])
    gflop = float(row["gflop_per_round"]) / row["units_per_round"]
    return None if rate is None else 1e3 * gflop / rate


def training_cells(record: SuiteRecord) -> list[list[str]]:
    """Return the cells of `TRAINING_COLUMNS`, row by row."""
    rows = training(record)
    fit_ms = {row["framework"]: median_ms(row) for row in rows if row["name"] == "model.fit"}
    best_native_ms = min((median_ms(row) for row in rows if row["kind"] == "peer"), default=None)
    cells = []
    for row in rows:
        limit = limit_ms(record, row)
        cells.append(
            [
                row["framework"],
                row["name"],
                row["precision"],
                row["jit"],
                with_quartiles(row, 1),
                str(row["unit_time_ms"]["n"]),
                f"{statistics.median(row['first_call_s']):.1f}",
                f"{100 * limit / median_ms(row):.0f}%" if limit else "",
                _times_faster(fit_ms.get(row["framework"]), row),
                _times_faster(best_native_ms, row),
            ]
        )
    return cells


def inference_cells(record: SuiteRecord) -> list[list[str]]:
    """Return the cells of `INFERENCE_COLUMNS`, row by row."""
    rows = [row for row in record["rows"] if row["kind"] in ("inference", "reference")]
    return [
        [
            row["framework"],
            row["name"],
            f"{row['units_per_round']:,}",
            with_quartiles(row, row["units_per_round"]),
            str(row["unit_time_ms"]["n"]),
            f"{1e3 / median_ms(row):,.0f}",
            _times_faster(_reference_ms(row, rows), row),
        ]
        for row in sorted(rows, key=lambda row: (row["name"], median_ms(row)))
    ]


def _reference_ms(row: SubjectTimes, rows: Sequence[SubjectTimes]) -> float | None:
    """Return the time of the reference for the same task, in the same framework if there is one."""
    references = [
        other for other in rows if other["kind"] == "reference" and _task(other) == _task(row)
    ]
    references.sort(key=lambda other: bool(other["framework"] != row["framework"]))
    return median_ms(references[0]) if references else None


def _task(row: SubjectTimes) -> str:
    return str(row["name"]).partition(",")[0]


def with_quartiles(row: SubjectTimes, units: int) -> str:
    """Return the median and the quartiles of the time of some units, in ms."""
    times = row["unit_time_ms"]
    values = (units * times[name] for name in ("median", "first_quartile", "third_quartile"))
    return "{:.1f} [{:.1f}, {:.1f}]".format(*values)


def _times_faster(reference_ms: float | None, row: SubjectTimes) -> str:
    return "–" if reference_ms is None else f"{reference_ms / median_ms(row):.2f}x"  # noqa: RUF001


def device_label(record: SuiteRecord) -> str:
    """Return the GPUs that were computed on, or else the processor."""
    devices = dict.fromkeys(record["machine"]["devices"].values())
    gpus = [device.partition(": ")[2] for device in devices if not device.startswith("cpu")]
    return ", ".join(gpus) or hardware.label(record["machine"])


def heading(record: SuiteRecord) -> str:
    """Return the device and the sizes."""
    about, threads = record["about"], record["machine"]["threads"]
    return (
        f"{device_label(record)}, {threads} threads, {about['embedding_dim']} dimensions, "
        f"batch {about['batch_size']}"
    )


def notes(record: SuiteRecord, name: str) -> list[str]:
    """Return what a reader must know about the numbers, a few sentences each."""
    about, method, machine = record["about"], record["method"], record["machine"]
    first_call = "one step" if "effort" in method else "one epoch or one step"  # in old records
    texts = [
        f"The network is the tutorial's, on {about['corpus']}: {about['training_examples']:,} "
        f"examples of {about['sequence_length']} tokens, {about['vocabulary_size']:,} words, "
        f"vectors: {about['vectors']}. Record: {name}, commit {machine['commit']}."
        + ("" if "cpu" in machine else " It names the processor without family and model."),
        "Times are the median and the quartiles over n rounds, from "
        f"{method['processes']} processes for each row. All processes run in a random order. The "
        "first call and a warm-up come before the rounds. The time of a step is that of its round, "
        "divided by the number of steps. `our epoch` and `model.fit` run epochs of "
        f"{about['epoch_examples']:,} examples and copy each batch to the device; the other rows "
        f"have their batches there. The first call is {first_call}, and includes compiling."
        + _short_epochs(record),
        "float32 means 24 significant bits in every row: TF32 is switched off on every GPU. "
        + _memory_note(record),
    ]
    if training(record):
        texts.append(_limit_note(record))
    checks = {
        f"{row['framework']} {row['name']}": max(row["check"].values())
        for row in training(record)
        if row["check"]
    }
    if checks:
        texts.append(
            "Largest relative differences between native code and our model in the loss, the "
            "gradients and one step, with equal weights and without dropout: "
            + ", ".join(f"{name} {difference:.0e}" for name, difference in checks.items())
            + "."
        )
    if any(row["kind"] == "inference" for row in record["rows"]):
        texts.append(
            "Labels are for the validation split. `model.predict` takes 32 texts at a time, its "
            "default; our code takes 256 of similar lengths. The reference for token ids to labels "
            "is `model.predict` in the same framework, for strings to labels scikit-learn, and for "
            "texts to token ids the tutorial. Texts to token ids includes learning the vocabulary. "
            f"It is timed on at most {about['slice_texts']:,} texts, since for all of them the "
            "tutorial's array takes 10 GB."
        )
    texts += [f"Left out: {left['subject']}: {left['reason']}." for left in record["left_out"]]
    return texts


def _short_epochs(record: SuiteRecord) -> str:
    """Return a sentence about epochs that were cut, or nothing."""
    whole = record["about"]["epoch_examples"] // record["about"]["batch_size"]
    cut = [
        f"{row['framework']} {row['name']} {row['units_per_round']}"
        for row in training(record)
        if row["name"].startswith(("our epoch", "model.fit")) and row["units_per_round"] < whole
    ]
    return f" These epochs had fewer steps, since steps are slow: {', '.join(cut)}." if cut else ""


def _memory_note(record: SuiteRecord) -> str:
    """Return which rows keep freed memory; in older records the names of native rows say so."""
    names = {row["name"] for row in training(record)}
    if any(name.endswith(", memory kept") for name in names):
        return (
            "`memory kept`: the process keeps freed memory instead of returning it to the system, "
            "as our commands, `our step` and `our epoch` do. `model.fit` and the other native rows "
            "use the allocator's defaults."
        )
    text = (
        "Processes of ours and of native code keep freed memory instead of returning it to the "
        "system, as our commands do. `model.fit` uses the allocator's defaults."
    )
    if "model.fit, without autotuning" in names:
        text += " `without autotuning`: `tf.data` does not adapt its threads and buffers."
    return text


def _limit_note(record: SuiteRecord) -> str:
    gflop, rate = step_gflop(record), best_gflops(record)
    if rate is None:
        return ""
    text = (
        f"The limit is the time of a step's matrix products alone: {gflop:.2f} GFLOP take "
        f"{1e3 * gflop / rate:.1f} ms at {rate:.0f} GFLOP/s, the best rate of float32 matrix "
        "products in any process."
    )
    rate = best_gflops(record, "mixed_bfloat16")
    if rate is not None:
        text += (
            f" That of rows in bfloat16 is {1e3 * gflop / rate:.1f} ms, at {rate:.0f} GFLOP/s, the "
            "best rate of bfloat16 matrix products."
        )
    return text
