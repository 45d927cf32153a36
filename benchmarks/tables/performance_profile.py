"""The performance profile: how often each way to train is nearly the quickest.

Dolan and More, "Benchmarking optimization software with performance profiles", Mathematical
Programming 91, 2002. https://doi.org/10.1007/s101070100263
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes

from benchmarks.tables.backend_looks import COLOURS, LINES, dots, key, log_ticks, stacked
from benchmarks.tables.comparisons import KINDS, Machine, backends
from benchmarks.tables.step_times import median_ms
from research.evaluation import figure_style, figures
from research.evaluation.figure_style import GREY

_ROW_INCHES, _PLOT_INCHES = 2.6, 1.9
_ROOM = 1.03  # to the right of the last step
_TICKS = (1, 2, 1.5, 1.2, 3, 5, 1.1, 1.3, 10, 20, 50, 100, 1.7, 1.4, 2.5, 4, 7)

Way = tuple[str, str]
"""A backend, and a key of `KINDS`."""


def profile(machine: Machine) -> dict[Way, np.ndarray]:
    """Return for each way to train its ratios to the quickest way, float[sizes], in rising order.

    Where a way was not measured, its ratio is infinite, as that of a solver that fails.
    """
    ratios: dict[Way, list[float]] = {}
    ways = {
        (name, kind) for one in machine.comparisons for kind in KINDS for name in one.rows[kind]
    }
    for one in machine.comparisons:
        times = {
            (name, kind): median_ms(row) for kind in KINDS for name, row in one.rows[kind].items()
        }
        best = min(times.values())
        for way in ways:
            ratios.setdefault(way, []).append(times.get(way, np.inf) / best)
    return {way: np.sort(ratios[way]) for way in sorted(ways)}


@figure_style.styled()
def draw(machines: Sequence[Machine], stem: Path) -> None:
    """Draw the share of sizes at which each way takes at most a factor of the quickest's time.

    Ours, `model.fit` and native code have a panel each, with the others in grey.

    Args:
      machines: a row of panels for each.
      stem: the path without its suffix; `.svg` and `.png` are written.
    """
    titles = [machine.name for machine in machines]
    figure, parts = stacked(titles, [_ROW_INCHES] * len(machines))
    for part, machine in zip(parts, machines, strict=True):
        ratios = profile(machine)
        end = _ROOM * max(float(r[np.isfinite(r)].max()) for r in ratios.values())
        kinds = [kind for kind in KINDS if any(way[1] == kind for way in ratios)]
        panels = list(part.subplots(1, len(kinds), sharey=True, squeeze=False).flat)
        for axes, kind in zip(panels, kinds, strict=True):
            for way in sorted(ratios, key=lambda way: way[1] == kind):  # those of the panel on top
                _draw_way(axes, way, ratios[way], end, is_grey=way[1] != kind)
            axes.set(xlim=(1, end), ylim=(-0.02, 1.04), title=KINDS[kind])
            axes.set_xlabel("times the time of the quickest")
            axes.yaxis.set_major_formatter("{x:.0%}")
            log_ticks(axes, axes.xaxis, _PLOT_INCHES, _TICKS)
        panels[0].set_ylabel(f"share of {len(machine.comparisons)} sizes")
        key(part, backends(machine), {}, joined=True)
    figures.save(figure, stem)


def _draw_way(axes: Axes, way: Way, ratios: np.ndarray, end: float, is_grey: bool) -> None:
    """Draw the steps of a way, with a marker where each begins."""
    backend, kind = way
    known, steps = np.unique(ratios[np.isfinite(ratios)], return_counts=True)
    shares = np.cumsum(steps) / len(ratios)
    x, y = [1.0, *known, end], [0.0, *shares, shares[-1]]
    colour = "0.85" if is_grey else COLOURS.get(backend, GREY)
    axes.plot(x, y, color=colour, linestyle=LINES[kind], drawstyle="steps-post")
    if not is_grey:
        axes.plot(known, shares, linestyle="none", clip_on=False, **dots(backend, kind))  # type: ignore[arg-type]
