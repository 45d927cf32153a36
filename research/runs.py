"""Run folders: what a run was given, what it did, and where it stands.

    config.json        the options
    data.json          classes, digests, counts, coverage of the vectors
    environment.json   versions, machine, commit and command, each time the run was started
    vocabulary.txt     the words
    history.jsonl      a line per epoch
    checkpoint/        index.json, and the arrays it names: `last` to go on from, `best` to use

Every file is written beside its place and then renamed into it, so that a file is whole or absent.
"""

import contextlib
import datetime
import hashlib
import importlib.metadata
import io
import json
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_PACKAGES = ("keras", "tensorflow", "jax", "jaxlib", "torch", "numpy")
_SETTINGS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_ENABLE_ONEDNN_OPTS", "XLA_FLAGS")


def new_folder(experiment: str, backend: str, seed: int) -> Path:
    """Returns the first of `runs/<experiment>/<backend>-seed<k>`, `...-2`, `...-3` that is free."""
    folder = Path("runs") / experiment / f"{backend}-seed{seed}"
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file atomically."""
    write(path, (json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode())


def write(path: Path, content: bytes) -> None:
    """Writes a file atomically and durably, and its folder if there is none.

    Raises:
      OSError: it can't be written, for want of space or permission; what was there stays.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise OSError(
            f"expected to write {path}, received {error.strerror!r} from the file system; "
            "make room there or choose another place, then repeat the command"
        ) from error


def read_json(path: Path) -> Any:
    """Reads a JSON file of a run folder.

    Raises:
      FileNotFoundError: it is not there, so its folder is no run.
      ValueError: it is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"expected a run folder with {path.name} in it, received {path.parent}; "
            "give the folder that `python -m research.train` printed as its last line"
        ) from None
    except ValueError as error:
        raise ValueError(
            f"expected JSON in {path}, received something else ({error}); "
            "restore the file or train again"
        ) from None


def check_free(run: Path, resume: bool) -> bool:
    """Checks that a run may write into its folder, and returns whether it has begun there.

    Raises:
      ValueError: there is a run, and it is not to be resumed; or something that is no run.
    """
    if (run / "config.json").exists():
        if not resume:
            raise ValueError(
                f"expected a new run folder, received {run}, which holds a run; "
                "give another --run-dir, or go on with that run: --resume"
            )
        return True
    if run.is_file() or (run.exists() and any(not p.name.startswith(".") for p in run.iterdir())):
        raise ValueError(
            f"expected a run folder, or a place for one, received {run}, which is something else; "
            "give another --run-dir"
        )
    return False


def check_same_data(run: Path, data: Mapping[str, Any]) -> None:
    """Checks that a run that goes on finds the data that it was begun with.

    Raises:
      ValueError: something in `data.json` was different.
    """
    if (run / "data.json").exists():
        before = read_json(run / "data.json")
        differing = [name for name in data if before.get(name) != data[name]]
        if differing:
            raise ValueError(
                f"expected the data that {run} was begun with, received other "
                f"{', '.join(differing)}; bring the data back, or begin a new run"
            )


def read_record(run: Path) -> dict[str, Any]:
    """Returns options, data, environment, history and metrics of an evaluated run, in one.

    Raises:
      FileNotFoundError: `run` is no run folder, or was not evaluated.
    """
    parts = ("config", "data", "environment", "metrics")
    record = {part: read_json(run / f"{part}.json") for part in parts}
    # A path tells where the corpus was on one machine; its digest tells which it was.
    record["config"]["corpus_path"] = None
    return record | {"history": load_position(run)["history"]}


def save_checkpoint(
    run: Path,
    position: Mapping[str, Any],
    last: Mapping[str, np.ndarray],
    best: Mapping[str, np.ndarray] | None,
) -> None:
    """Saves where training stands, in such a way that at every moment one whole checkpoint exists.

    The arrays go to files named by their digest, which are read back before `index.json`, the one
    file that says which of them count, is replaced. Only then are the old ones removed.

    Args:
      run: the run folder.
      position: JSON values: the epoch, the step in it, the history.
      last: everything that training goes on from.
      best: the weights with the best validation accuracy so far; None keeps those there are.
    """
    folder = run / "checkpoint"
    files = {"last": _save_arrays(folder, last)}
    if best is not None:
        files["best"] = _save_arrays(folder, best)
    elif has_checkpoint(run):
        files |= {k: v for k, v in _read_index(run)["files"].items() if k == "best"}
    content = {"position": position, "files": files}
    write_json(folder / "index.json", {**content, "sha256": _digest(content)})
    for path in folder.iterdir():
        if path.name not in {"index.json", *files.values()}:
            path.unlink()


def has_checkpoint(run: Path) -> bool:
    """Returns whether there is a checkpoint to go on from."""
    return (run / "checkpoint" / "index.json").exists()


def load_position(run: Path) -> dict[str, Any]:
    """Returns the position of the last checkpoint.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged.
    """
    position: dict[str, Any] = _read_index(run)["position"]
    return position


def load_arrays(run: Path, which: str) -> dict[str, np.ndarray]:
    """Returns the arrays of a checkpoint by name.

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
            "epoch; go on with it: python -m research.train --resume"
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


