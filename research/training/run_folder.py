"""Run folders: the inputs of a run, its history and its checkpoint.

    config.json        the options
    data.json          classes, digests, counts, coverage of the vectors
    environment.json   versions, machine, commit and command of each process that worked on the run
    vocabulary.txt     the words
    history.jsonl      a line per epoch
    checkpoint/        index.json and the arrays it names: `last` to resume from, `best` to use

Each file is written under a temporary name and then renamed, so it is complete or absent.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from research.data.tokens import vocabulary_file
from research.files import atomic
from research.processes import provenance


def new_folder(experiment: str, backend: str, seed: int) -> Path:
    """Return a free folder: `runs/<experiment>/<backend>-seed<k>`, or the same with -2, -3, ..."""
    folder = Path("runs") / experiment / f"{backend}-seed{seed}"
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def check_free(run: Path, resume: bool) -> bool:
    """Check that a run may write into its folder, and return whether it has begun there.

    Raises:
      ValueError: the folder holds other files, or a run although `resume` is False.
    """
    if (run / "config.json").exists():
        if not resume:
            raise ValueError(
                f"expected a new run folder, received {run}, which already holds a run; "
                "give another --run-dir, or continue that run with --resume"
            )
        return True
    if run.is_file() or (run.exists() and any(not p.name.startswith(".") for p in run.iterdir())):
        raise ValueError(
            f"expected a run folder or a new folder, received {run}, which holds something else; "
            "give another --run-dir"
        )
    return False


def write_inputs(
    run: Path, options: Mapping[str, Any], data: Mapping[str, Any], vocabulary: Sequence[str]
) -> None:
    """Write the inputs of a run: `config.json`, `data.json` and `vocabulary.txt`."""
    atomic.write_json(run / "config.json", options)
    atomic.write_json(run / "data.json", data)
    atomic.write(run / "vocabulary.txt", vocabulary_file(vocabulary))


def check_same_data(run: Path, data: Mapping[str, Any]) -> None:
    """Check that a resumed run has the same data as when it was started.

    Raises:
      ValueError: an entry of `data.json` differs.
    """
    if (run / "data.json").exists():
        before = read_json(run / "data.json")
        differing = [name for name in data if before.get(name) != data[name]]
        if differing:
            raise ValueError(
                f"expected the data that {run} was started with, received other "
                f"{', '.join(differing)}; restore the data, or start a new run"
            )


def write_history(run: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write `history.jsonl`, a line for each epoch."""
    lines = "".join(json.dumps(epoch, allow_nan=False) + "\n" for epoch in history)
    atomic.write(run / "history.jsonl", lines.encode())


def log_environment(run: Path, backend: str, device: str, epoch: int, step: int) -> None:
    """Add this process to `environment.json`, with all that its results may depend on.

    Args:
      run: the run folder.
      backend: the name of the backend.
      device: the kind and name of the device that it computes on.
      epoch: epochs finished when this process took over.
      step: steps done in the epoch after those.
    """
    path = run / "environment.json"
    process = provenance.environment(backend, device, provenance.NETWORK_PACKAGES)
    process["from"] = {"epoch": epoch, "step": step}
    atomic.write_json(path, [*(read_json(path) if path.exists() else []), process])


def read_json(path: Path) -> Any:
    """Read a JSON file of a run folder.

    Raises:
      FileNotFoundError: it does not exist, so its folder is not a run folder.
      ValueError: it is not JSON.
    """
    try:
        return json.loads(read_bytes(path))
    except ValueError as error:
        raise ValueError(
            f"expected JSON in {path}, received something else ({error}); "
            "restore the file, or train again"
        ) from None


def read_bytes(path: Path) -> bytes:
    """Read a file of a run folder.

    Raises:
      FileNotFoundError: it does not exist, so its folder is not a run folder.
    """
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"expected a run folder with {path.name} in it, received {path.parent}; "
            "give the folder that `python -m research.train` printed as its last line"
        ) from None
