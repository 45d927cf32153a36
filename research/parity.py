"""Shows whether all installed backends compute the same: `python -m research.parity [MODEL ...]`.

Run it once after adding a model. Each backend computes in a process of its own, on the CPU, from
equal weights and examples; `research.training.quantities` lists what is computed. Two arrays differ
by max|a - b| / max|b|, where b comes from the first backend. The largest difference among the
arrays of a quantity must not exceed the tolerance of the precision.
"""

import dataclasses
import json
import sys
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from research.models import registry
from research.processes import backends, command
from research.processes.child import ChildFailed, run_python
from research.processes.choices import choose
from research.training.quantities import Task, relative_difference

TOLERANCES = {"float32": 1e-5, "float64": 1e-10}


@dataclasses.dataclass(frozen=True)
class QuantityComparison:
    """How much the backends differ in one quantity of a model.

    Attributes:
      model: a key of `registry.MODELS`, or "any".
      quantity: a name from the list in `research.training.quantities`.
      differences: backend -> largest relative difference from the first backend.
      worst: the name of the array with the largest of them.
    """

    model: str
    quantity: str
    differences: Mapping[str, float]
    worst: str

    def agrees(self, tolerance: float) -> bool:
        """Return whether all differences are within the tolerance; NaN never is."""
        return all(difference <= tolerance for difference in self.differences.values())


def main(models: tuple[str, ...] = (), /, steps: int = Task.steps) -> None:
    """Compares what the installed backends compute, and exits with 1 if they differ.

    Args:
      models: the models to compare; by default all of them.
      steps: how many steps of training to compare in float64.
    """
    if steps < 1:
        raise ValueError(f"expected --steps of 1 or more, received {steps}; raise it")
    compared = backends.installed()
    if len(compared) < 2:
        raise ValueError(
            f"expected two or more installed backends to compare, received "
            f"{', '.join(compared) or 'none'}; install another: pip install jax, or torch"
        )
    missing = [name for name in backends.BACKENDS if name not in compared]
    if missing:
        print(f"left out, since not installed: {', '.join(missing)}")

    names = [choose("the model", name, registry.MODELS) for name in models or registry.MODELS]
    comparisons = []
    for precision in TOLERANCES:
        print(f"computing in {precision} on {', '.join(compared)}", flush=True)
        for comparison in compare(compute_on_all(Task(precision, names, steps))):
            comparisons.append((precision, comparison))
    print_table(compared, comparisons)
    failed = [
        f"{comparison.model} {comparison.quantity} in {precision}"
        for precision, comparison in comparisons
        if not comparison.agrees(TOLERANCES[precision])
    ]
    if failed:
        raise ValueError(
            f"expected all backends to compute the same, received differences above the tolerance "
            f"in {len(failed)} quantities, first {failed[0]}; begin with the uppermost FAIL"
        )


def compute_on_all(task: Task) -> dict[str, dict[str, np.ndarray]]:
    """Return backend -> what `compute` returns; all installed backends run at once."""
    compared = backends.installed()
    with ThreadPoolExecutor() as pool:
        computed = pool.map(lambda backend: compute(backend, task), compared)
        return dict(zip(compared, computed, strict=True))


def compute(backend: str, task: Task) -> dict[str, np.ndarray]:
    """Compute all quantities of a task on a backend, in a process of its own.

    Returns:
      "model|quantity|array" -> float[...].

    Raises:
      ValueError: the process failed; its traceback is printed to stderr.
    """
    settings = {
        "KERAS_BACKEND": backend,
        "JAX_ENABLE_X64": str(int(task.precision == "float64")),
        # On a GPU each library has its own rules for when it may round factors to 10 bits.
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "arrays.npz")
        as_json = json.dumps(dataclasses.asdict(task))
        try:
            run_python(["-m", "research.training.quantities", path, as_json], settings)
        except ChildFailed as error:
            print(error.output, file=sys.stderr)
            raise ValueError(
                f"expected the models to run on {backend} in {task.precision}, received "
                f"{error.reason!r}; its traceback is above"
            ) from None
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)


def compare(computed: Mapping[str, Mapping[str, np.ndarray]]) -> list[QuantityComparison]:
    """Compare each backend with the first.

    Args:
      computed: backend -> what `compute` returned.
    """
    (_, reference), *others = computed.items()
    keys_of: dict[tuple[str, str], list[str]] = {}
    for key in reference:
        model, quantity, _ = key.split("|")
        keys_of.setdefault((model, quantity), []).append(key)
    comparisons = []
    for (model, quantity), keys in keys_of.items():
        by_backend = {
            backend: {key: relative_difference(arrays[key], reference[key]) for key in keys}
            for backend, arrays in others
        }
        worst = max(keys, key=lambda key: max(by_key[key] for by_key in by_backend.values()))
        largest = {backend: max(by_key.values()) for backend, by_key in by_backend.items()}
        comparisons.append(QuantityComparison(model, quantity, largest, worst.split("|")[2]))
    return comparisons


def print_table(compared: list[str], comparisons: list[tuple[str, QuantityComparison]]) -> None:
    """Print a row for each quantity.

    Args:
      compared: the backends; all are compared with the first.
      comparisons: the quantities, each with its precision.
    """
    is_terminal = sys.stdout.isatty()
    table = Table("model", "precision", "quantity", box=box.ROUNDED if is_terminal else None)
    for backend in compared[1:]:
        table.add_column(f"{backend} to {compared[0]}", justify="right")
    for column in ("tolerance", "", "largest difference in"):
        table.add_column(column)
    for precision, comparison in comparisons:
        tolerance = TOLERANCES[precision]
        table.add_row(
            comparison.model,
            precision,
            comparison.quantity,
            *(f"{difference:.1e}" for difference in comparison.differences.values()),
            f"{tolerance:.0e}",
            "pass" if comparison.agrees(tolerance) else "FAIL",
            comparison.worst,
        )
    width = None if is_terminal else 120
    Console(highlight=False, markup=False, width=width).print(table)


if __name__ == "__main__":
    command.run(main)
