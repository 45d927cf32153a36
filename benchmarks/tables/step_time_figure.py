"""The figure of step times."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmarks.tables.backend_looks import log_ticks
from benchmarks.tables.step_times import (
    SubjectTimes,
    SuiteRecord,
    best_gflops,
    heading,
    median_ms,
    step_gflop,
    training,
)
from research.evaluation import figure_style, figures

_COLOURS = {"ours": figure_style.SKY_BLUE, "fit": figure_style.ORANGE, "peer": "0.75"}
_TITLES = {"ours": "ours", "fit": "Keras's model.fit", "peer": "native code"}
_TITLE_LETTERS = 80  # of a line, which is as wide as a panel
_NOTE_LETTERS, _NOTE_POINTS = 92, 7
_LEGEND_INCHES = 0.25
_PLOT_INCHES = 4.7  # beside the names of the rows
_MOST_TIMES_IN_BARS = (
    10  # a slower row would hide the others, and bars need an axis that begins at 0
)


@figure_style.styled()
def draw(records: Sequence[SuiteRecord], stem: Path) -> None:
    """Draw the step times, a panel for each record: bars are medians, dots those of processes.

    Where one row takes more than ten times as long as another, the axis is logarithmic, with dots
    for medians and whiskers from quartile to quartile instead of bars.

    Args:
      records: their contents, each with a training step.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    notes = [_note(record) for record in records]
    heights = [
        0.65 + 0.14 * (len(training(record)) + note.count("\n") + 1)
        for record, note in zip(records, notes, strict=True)
    ]
    size = (figure_style.TEXT_INCHES, sum(heights) + _LEGEND_INCHES)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(len(records), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, record, note in zip(panels, records, notes, strict=True):
        rows = training(record)[::-1]
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_yticks(range(len(rows)), [f"{row['framework']}: {row['name']}" for row in rows])
        axes.set_title(textwrap.fill(heading(record), _TITLE_LETTERS, break_on_hyphens=False))
        axes.set_xlabel(note, fontsize=_NOTE_POINTS)
        axes.grid(visible=False, axis="y")
        (_draw_dots if _is_wide(record) else _draw_bars)(axes, rows)
        for limit, line in _limits(record):
            axes.axvline(limit, color="black", linestyle=line, linewidth=1)
        if _is_wide(record):
            _make_logarithmic(axes, record)
    shown = {row["kind"] for record in records for row in training(record)}
    kinds = [kind for kind in _COLOURS if kind in shown]
    handles = [Patch(color=_COLOURS[kind], label=_TITLES[kind]) for kind in kinds]
    figure.legend(handles=handles, loc="outside upper center", ncols=3, frameon=False)
    figures.save(figure, stem)


def _is_wide(record: SuiteRecord) -> bool:
    rows = training(record)
    return median_ms(rows[-1]) > _MOST_TIMES_IN_BARS * median_ms(rows[0])


def _draw_bars(axes: Axes, rows: Sequence[SubjectTimes]) -> None:
    for position, row in enumerate(rows):
        axes.barh(position, median_ms(row), color=_COLOURS[row["kind"]])
        medians = row["unit_time_ms"]["medians_of_processes"]
        axes.plot(medians, [position] * len(medians), "k.", markersize=3)
    axes.set_xlim(0, None)


def _draw_dots(axes: Axes, rows: Sequence[SubjectTimes]) -> None:
    for position, row in enumerate(rows):
        times, colour = row["unit_time_ms"], _COLOURS[row["kind"]]
        ends = [times["first_quartile"], times["third_quartile"]]
        axes.plot(ends, [position] * 2, color="black", linewidth=0.8)
        axes.plot(times["median"], position, "o", color=colour, markeredgecolor="black")


def _make_logarithmic(axes: Axes, record: SuiteRecord) -> None:
    rows = training(record)
    ends = [median_ms(rows[0]), median_ms(rows[-1]), *(limit for limit, _ in _limits(record))]
    axes.set_xlim(min(ends) / 1.3, max(ends) * 1.3)
    log_ticks(axes, axes.xaxis, _PLOT_INCHES)


def _limits(record: SuiteRecord) -> list[tuple[float, str]]:
    """Return the time of a step's products in float32 and, if known, in bfloat16; with its line."""
    rates = (best_gflops(record, precision) for precision in ("float32", "mixed_bfloat16"))
    return [
        (1e3 * step_gflop(record) / rate, line)
        for rate, line in zip(rates, ("--", ":"), strict=True)
        if rate
    ]


def _note(record: SuiteRecord) -> str:
    """Return the label of the horizontal axis, and below it what makes the times doubtful."""
    dots = (
        "dots: medians; whiskers: quartiles"
        if _is_wide(record)
        else "bars: medians; dots: those of processes"
    )
    lines = [line for _, line in _limits(record)]
    named = ["dashed: products in float32 alone", "dotted: in bfloat16"][: len(lines)]
    texts = ["; ".join(["ms/step", dots, *named])]
    texts += [f"Doubtful: {doubt}" for doubt in record["doubts"]]
    # Of two lines none has a single word.
    widths = (-(-len(text) // -(-len(text) // _NOTE_LETTERS)) + 8 for text in texts)
    return "\n".join(textwrap.fill(*pair) for pair in zip(texts, widths, strict=True))
