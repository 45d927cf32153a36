"""The roofline: how near rows come to what the machine's memory and its products allow.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", Communications of the ACM 52(4), 2009. https://doi.org/10.1145/1498765.1498785
"""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes

from benchmarks.tables.backend_looks import dots, key, log_ticks, stacked
from benchmarks.tables.comparisons import Machine, own_sizes
from benchmarks.tables.step_times import SubjectTimes, best_gflops, median_ms, training
from research.evaluation import figure_style, figures
from research.evaluation.figure_style import BLACK, GREY, Label, label_points

_PANEL_INCHES, _PLOT_INCHES = 4.0, (6.0, 2.7)
_KINDS = {"ours": "ours", "fit": "model.fit", "peer": "native"}
_ROOM = 1.6  # around what is drawn, as a factor
_SIZE_OF_BFLOAT16 = 6.0


class Limits(NamedTuple):
    """What a machine allows.

    Attributes:
      memory_gb_s: its copy bandwidth.
      gflops: the best rate of products, by the title of their precision.
    """

    memory_gb_s: float
    gflops: dict[str, float]


class Dot(NamedTuple):
    """A row: its place, its look, and what its sizes are called."""

    flop_per_byte: float
    gflops: float
    backend: str
    kind: str
    is_bfloat16: bool
    sizes: str


def limits(machine: Machine) -> Limits | None:
    """Return the limits of a machine, the best of its records; None if one lacks in all."""
    records = machine.records.values()
    bandwidths = [float(r["machine"].get("memory_gb_s") or 0) for r in records]
    rates = {}
    for title, precision in (("float32", "float32"), ("bfloat16", "mixed_bfloat16")):
        found = [rate for record in records if (rate := best_gflops(record, precision))]
        if found:
            rates[title] = max(found)
    return Limits(max(bandwidths), rates) if max(bandwidths) and "float32" in rates else None


def dots_of(machine: Machine) -> list[Dot]:
    """Return the rows whose traffic is known, with the threads that the limits were measured with.

    They are all training rows of each record, and the rows at sizes that differ from the base in
    one thing.
    """
    found = []
    for record in machine.records.values():
        title = own_sizes(record).title(machine.base)
        found += [_dot(row, title) for row in training(record) if row.get("gbyte_per_round")]
    most_threads = max(record["machine"]["threads"] for record in machine.records.values())
    for one in machine.comparisons:
        is_base, is_alone = one.sizes == machine.base, "interaction" not in one.axes
        if is_base or not is_alone or one.sizes.threads != most_threads:
            continue
        title = one.sizes.title(machine.base)
        found += [
            _dot(row, title)
            for of_kind in one.rows.values()
            for row in of_kind.values()
            if row.get("gbyte_per_round") and "point" in row
        ]
    return found


def _dot(row: SubjectTimes, sizes: str) -> Dot:
    gflop = float(row["gflop_per_round"])
    return Dot(
        gflop / float(row["gbyte_per_round"]),
        gflop / row["units_per_round"] / (median_ms(row) / 1e3),
        row["backend"],
        row["kind"],
        row["precision"] == "mixed_bfloat16",
        sizes,
    )


def drawable(machines: Sequence[Machine]) -> list[Machine]:
    """Return the machines whose limits are known, with a row whose traffic is."""
    return [machine for machine in machines if limits(machine) and dots_of(machine)]


@figure_style.styled()
def draw(machines: Sequence[Machine], stem: Path) -> None:
    """Draw GFLOP/s against FLOP for each byte, below the limits of the machine.

    Args:
      machines: as `drawable` returns them.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    titles = [machine.name for machine in machines]
    figure, parts = stacked(titles, [_PANEL_INCHES] * len(machines))
    panels = []
    for part, machine in zip(parts, machines, strict=True):
        axes, found = part.subplots(), dots_of(machine)
        axes.set_xlabel("FLOP for each byte that a step must at least move")
        axes.set_ylabel("GFLOP/s")
        for dot in found:
            look = dots(dot.backend, dot.kind)
            size = _SIZE_OF_BFLOAT16 if dot.is_bfloat16 else 4
            axes.plot(dot.flop_per_byte, dot.gflops, **look, markersize=size)  # type: ignore[arg-type]
        roofs = _draw_limits(axes, limits(machine), found)
        kinds = {
            kind: title for kind, title in _KINDS.items() if any(dot.kind == kind for dot in found)
        }
        key(part, sorted({dot.backend for dot in found}), kinds, joined=False)
        panels.append((axes, [*roofs, *_labels(found)]))
    for axes, labels in panels:
        label_points(axes, labels)
    figures.save(figure, stem)


def _draw_limits(axes: Axes, allowed: Limits | None, found: Sequence[Dot]) -> list[Label]:
    """Draw the limits as lines, and scale both axes; return the labels of the lines."""
    if allowed is None:
        return []
    x, y = [dot.flop_per_byte for dot in found], [dot.gflops for dot in found]
    roof = max(allowed.gflops.values())
    ridge = roof / allowed.memory_gb_s
    left, right = min(*x, ridge) / _ROOM, max(*x, ridge) * _ROOM
    axes.set(xlim=(left, right), ylim=(min(y) / _ROOM, roof * _ROOM))
    axes.plot([left, ridge], [left * allowed.memory_gb_s, roof], color=BLACK, linewidth=1)
    bottom = max(left, min(y) / allowed.memory_gb_s)
    middle = float(np.sqrt(bottom * ridge))
    text = f"memory: {allowed.memory_gb_s:,.0f} GB/s"
    labels = [Label(text, middle, middle * allowed.memory_gb_s, BLACK)]
    for (title, rate), line in zip(allowed.gflops.items(), ("--", ":"), strict=False):
        start = rate / allowed.memory_gb_s
        axes.plot([start, right], [rate] * 2, color=BLACK, linestyle=line, linewidth=1)
        place = float(np.sqrt(start * right))
        labels.append(Label(f"products in {title}: {rate:,.0f} GFLOP/s", place, rate, BLACK))
    log_ticks(axes, axes.xaxis, _PLOT_INCHES[0])
    log_ticks(axes, axes.yaxis, _PLOT_INCHES[1])
    return labels


def _labels(found: Sequence[Dot]) -> list[Label]:
    """Return a label for each size, and for its rows in bfloat16, at the quickest row."""
    groups: dict[str, list[Dot]] = {}
    for dot in found:
        groups.setdefault(dot.sizes + ", bfloat16" * dot.is_bfloat16, []).append(dot)
    quickest = {title: max(group, key=lambda dot: dot.gflops) for title, group in groups.items()}
    return [Label(title, dot.flop_per_byte, dot.gflops, GREY) for title, dot in quickest.items()]
