"""Shows that all installed backends compute the same: `python -m research.parity [MODEL ...]`.

Run it once after adding a model. Each backend, in a process of its own and on the CPU, gets the
same weights, drawn by NumPy, and the same token ids and labels. The embeddings are trained, so that
they have gradients too. These quantities are compared:

    logits             of a batch, without dropout
    logits, dropout    of that batch as training sees it; a unit dropped differently would show
    loss               of a training step, so with dropout too
    gradients          of that step, for every weight
    rmsprop training   weights and slots after training for `--steps` steps, and the same for
    adam training      adam; in float64 only
    rmsprop, adam      weights and slots after three steps, from zero, with given gradients; they
                       are the same for any model

The difference of two arrays is max|a - b| / max|b|, where b is of the first backend; the largest
difference among a quantity's arrays counts. It may be 1e-5 in float32 and 1e-10 in float64.

In float32, an optimizer is compared by the steps it makes of *given* gradients, with sizes from
1e-12 to 1, and not by training. An optimizer divides by the size of the gradient, so where a
gradient is only rounding, 1e-9 here and -1e-9 there, the step is rounding as well, and not small:
Keras' Adam multiplies gradients far below 3e-6 by 316 in its first step, where RMSprop, with its
epsilon under the root, multiplies by 3. After one step of training from equal weights, float32
weights were seen to differ by 1.6e-5 with Adam and 5e-6 with RMSprop, where the gradients differ by
1e-6. In float64 rounding is a billion times smaller, and so training itself is compared.

Keras knows no true float64 but on TensorFlow, and not quite there, so the float64 processes change
two of its constants; see `_keep_float64` and `_set_constants`. Without that, PyTorch's matrix
products are rounded to float32, and that is enough for a ReLU or a pooling to choose otherwise
between two values that are nearly equal. From there on training parts for good.
"""

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from research.processes import backends, command
from research.processes.choices import choose

TOLERANCES = {"float32": 1e-5, "float64": 1e-10}


@dataclasses.dataclass(frozen=True)
class Row:
    """A quantity of a model, compared.

    Attributes:
      model: a key of `models.MODELS`, or "any".
      quantity: a name from the list above.
      differences: backend -> largest relative difference to the first backend.
      worst: the array with the largest of them.
    """

    model: str
    quantity: str
    differences: Mapping[str, float]
    worst: str

    def agrees(self, tolerance: float) -> bool:
        """Returns whether all differences are within the tolerance, which no NaN is."""
        return all(difference <= tolerance for difference in self.differences.values())


def main(models: tuple[str, ...] = (), /, steps: int = Size.steps) -> None:
    """Compares what the installed backends compute, and exits with 1 if it is not the same.

    Args:
      models: the models to compare; all, unless you name some.
      steps: how many steps of training to compare in float64.
    """
    if steps < 1:
        raise ValueError(f"expected --steps of 1 or more, received {steps}; raise it")
    compared = backends.installed()
    if len(compared) < 2:
        raise ValueError(
            f"expected two backends or more to compare, received {', '.join(compared) or 'none'}; "
            "install another: pip install jax, or torch"
        )
    left_out = [name for name in backends.BACKENDS if name not in compared]
    if left_out:
        print(f"left out, since not installed: {', '.join(left_out)}")

    backends.select()
    from research import models as known

    names = [choose("the model", name, known.MODELS) for name in models or known.MODELS]
    failed = []
    is_terminal = sys.stdout.isatty()
    table = Table("model", "precision", "quantity", box=box.ROUNDED if is_terminal else None)
    for backend in compared[1:]:
        table.add_column(f"{backend} to {compared[0]}", justify="right")
    for column in ("tolerance", "", "largest difference in"):
        table.add_column(column)
    for precision, tolerance in TOLERANCES.items():
        print(f"computing in {precision} on {', '.join(compared)}", flush=True)
        for row in compare(compute_on_all(precision, names, Size(steps))):
            verdict = "pass" if row.agrees(tolerance) else "FAIL"
            if verdict == "FAIL":
                failed.append(f"{row.model} {row.quantity} in {precision}")
            differences = [f"{difference:.1e}" for difference in row.differences.values()]
            table.add_row(
                row.model,
                precision,
                row.quantity,
                *differences,
                f"{tolerance:.0e}",
                verdict,
                row.worst,
            )
    width = None if is_terminal else 120
    Console(highlight=False, markup=False, width=width).print(table)
    if failed:
        raise ValueError(
            f"expected all backends to compute the same, received differences above the tolerance "
            f"in {len(failed)} quantities, first {failed[0]}; begin with the uppermost FAIL"
        )


