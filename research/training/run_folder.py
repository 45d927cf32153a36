"""Run folders: the inputs of a run, its history and its checkpoint.

    config.json        the options
    data.json          classes, digests, counts, coverage of the vectors
    environment.json   versions, machine, commit and command of each process that worked on the run
    vocabulary.txt     the words
    history.jsonl      a line per epoch
    checkpoint/        index.json and the arrays it names: `last` to resume from, `best` to use

Each file is written under a temporary name and then renamed, so it is complete or absent. A process
that trains holds the lock of the folder. `checkpoint/index.json` has the digests of the files that
are read together with the arrays (`checkpoints`).
"""

import contextlib
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass

from research.data.tokens import vocabulary_file
from research.files import atomic, locks
from research.files.regular import read_regular
from research.processes import provenance

INPUTS = ("config.json", "data.json", "environment.json", "vocabulary.txt")
"""The files that are read together with a checkpoint."""

_LOCK = ".lock"
_LARGEST_FILE_BYTES = 1 << 28  # 256 MiB. The vocabulary of 100,000 words has 1 MB.

_Count = Annotated[int, Field(ge=0)]
_Name = Annotated[str, Field(min_length=1)]


@dataclass(frozen=True)
class Description:
    """What `data.json` says about the data of a run.

    Attributes:
      corpus: its name.
      corpus_digest: of texts, labels and splits.
      class_names: by label.
      examples: how many each split has.
      vocabulary_size: the number of words.
      embedding_dim: the number of dimensions of the word vectors.
      vectors: their name, and how many words have one and have none.
      parameters: of the model.
      vectors_digest: of the file of the word vectors; None in older runs.
    """

    corpus: str
    corpus_digest: str
    class_names: Annotated[list[_Name], Field(min_length=2)]
    examples: dict[str, _Count]
    vocabulary_size: Annotated[int, Field(ge=3)]
    embedding_dim: Annotated[int, Field(ge=1)]
    vectors: dict[str, str | _Count]
    parameters: _Count
    vectors_digest: str | None = None

    def __post_init__(self) -> None:
        if len(set(self.class_names)) < len(self.class_names):
            raise ValueError("a class name occurs twice")


@contextlib.contextmanager
def claimed(run: Path | None, experiment: str, backend: str, seed: int) -> Iterator[Path]:
    """Hold a run folder for one process, so that no other trains in it.

    A folder in which nothing was written is removed again.

    Args:
      run: the folder; None for a new one, `runs/<experiment>/<backend>-seed<k>`, or the same with
        -2, -3, ...
      experiment: the name under which a new run is filed.
      backend: the name of the backend.
      seed: of the run.

    Raises:
      HeldError: another process trains in the folder.
      ValueError: `run` is a file.
    """
    default = Path("runs") / experiment / f"{backend}-seed{seed}"
    made = [folder for folder in (run or default).parents if not folder.exists()]
    if run is None:
        run = _new_folder(default)
    else:
        _make_folder(run)
    with locks.hold(run / _LOCK, wait=False):
        try:
            yield run
        finally:
            if not (run / "config.json").exists():
                with contextlib.suppress(OSError):  # a folder that holds something stays
                    (run / _LOCK).unlink()
                    for folder in (run, *made):
                        folder.rmdir()


def _new_folder(folder: Path) -> Path:
    candidate, number = folder, 1
    while True:
        with contextlib.suppress(FileNotFoundError):  # another process removed the parent again
            folder.parent.mkdir(parents=True, exist_ok=True)
            try:  # mkdir fails if the folder exists, so two processes never take the same one
                candidate.mkdir()
            except FileExistsError:
                number += 1
                candidate = folder.with_name(f"{folder.name}-{number}")
            else:
                return candidate


def _make_folder(run: Path) -> None:
    try:
        run.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise ValueError(
            f"expected a run folder or a new folder, received {run}, which is a file or lies in "
            "one; give another --run-dir"
        ) from None


