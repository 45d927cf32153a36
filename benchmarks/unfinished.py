"""What an interrupted run of the suite has measured, so that the next one goes on from there."""

from pathlib import Path
from typing import Any

from research.files import atomic

Results = list[dict[str, Any]]
"""What pytest-benchmark reports of the subjects of a process."""


class Unfinished:
    """The results of the processes that have ended, in a file.

    Args:
      path: of the file.
      plan: what the times depend on, as JSON values: options, commit, machine, versions and the
        order of the processes. Results of another plan are not used.
    """

    def __init__(self, path: Path, plan: dict[str, Any]) -> None:
        self.path, self._plan = path, plan
        self.results: dict[str, Results] = {}
        """By the number of the process, counted from 1."""
        self.load_before: list[float | None] = []
        """The load average when each part of the run began."""
        if path.exists():
            content = atomic.read_json(path)
            if content["plan"] == plan:
                self.results, self.load_before = content["results"], content["load_before"]

    def begin(self, load: float | None) -> None:
        """Note the load average with which this part of the run begins."""
        self.load_before.append(load)

    def add(self, number: int, results: Results) -> None:
        """Keep the results of a process."""
        self.results[str(number)] = results
        content = {
            "plan": self._plan,
            "load_before": self.load_before,
            "results": self.results,
        }
        atomic.write_json(self.path, content)

    def remove(self) -> None:
        """Forget everything, once the record is written."""
        self.path.unlink(missing_ok=True)