def compute_on_all(
    precision: str, names: Sequence[str], size: Size
) -> dict[str, dict[str, np.ndarray]]:
    """Returns backend -> what `compute` returns, for all installed backends at once."""
    compared = backends.installed()
    with ThreadPoolExecutor() as pool:
        computed = pool.map(lambda backend: compute(backend, precision, names, size), compared)
        return dict(zip(compared, computed, strict=True))


def compute(
    backend: str,
    precision: str,
    names: Sequence[str],
    size: Size,
    epsilon: float | None = None,
) -> dict[str, np.ndarray]:
    """Computes all quantities on a backend, in a process of its own.

    Args:
      backend: an installed one.
      precision: a key of `TOLERANCES`.
      names: keys of `models.MODELS`.
      size: how much.
      epsilon: for the optimizers instead of Keras' own, to see that a wrong one is found.

    Returns:
      "model|quantity|array" -> float[...].

    Raises:
      ValueError: it failed; what the process wrote to stderr is printed.
    """
    task = (precision, names, dataclasses.asdict(size), epsilon)
    settings = {
        "KERAS_BACKEND": backend,
        "JAX_ENABLE_X64": str(int(precision == "float64")),
        # On a GPU each library has its own rules for when it may round factors to 10 bits.
        "CUDA_VISIBLE_DEVICES": "",
        "JAX_PLATFORMS": "cpu",
    }
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "arrays.npz")
        child = subprocess.run(
            [sys.executable, "-c", _CHILD, json.dumps(task), path],
            env=os.environ | settings,
            stderr=subprocess.PIPE,
            text=True,
        )
        if child.returncode != 0:
            print(child.stderr, file=sys.stderr)
            raise ValueError(
                f"expected the models to run on {backend} in {precision}, received "
                f"{child.stderr.strip().splitlines()[-1:]}; its traceback is above"
            )
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)


_CHILD = """
import json, sys
from pathlib import Path
from research import parity
precision, names, size, epsilon = json.loads(sys.argv[1])
parity.write_quantities(Path(sys.argv[2]), precision, names, parity.Size(**size), epsilon)
"""


def compare(arrays: Mapping[str, Mapping[str, np.ndarray]]) -> list[Row]:
    """Compares each backend with the first.

    Args:
      arrays: backend -> what `compute` returned.
    """
    (_, reference), *others = arrays.items()
    members: dict[tuple[str, str], list[str]] = {}
    for key in reference:
        model, quantity, _ = key.split("|")
        members.setdefault((model, quantity), []).append(key)
    rows = []
    for (model, quantity), keys in members.items():
        found = {
            backend: {key: relative_difference(values[key], reference[key]) for key in keys}
            for backend, values in others
        }
        worst = max(keys, key=lambda key: max(by_key[key] for by_key in found.values()))
        largest = {backend: max(by_key.values()) for backend, by_key in found.items()}
        rows.append(Row(model, quantity, largest, worst.split("|")[2]))
    return rows


def relative_difference(value: np.ndarray, reference: np.ndarray) -> float:
    """Returns max|value - reference| / max|reference|.

    It is 0 where both are zero throughout, and infinite where one holds a NaN or an infinity.

    Args:
      value: float[...].
      reference: float[...], of the same shape.
    """
    if not (np.isfinite(value).all() and np.isfinite(reference).all()):
        return float("inf")
    difference = np.abs(value.astype("float64") - reference).max()
    if difference == 0:
        return 0.0
    largest = np.abs(reference).max()
    return float(difference / largest) if largest else float("inf")


if __name__ == "__main__":
    command.run(main)
