"""Checkpoints of a run, so that an interruption loses no more than an epoch.

`checkpoint/index.json` says where a run stands. It names the files of the arrays, each called after
its digest, and has the digests of the run's inputs. It also has a digest of itself. So all that is
read from a run folder belongs together, or is refused.
"""

import contextlib
import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from io import BufferedReader
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as validated_dataclass

from research.files import atomic, npz, sealed
from research.files.npz import Form
from research.files.regular import open_regular
from research.training import run_folder

Which = Literal["last", "best"]
"""`last` is the state to resume from, `best` the weights to use."""

_Count = Annotated[int, Field(ge=0)]
_Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
_ArraysFile = Annotated[str, Field(pattern=r"^[0-9a-f]{64}\.npz$")]


@dataclass
class Position:
    """Where a run stands.

    Attributes:
      epoch: epochs finished.
      step: steps done in the epoch after those.
      seconds: time spent in that epoch.
      preparation_seconds: time spent before the first epoch, on what is fitted in closed form.
      best_epoch: the epoch whose weights are kept as `best`, from 1; None if none is finished.
      history: a record for each finished epoch.
    """

    epoch: _Count = 0
    step: _Count = 0
    seconds: float = 0.0
    preparation_seconds: float = 0.0
    best_epoch: int | None = None
    history: list[dict[str, Any]] = field(default_factory=list)

    def is_complete(self, epochs: int, patience: int | None) -> bool:
        """Return whether the run has all its epochs, or no better one for `patience` epochs."""
        without_better = self.epoch - (self.best_epoch or self.epoch)
        has_stalled = patience is not None and without_better >= patience
        return self.epoch >= epochs or has_stalled


