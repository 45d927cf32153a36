"""The figures of several sizes, and what each shows. Each is drawn once there are rows for it."""

from collections.abc import Sequence
from pathlib import Path

from benchmarks.tables import performance_profile, roofline, scaling_figure
from benchmarks.tables.comparisons import Machine
from benchmarks.tables.scaling_figure import MEMORY, SPEED

_LINES = "our epoch solid, model.fit dashed, native code dotted"


def draw(machines: Sequence[Machine], folder: Path) -> dict[str, str]:
    """Draw what can be drawn, as SVG and PNG; return what each figure shows, by its name.

    Args:
      machines: as `comparisons.by_machine` returns them.
      folder: that of the figures.
    """
    shown = {}
    compared = scaling_figure.drawable(machines, SPEED)
    if compared:
        scaling_figure.draw(compared, SPEED, folder / "scaling")
        shown["scaling"] = f"Texts a second at each size: {_LINES}"
    with_memory = scaling_figure.drawable(machines, MEMORY)
    if with_memory:
        scaling_figure.draw(with_memory, MEMORY, folder / "memory")
        shown["memory"] = f"Peak of private memory at each size: {_LINES}"
    if compared:
        performance_profile.draw(compared, folder / "performance_profile")
        shown["performance_profile"] = (
            "Share of the sizes at which each way to train takes at most a factor of the time of "
            "the quickest of all ways; what was not measured counts as never"
        )
    with_limits = roofline.drawable(machines)
    if with_limits:
        roofline.draw(with_limits, folder / "roofline")
        shown["roofline"] = (
            "GFLOP/s of each row against the arithmetic for each byte that a step must at least "
            "move, below the limits of memory and of matrix products; larger dots: bfloat16"
        )
    return shown
