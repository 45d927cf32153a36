"""The figure of step times."""

import textwrap
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.tables.step_times import (
    SuiteRecord,
    best_gflops,
    heading,
    median_ms,
    step_gflop,
    training,
)
from research.evaluation import figure_style, figures

_COLOURS = {"ours": figure_style.SKY_BLUE, "fit": figure_style.ORANGE, "peer": "0.75"}
_TITLE_LETTERS = 80  # of a line, which is as wide as a panel


@figure_style.styled()
def draw(records: Sequence[SuiteRecord], stem: Path) -> None:
    """Draw the step times, a panel for each record: bars are medians, dots those of processes.

    Args:
      records: their contents, each with a training step.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    heights = [0.8 + 0.14 * len(training(record)) for record in records]
    figure = Figure(figsize=(figure_style.TEXT_INCHES, sum(heights)), layout="constrained")
    panels = figure.subplots(len(records), 1, squeeze=False, height_ratios=heights)[:, 0]
    for axes, record in zip(panels, records, strict=True):
        rows = training(record)[::-1]
        for position, row in enumerate(rows):
            axes.barh(position, median_ms(row), color=_COLOURS[row["kind"]])
            medians = row["unit_time_ms"]["medians_of_processes"]
            axes.plot(medians, [position] * len(medians), "k.", markersize=3)
        axes.set_ylim(-0.7, len(rows) - 0.3)
        axes.set_yticks(range(len(rows)), [f"{row['framework']}: {row['name']}" for row in rows])
        limit_ms = 1e3 * step_gflop(record) / best_gflops(record)
        axes.axvline(limit_ms, color="black", linestyle="--", linewidth=1)
        axes.set(xlabel="ms/step; dots: processes; dashed: its arithmetic alone", xlim=(0, None))
        title = heading(record) + (" (doubtful)" if record["doubts"] else "")
        axes.set_title(textwrap.fill(title, _TITLE_LETTERS))
        axes.grid(visible=False, axis="y")
        if median_ms(rows[0]) > 10 * median_ms(rows[-1]):  # one slow row would hide all others
            axes.set_xscale("log")
            axes.set_xlim(limit_ms / 2, None)
    figures.save(figure, stem)