def has_begun(run: Path, resume: bool) -> bool:
    """Return whether a run has begun in a folder, and check that it may go on there.

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
    if any(not path.name.startswith(".") for path in run.iterdir()):
        raise ValueError(
            f"expected a run folder or a new folder, received {run}, which holds something else; "
            "give another --run-dir"
        )
    return False


def inputs(
    run: Path,
    options: Mapping[str, Any],
    data: Mapping[str, Any],
    vocabulary: Sequence[str],
    process: Mapping[str, Any] | None,
) -> dict[str, bytes]:
    """Return the content of each of `INPUTS`.

    Args:
      run: the run folder. If it has an `environment.json`, the process is added to it.
      options: all options.
      data: the fields of a `Description`.
      vocabulary: the words.
      process: the environment of this process, as `process_entry` returns it; None if it does not
        train.
    """
    path = run / "environment.json"
    processes = read_json(path) if path.exists() else []
    if process is not None:
        processes = [*processes, process]
    return {
        "config.json": atomic.json_bytes(options),
        "data.json": atomic.json_bytes(data),
        "environment.json": atomic.json_bytes(processes),
        "vocabulary.txt": vocabulary_file(vocabulary),
    }


def process_entry(backend: str, device: str, epoch: int, step: int) -> dict[str, Any]:
    """Return what `environment.json` says about this process: all its results may depend on.

    Args:
      backend: the name of the backend.
      device: the kind and name of the device that it computes on.
      epoch: epochs finished when this process took over.
      step: steps done in the epoch after those.
    """
    process = provenance.environment(backend, device, provenance.NETWORK_PACKAGES)
    return process | {"from": {"epoch": epoch, "step": step}}


def check_same_data(run: Path, data: Mapping[str, Any]) -> None:
    """Check that a resumed run has the same data as when it was started.

    Raises:
      ValueError: an entry of `data.json` differs.
    """
    if (run / "data.json").exists():
        before, now = _without_place(read_json(run / "data.json")), _without_place(data)
        # A run that is older than an entry lacks it.
        differing = [name for name in now if name in before and before[name] != now[name]]
        if differing:
            raise ValueError(
                f"expected the data that {run} was started with, received other "
                f"{', '.join(differing)}; restore the data, or start a new run"
            )


def _without_place(data: Mapping[str, Any]) -> dict[str, Any]:
    """Return a description without names of files; digests identify corpus and vectors."""
    return {**data, "corpus": None, "vectors": {**data.get("vectors", {}), "name": None}}


def write_history(run: Path, history: Sequence[Mapping[str, Any]]) -> None:
    """Write `history.jsonl`, a line for each epoch."""
    lines = "".join(json.dumps(epoch, allow_nan=False) + "\n" for epoch in history)
    atomic.write(run / "history.jsonl", lines.encode())


def description(content: bytes, path: Path) -> Description:
    """Return what a `data.json` says.

    Args:
      content: its bytes.
      path: where it is, for the message of an error.

    Raises:
      ValueError: it is not JSON of this form.
    """
    try:
        return TypeAdapter(Description).validate_json(content, strict=True)
    except ValidationError as error:
        raise not_as_expected("the description of the data of a run", path, error) from None


def not_as_expected(what: str, path: Path, error: ValidationError) -> ValueError:
    """Return the error of a file of a run that is not of its form, in one line."""
    first = error.errors()[0]
    place = ".".join(map(str, first["loc"]))[:80] or "the file"
    return ValueError(
        f"expected {what} in {path}, received {place}: {first['msg'][:200]}; "
        "restore the file, or train again"
    )


def read_json(path: Path) -> Any:
    """Read a JSON file of a run folder.

    Raises:
      FileNotFoundError: it does not exist, so its folder is not a run folder.
      ValueError: it is not JSON.
    """
    return atomic.parse_json(read_bytes(path), path)


def read_bytes(path: Path) -> bytes:
    """Read a file of a run folder.

    Raises:
      FileNotFoundError: it does not exist, so its folder is not a run folder.
      ValueError: it is not a regular file, or longer than any file of a run.
    """
    try:
        return read_regular(path, _LARGEST_FILE_BYTES)
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"expected a run folder with {path.name} in it, received {path.parent}; "
            "give the folder that `python -m research.train` printed as its last line"
        ) from None
