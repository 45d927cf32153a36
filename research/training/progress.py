"""What a run prints while it trains."""

import sys
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

HEADER = (
    "epoch      loss  accuracy  validation: loss  accuracy   step time  time\n"
    "---------------------------------------------------------------------------"
)


class Display:
    """A line for each epoch and, in a terminal, a progress bar below.

    Example:
      with Display(epochs=20, steps=80) as display:
          display.step(0, 8, {"loss": 2.9, "accuracy": 0.1}, step_time_ms=50.0)

    Args:
      epochs: number of epochs of the run.
      steps: number of steps in an epoch.
    """

    def __init__(self, epochs: int, steps: int) -> None:
        self._epochs, self._steps = epochs, steps
        console = Console(file=sys.stdout, highlight=False)
        self._progress = Progress(
            TextColumn("epoch {task.fields[epoch]}/{task.fields[epochs]}"),
            BarColumn(bar_width=8),  # the whole line fits into 80 columns
            TextColumn("{task.fields[step]}/{task.fields[steps]} {task.fields[running]}"),
            TimeRemainingColumn(),
            TextColumn("left"),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task(
            "", total=epochs * steps, epoch=0, epochs=epochs, step=0, steps=steps, running=""
        )

    def __enter__(self) -> Self:
        self._progress.start()
        self._print(HEADER)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def step(self, epoch: int, step: int, running: dict[str, float], step_time_ms: float) -> None:
        """Move the bar.

        Args:
          epoch: number of the current epoch, from 0.
          step: steps done in it.
          running: its `loss` and `accuracy` so far.
          step_time_ms: mean time of a step of this epoch so far.
        """
        self._progress.update(
            self._task,
            completed=epoch * self._steps + step,
            epoch=epoch + 1,
            step=step,
            running=f"loss {running['loss']:.4f} acc {running['accuracy']:.4f} "
            f"{step_time_ms:.0f} ms/step",
        )

    def epoch(self, record: dict[str, Any]) -> None:
        """Print the line of a finished epoch, given its record in `history.jsonl`."""
        validation = f"{'none':>16}  {'':>8}"
        if "validation_loss" in record:
            validation = (
                f"{record['validation_loss']:>16.4f}  {record['validation_accuracy']:>8.4f}"
            )
        self._print(
            f"{record['epoch']:>3}/{self._epochs:<3} {record['loss']:>8.4f}  "
            f"{record['accuracy']:>8.4f}  {validation}  {record['step_time_ms']:>7.1f} ms  "
            f"{record['seconds']:>4.1f} s"
        )

    def _print(self, line: str) -> None:
        if self._progress.disable:
            print(line, flush=True)
        else:
            self._progress.console.print(line)
