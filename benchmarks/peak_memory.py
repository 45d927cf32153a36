"""How much memory a block of code takes."""

import ctypes
import gc
import platform
import threading
from pathlib import Path

_SAMPLE_S = 0.02


class PeakMemory:
    """The largest private memory of this process within a `with`, in MB above that at its start.

    Pages of mapped files do not count, since the system takes them back whenever it needs room.
    This needs Linux.

    Example:
      with PeakMemory() as memory:
          work()
      memory.over_start_mb
    """

    def __enter__(self) -> "PeakMemory":
        self.start_mb = self.peak_mb = _private_mb()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        self.over_start_mb = self.peak_mb - self.start_mb

    def _watch(self) -> None:
        while not self._end.wait(_SAMPLE_S):
            self.peak_mb = max(self.peak_mb, _private_mb())


def release() -> None:
    """Return freed memory to the system, so that it does not count as taken."""
    gc.collect()
    if platform.libc_ver()[0] == "glibc":
        ctypes.CDLL(None).malloc_trim(0)


def _private_mb() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) / 1024
    raise OSError("expected RssAnon in /proc/self/status, received none; run this on Linux")
