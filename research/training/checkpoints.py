"""Checkpoints of a run, so that an interruption loses no more than an epoch."""

import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from research.files import atomic
from research.training import run_folder


@dataclass
class Position:
    """Where a run stands.

    Attributes:
      epoch: epochs finished.
      step: steps done in the epoch after those.
      seconds: time spent in that epoch.
      best_epoch: the epoch whose weights are kept as `best`, from 1; None if none is finished.
      history: a record for each finished epoch.
    """

    epoch: int = 0
    step: int = 0
    seconds: float = 0.0
    best_epoch: int | None = None
    history: list[dict[str, Any]] = field(default_factory=list)


def save(
    run: Path,
    position: Position,
    last: Mapping[str, np.ndarray],
    best: Mapping[str, np.ndarray] | None,
) -> None:
    """Save a checkpoint. Until it is complete, the one before it remains.

    The arrays are written to files named after their digest, and read back. Then `index.json`,
    which names the current files, is replaced. The old files are removed last.

    Args:
      run: the run folder.
      position: where the run stands.
      last: the state that training resumes from, by name.
      best: the best weights so far, by name; None keeps those of an earlier epoch.

    Raises:
      OSError: a file cannot be written, or does not read back as it was written.
    """
    folder = run / "checkpoint"
    files = {"last": _save_arrays(folder, last)}
    if best is not None:
        files["best"] = _save_arrays(folder, best)
    elif exists(run):
        files |= {k: v for k, v in _read_index(run)["files"].items() if k == "best"}
    content = {"position": asdict(position), "files": files}
    atomic.write_json(folder / "index.json", {**content, "sha256": _digest(content)})
    for path in folder.iterdir():
        if path.name not in {"index.json", *files.values()}:
            path.unlink()


def exists(run: Path) -> bool:
    """Return whether a run has a checkpoint."""
    return (run / "checkpoint" / "index.json").exists()


def load_position(run: Path) -> Position:
    """Return the position of the last checkpoint.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged.
    """
    return Position(**_read_index(run)["position"])


def load_arrays(run: Path, which: str) -> dict[str, np.ndarray]:
    """Return the arrays of a checkpoint by name.

    Args:
      run: the run folder.
      which: "last" or "best".

    Raises:
      FileNotFoundError: there is no such checkpoint.
      ValueError: it is damaged.
    """
    index = _read_index(run)
    if index["files"].get(which) is None:
        raise FileNotFoundError(
            f"expected a checkpoint {which!r} in {run}, received a run that has not finished an "
            f"epoch; continue it with: python -m research.train --run-dir {run} --resume"
        )
    path = run / "checkpoint" / index["files"][which]
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        content = b""
    received = hashlib.sha256(content).hexdigest()
    if received != path.stem:
        raise ValueError(
            f"expected SHA-256 {path.stem} of the checkpoint {path}, received {received}; "
            "it is damaged: restore it from a copy, or train again"
        )
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        return dict(arrays)


def _save_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> str:
    content = atomic.npz(arrays)
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{digest}.npz"
    atomic.write(path, content)
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise OSError(
            f"expected to read from {path} what was written, received other bytes; check the disk"
        )
    return path.name


def _read_index(run: Path) -> dict[str, Any]:
    path = run / "checkpoint" / "index.json"
    run_folder.read_json(run / "config.json")  # first: is this a run folder at all?
    index: dict[str, Any] = run_folder.read_json(path)
    content = {name: index.get(name) for name in ("position", "files")}
    if index.get("sha256") != _digest(content):
        raise ValueError(
            f"expected {path} to match the digest inside it, received a damaged file; "
            "restore it from a copy, or train again"
        )
    return index


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