def write_arrays(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Writes named arrays to an `.npz` file, atomically."""
    write(path, _npz(arrays))


def _npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _save_arrays(folder: Path, arrays: Mapping[str, np.ndarray]) -> str:
    content = _npz(arrays)
    digest = hashlib.sha256(content).hexdigest()
    path = folder / f"{digest}.npz"
    write(path, content)
    if hashlib.sha256(path.read_bytes()).hexdigest() != digest:
        raise OSError(
            f"expected {path} to read as it was written, received other bytes; check the disk"
        )
    return path.name


def _read_index(run: Path) -> dict[str, Any]:
    path = run / "checkpoint" / "index.json"
    read_json(run / "config.json")  # first of all, is it a run folder
    index: dict[str, Any] = read_json(path)
    content = {name: index.get(name) for name in ("position", "files")}
    if index.get("sha256") != _digest(content):
        raise ValueError(
            f"expected {path} to match its own digest, received a damaged file; "
            "restore it from a copy, or train again"
        )
    return index


def _digest(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def write_history(run: Path, history: list[dict[str, Any]]) -> None:
    """Writes `history.jsonl`, a line per epoch."""
    lines = "".join(json.dumps(epoch, allow_nan=False) + "\n" for epoch in history)
    write(run / "history.jsonl", lines.encode())


def log_environment(run: Path, backend: str, device: str, epoch: int, step: int) -> None:
    """Adds to `environment.json` what a result may depend on besides the options and the data.

    Args:
      run: the run folder.
      backend: its name.
      device: what it computes on.
      epoch: whole epochs done when this process took over.
      step: steps done in the next one.
    """
    path = run / "environment.json"
    module = Path(sys.argv[0]).stem
    versions = {}
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    process = {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "from": {"epoch": epoch, "step": step},
        "command": shlex.join(["python", "-m", f"research.{module}", *sys.argv[1:]]),
        "commit": commit(),
        "backend": backend,
        "device": device,
        "versions": versions,
        "python": platform.python_version(),
        "system": platform.platform(),
        "processor": processor(),
        "cpu_cores": os.cpu_count(),
        "settings": {name: os.environ[name] for name in _SETTINGS if name in os.environ},
    }
    write_json(path, [*(read_json(path) if path.exists() else []), process])


def commit() -> str | None:
    """Returns this code's commit, with `+changes` where the tree has some, or None outside git."""
    try:
        answers = [
            subprocess.run(
                ["git", "-C", str(Path(__file__).parent), *arguments],
                capture_output=True,
                text=True,
                check=True,
            ).stdout.strip()
            for arguments in (["rev-parse", "HEAD"], ["status", "--porcelain", "--", "."])
        ]
    except (OSError, subprocess.CalledProcessError):
        return None
    return answers[0] + ("+changes" if answers[1] else "")


def processor() -> str:
    """Returns the processor's name."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
