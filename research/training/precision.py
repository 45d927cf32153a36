"""Whether computing in bfloat16 pays on this device: a convolution is timed in both precisions.

Where a processor has no bfloat16 products, libraries emulate them at a tenth of the pace or less.
Which library does so on which processor changes with their versions, so it is measured.
"""

import time

import numpy as np
from keras import ops

SLOWER = 1.5
"""There is a warning if bfloat16 takes this many times as long as float32."""

_EXAMPLES, _SEQUENCE_LENGTH, _WINDOW, _FILTERS = 8, 200, 5, 128
_REPETITIONS = 5
_MOST_MS = 300  # after which there are no more repetitions


def warning(embedding_dim: int) -> str | None:
    """Return a line about bfloat16 if it is slower than float32 here, and otherwise None.

    It takes a tenth of a second, and a second where compiling or bfloat16 is slow.

    Args:
      embedding_dim: of the word vectors.
    """
    float32_ms = convolution_ms("float32", embedding_dim)
    bfloat16_ms = convolution_ms("bfloat16", embedding_dim)
    if bfloat16_ms < SLOWER * float32_ms:
        return None
    return (
        f"a convolution takes {bfloat16_ms / float32_ms:.1f} times as long in bfloat16 as in "
        f"float32 here ({bfloat16_ms:.1f} and {float32_ms:.1f} ms); --precision float32 is quicker"
    )


def convolution_ms(dtype: str, embedding_dim: int) -> float:
    """Return the time of a convolution like the first of the tutorial's network, in milliseconds.

    Its input is dtype[8, 200, embedding_dim], and it has 128 filters over windows of five words. It
    is the quickest of up to five, since other work on the machine only makes them slower.

    Args:
      dtype: "float32" or "bfloat16".
      embedding_dim: channels of the input.
    """
    generator = np.random.default_rng(0)
    shapes = (_EXAMPLES, _SEQUENCE_LENGTH, embedding_dim), (_WINDOW, embedding_dim, _FILTERS)
    inputs, kernel = (ops.cast(generator.normal(size=shape), dtype) for shape in shapes)

    def timed_ms() -> float:
        started = time.perf_counter()
        float(ops.conv(inputs, kernel)[0, 0, 0])  # waits for the device
        return 1000 * (time.perf_counter() - started)

    timed_ms()  # compiles
    times_ms = [timed_ms()]
    while len(times_ms) < _REPETITIONS and sum(times_ms) < _MOST_MS:
        times_ms.append(timed_ms())
    return min(times_ms)