@validated_dataclass(frozen=True)
class _Index:
    """The content of `index.json`.

    Attributes:
      position: where the run stands.
      files: the file of the arrays `last`, and of `best` if there are any.
      inputs: for each file of `run_folder.INPUTS`, the digests that it may have. It has two while
        a resumed run replaces the file. Older runs have none.
    """

    position: Position
    files: dict[Which, _ArraysFile]
    inputs: dict[str, list[_Sha256]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        position = self.position
        if [record.get("epoch") for record in position.history] != [*range(1, position.epoch + 1)]:
            raise ValueError("the history does not have a record for each epoch")
        if position.best_epoch is not None and not 1 <= position.best_epoch <= position.epoch:
            raise ValueError("the best epoch is not one of the finished epochs")


@dataclass(frozen=True)
class Checkpoint:
    """All that is read from a run folder, of one moment.

    Attributes:
      run: the run folder.
      which: "last" or "best".
      position: where the run stands.
      inputs: the content of each of `run_folder.INPUTS`.
      digest: SHA-256 of the file of the arrays.
    """

    run: Path
    which: Which
    position: Position
    inputs: Mapping[str, bytes]
    digest: str
    _file: BufferedReader

    @property
    def epoch(self) -> int:
        """The epoch that the arrays are of, from 1; 0 before the first has ended."""
        best = self.position.best_epoch if self.which == "best" else None
        return self.position.epoch if best is None else best

    def json(self, name: str) -> Any:
        """Return the value of an input, such as "environment.json".

        Raises:
          ValueError: it is not JSON.
        """
        return atomic.parse_json(self.inputs[name], self.run / name)

    def forms(self) -> dict[str, Form]:
        """Return the form of each array, without reading the arrays.

        Raises:
          ValueError: the file is damaged.
        """
        try:
            return npz.forms(self._file)
        except ValueError as error:
            raise self._damaged(error) from None

    def arrays(self, expected: Mapping[str, Form]) -> dict[str, np.ndarray]:
        """Return the arrays that are expected; there may be more.

        Args:
          expected: the form of each by name.

        Raises:
          ValueError: the file is damaged, or an array is missing, of another form or not finite.
        """
        try:
            values = npz.read(self._file, expected)
            self._file.seek(0)
            digest = hashlib.file_digest(self._file, "sha256").hexdigest()
            if digest != self.digest:
                raise ValueError(f"SHA-256 {digest}")
        except ValueError as error:
            raise self._damaged(error) from None
        return values

    def _damaged(self, received: ValueError) -> ValueError:
        return ValueError(
            f"expected the intact arrays of this run in {self.run}/checkpoint/{self.digest}.npz, "
            f"received {received}; restore the run folder from a copy, or train again"
        )


@dataclass(frozen=True)
class Saver:
    """Saves the checkpoints of a run that this process trains.

    Attributes:
      run: the run folder.
      inputs: what the files of `run_folder.INPUTS` hold.
    """

    run: Path
    inputs: Mapping[str, bytes]

    def write_inputs(self) -> None:
        """Write the inputs of the run, which may have a checkpoint.

        Until the next checkpoint, its index knows the inputs before and these. So a run that is
        killed meanwhile can still be read.
        """
        if exists(self.run):
            index = _parse(_index_bytes(self.run), self.run)
            digests = {
                name: [_sha256(run_folder.read_bytes(self.run / name)), _sha256(content)]
                for name, content in self.inputs.items()
            }
            _write_index(self.run, index.position, index.files, digests)
        for name, content in self.inputs.items():
            atomic.write(self.run / name, content)

    def save(
        self,
        position: Position,
        last: Mapping[str, np.ndarray],
        best: Mapping[str, np.ndarray] | None,
    ) -> None:
        """Save a checkpoint. Until it is complete, the one before it remains.

        The arrays are written to files named after their digest, and read back. Then `index.json`,
        which names the current files, is replaced. The old files are removed last.

        Args:
          position: where the run stands.
          last: the state that training resumes from, by name.
          best: the best weights so far, by name; None keeps those of an earlier epoch.

        Raises:
          OSError: a file cannot be written, or does not read back as it was written.
        """
        folder = self.run / "checkpoint"
        files: dict[Which, str] = {"last": _save_arrays(folder, last)}
        if best is not None:
            files["best"] = _save_arrays(folder, best)
        elif exists(self.run):
            files = _parse(_index_bytes(self.run), self.run).files | files
        digests = {name: [_sha256(content)] for name, content in self.inputs.items()}
        _write_index(self.run, position, files, digests)
        for path in folder.iterdir():
            if path.name not in {"index.json", *files.values()}:
                path.unlink()


def exists(run: Path) -> bool:
    """Return whether a run has a checkpoint."""
    return (run / "checkpoint" / "index.json").exists()


@contextlib.contextmanager
def opened(run: Path, which: Which) -> Iterator[Checkpoint]:
    """Give a checkpoint, with its file open, which training that goes on cannot take away.

    Args:
      run: the run folder.
      which: "last" or "best".

    Raises:
      FileNotFoundError: `run` is no run folder, or has no such checkpoint.
      ValueError: a file is damaged, or belongs to another run.
    """
    while True:
        run_folder.read_bytes(run / "config.json")  # first: is this a run folder at all?
        if not exists(run):
            raise _unfinished(run, which)
        content = _index_bytes(run)
        try:
            checkpoint = _open(run, _parse(content, run), which)
        except (FileNotFoundError, ValueError):
            if _index_bytes(run) == content:
                raise  # otherwise training has replaced the checkpoint meanwhile
        else:
            break
    with checkpoint._file:
        yield checkpoint


def _open(run: Path, index: _Index, which: Which) -> Checkpoint:
    inputs = {name: run_folder.read_bytes(run / name) for name in run_folder.INPUTS}
    for name, digests in index.inputs.items():
        received = _sha256(inputs.get(name, b""))
        if received not in digests:
            raise ValueError(
                f"expected {run / name} to be of the same run as its checkpoint, with SHA-256 "
                f"{' or '.join(digests) or 'none'}, received {received}; restore it from a copy, "
                "or train again"
            )
    arrays_file = index.files.get(which)
    if arrays_file is None:
        raise _unfinished(run, which)
    path = run / "checkpoint" / arrays_file
    try:
        file = open_regular(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"expected the arrays of the checkpoint at {path}, received no such file; "
            "restore it from a copy, or train again"
        ) from None
    return Checkpoint(run, which, index.position, inputs, path.stem, file)


def _unfinished(run: Path, which: Which) -> FileNotFoundError:
    return FileNotFoundError(
        f"expected a checkpoint {which!r} in {run}, received a run that has not finished an "
        f"epoch; continue it with: python -m research.train --run-dir {run} --resume"
    )


def _save_arrays(folder: Path, values: Mapping[str, np.ndarray]) -> str:
    content = npz.to_bytes(values)
    path = folder / f"{_sha256(content)}.npz"
    atomic.write(path, content)
    if _sha256(path.read_bytes()) != path.stem:
        raise OSError(
            f"expected to read from {path} what was written, received other bytes; check the disk"
        )
    return path.name


def _index_bytes(run: Path) -> bytes:
    return run_folder.read_bytes(run / "checkpoint" / "index.json")


def _write_index(
    run: Path, position: Position, files: Mapping[Which, str], inputs: Mapping[str, list[str]]
) -> None:
    content = {"position": asdict(position), "files": dict(files), "inputs": dict(inputs)}
    atomic.write_json(run / "checkpoint" / "index.json", sealed.seal(content))


def _parse(content: bytes, run: Path) -> _Index:
    path = run / "checkpoint" / "index.json"
    try:
        inside = json.dumps(sealed.parse(content, path))
        return TypeAdapter(_Index).validate_json(inside, strict=True)
    except ValidationError as error:
        raise run_folder.not_as_expected("the index of a checkpoint", path, error) from None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
