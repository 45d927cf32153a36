"""What our code is measured against: the network without Keras, and the code of the tutorial."""

import importlib
from typing import Any


def native(backend: str) -> Any:
    """Return the module of this package with the native `Peer` for a backend, and its `MODES`."""
    return importlib.import_module(f"{__name__}.{backend}")
