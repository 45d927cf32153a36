"""Where a result comes from: command, commit, versions and machine."""

import contextlib
import datetime
import importlib.metadata
import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from research.processes import command, hardware

NETWORK_PACKAGES = ("keras", "tensorflow", "jax", "jaxlib", "torch", "numpy")

_PACKAGE = Path(__file__).parents[1]
_SETTINGS = (
    *("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_ENABLE_ONEDNN_OPTS"),
    *("MKL_CBWR", "XLA_FLAGS"),
)


def environment(backend: str, device: str, packages: Iterable[str]) -> dict[str, Any]:
    """Return what a result may depend on, except options and data, as JSON values.

    Args:
      backend: the name of the library that computes.
      device: the kind and name of the device that it computes on.
      packages: those to give the versions of; missing ones are left out.
    """
    return {
        "started": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": f"{command.program()} {shlex.join(sys.argv[1:])}".strip(),
        "commit": commit(),
        "backend": backend,
        "device": device,
        "versions": versions(packages),
        "python": platform.python_version(),
        "system": platform.platform(),
        **hardware.describe(),
        "cpu_cores": cpu_cores(),
        "settings": {name: os.environ[name] for name in _SETTINGS if name in os.environ},
    }


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of those packages that are installed, by name."""
    installed = {}
    for package in packages:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            installed[package] = importlib.metadata.version(package)
    return installed


def commit() -> str | None:
    """Return the commit of this code, with `+changes` if files of `research/` were changed.

    None outside git, and if the package was installed into the repository of another project.
    """
    try:
        top = Path(_git("rev-parse", "--show-toplevel"))
        if top.resolve() != _PACKAGE.parent.resolve():
            return None
        changes = _git("status", "--porcelain", "--", ".")
        return _git("rev-parse", "HEAD") + ("+changes" if changes else "")
    except (OSError, subprocess.CalledProcessError):
        return None


def _git(*arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(_PACKAGE), *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


def cpu_cores() -> int:
    """Return how many cores this process may run on; on macOS, how many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def processor() -> str:
    """Return the name of the processor."""
    return str(hardware.describe()["processor"])
