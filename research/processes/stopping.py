"""Ctrl-C and SIGTERM as a request to save and stop."""

import signal
import sys
from types import FrameType


class StopRequest:
    """Records whether a person or a scheduler asked this process to stop.

    The first signal is only recorded, so that the work can be saved. The second ends the process.

    Example:
      stop = StopRequest()
      while not stop():
          work()

    Attributes:
      signal: the number of the signal that was received, or None.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        signal.signal(signal.SIGINT, self._receive)
        signal.signal(signal.SIGTERM, self._receive)

    def __call__(self) -> bool:
        """Return whether a signal was received."""
        return self.signal is not None

    def _receive(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        print("\nsaving; press Ctrl-C again to leave at once", file=sys.stderr)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
