"""Which backend a process runs on, decided before Keras is imported.

Keras reads `KERAS_BACKEND` once, when it is imported, and a process has exactly one backend. So
every command calls `select` first and imports Keras afterwards.
"""

import difflib
import importlib.util
import os

BACKENDS = ("tensorflow", "jax", "torch")


def installed() -> list[str]:
    """Return the installed backends, the preferred one first."""
    return [name for name in BACKENDS if importlib.util.find_spec(name)]


def select() -> str:
    """Choose the backend of this process, and return its name.

    It is the one that `KERAS_BACKEND` names, or the first that is installed. Keras's own file
    `keras.json` does not decide: Keras writes the backend that ran first into it.

    Raises:
      ValueError: `KERAS_BACKEND` names no installed backend, or no backend is installed.
    """
    available = installed()
    wanted = os.environ.get("KERAS_BACKEND") or (available or [""])[0]
    if not available:
        missing = wanted if wanted in BACKENDS else BACKENDS[0]
        raise ValueError(
            f"expected one of {', '.join(BACKENDS)} to be installed, found none of them; "
            f"pip install {missing}"
        )
    if wanted not in available:
        closest = (difflib.get_close_matches(wanted, available, n=1) or available)[0]
        raise ValueError(
            f"expected KERAS_BACKEND to be an installed backend ({', '.join(available)}), "
            f"received {wanted!r}; set KERAS_BACKEND={closest}"
            + (f", or pip install {wanted}" if wanted in BACKENDS else "")
        )
    os.environ["KERAS_BACKEND"] = wanted
    # TensorFlow logs the lack of a GPU as an error. Errors that matter are also raised.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # Otherwise MKL, which PyTorch uses on Intel's processors, adds in another order each time.
    os.environ.setdefault("MKL_CBWR", "AUTO")
    return wanted
