"""The variables of a model by path. Paths are the same on every backend."""

from typing import Any

import keras
import numpy as np
from keras import ops

from research.files.npz import Form


def weights(model: keras.Model) -> dict[str, Any]:
    """Return the model's variables by path."""
    return {variable.path: variable for variable in model.variables}


def forms(variables: dict[str, Any]) -> dict[str, Form]:
    """Return shape and type of variables."""
    return {
        name: Form(tuple(variable.shape), np.dtype(variable.dtype))
        for name, variable in variables.items()
    }


def assign(variables: dict[str, Any], values: dict[str, np.ndarray]) -> None:
    """Assign to each variable the value under its name, in the variable's own dtype.

    Raises:
      ValueError: the names or the shapes are not the same.
    """
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    received = {name: value.shape for name, value in values.items()}
    if expected != received:
        differing = sorted(
            name
            for name in expected.keys() | received.keys()
            if expected.get(name) != received.get(name)
        )
        name = differing[0]
        raise ValueError(
            f"expected {name} of shape {expected.get(name)}, received {received.get(name)}, and "
            f"{len(differing) - 1} more differ; use the options that the run was trained with"
        )
    for name, variable in variables.items():
        variable.assign(ops.convert_to_tensor(values[name], dtype=variable.dtype))


def weight_values(model: keras.Model) -> dict[str, np.ndarray]:
    """Return the values of the model's variables by path, as NumPy arrays."""
    return {path: ops.convert_to_numpy(v.value) for path, v in weights(model).items()}
