"""Which backend a process runs on, decided before Keras is imported.

Keras reads `KERAS_BACKEND` once, when it is imported, and a process has exactly one backend. So
every command calls `select` first and imports Keras after it.
"""

import difflib
import importlib.util
import os

BACKENDS = ("tensorflow", "jax", "torch")


def installed() -> list[str]:
    """Returns the backends that can be imported here, in the order in which they are preferred."""
    return [name for name in BACKENDS if importlib.util.find_spec(name)]


def select() -> str:
    """Settles the backend of this process and returns its name.

    It is the one that `KERAS_BACKEND` names, or else the first that is installed. Keras' own
    `keras.json` is not asked: whichever backend ran first in an account would be written there.

    Raises:
      ValueError: `KERAS_BACKEND` is no backend, or one that is not installed, or none is.
    """
    available = installed()
    wanted = os.environ.get("KERAS_BACKEND") or (available[0] if available else "none")
    if wanted not in available:
        close = difflib.get_close_matches(wanted, available, n=1) or available[:1]
        advice = f"set KERAS_BACKEND={close[0]}" if close else "pip install tensorflow"
        raise ValueError(
            f"expected KERAS_BACKEND to be an installed backend "
            f"({', '.join(available) or 'none is'}), received {wanted!r}; {advice}"
            + (f", or pip install {wanted}" if wanted in BACKENDS else "")
        )
    os.environ["KERAS_BACKEND"] = wanted
    # TensorFlow reports the lack of a GPU as an error, on stderr; what really fails also raises.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return wanted
