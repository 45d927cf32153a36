"""Jobs on Ray: connect to a cluster, run commands on its machines, and stop them."""

import contextlib
import logging
import os
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

from research.files import locks

# Where PyTorch, TensorFlow and, for JAX, XLA look for the number of their threads.
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC")


class Cluster:
    """A Ray cluster, and what each job gets of its machines.

    Args:
      ray: the module, connected to the cluster.
      cpus: cores of a job; None for all cores of a machine, or for its cores per GPU.

    Raises:
      ValueError: no machine has so many cores.
    """

    def __init__(self, ray: Any, cpus: int | None) -> None:
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        cores = [int(machine["CPU"]) for machine in machines if "CPU" in machine]
        gpus = max(int(machine.get("GPU", 0)) for machine in machines)
        if cpus is not None and cpus > max(cores):
            raise ValueError(f"expected --cpus of up to {max(cores)}, received {cpus}; lower it")
        self._settings = {name: os.environ[name] for name in _THREADS if name in os.environ}
        if cpus is not None and cpus < max(cores):
            self._settings = dict.fromkeys(_THREADS, str(cpus))
        self._ray = ray
        # If the worker of a task dies, Ray begins the task again, up to three times.
        self._task = ray.remote(
            num_cpus=cpus or max(1, min(cores) // max(1, gpus)),
            num_gpus=min(1, gpus),
        )(execute)

    def start(
        self, commands: Sequence[Sequence[str]], environment: Mapping[str, str], log: Path
    ) -> Any:
        """Queue a job that runs in the working directory of this process; return its reference.

        Args:
          commands: modules with their arguments, to be run one after the other.
          environment: variables that are added to those of the worker.
          log: the file that gets the output.
        """
        return self._task.remote(commands, {**self._settings, **environment}, Path.cwd(), log)

    def wait(self, references: Sequence[Any], timeout_s: float) -> tuple[list[Any], list[Any]]:
        """Wait until a job ends or the time is over; return the ended and the other jobs."""
        ended, others = self._ray.wait(references, timeout=timeout_s)
        return ended, others

    def cancel(self, reference: Any) -> None:
        """Remove a job from the queue, or ask its running command to save and stop."""
        self._ray.cancel(reference)

    def outcome(self, reference: Any) -> str | None:
        """Wait for the end of a job; return why it failed, "" if it did not, None if cancelled."""
        try:
            reason: str = self._ray.get(reference)
        except self._ray.exceptions.TaskCancelledError:
            return None
        except self._ray.exceptions.RayError as error:
            return f"{type(error).__name__}: {str(error).strip().splitlines()[-1]}"
        return reason


@contextlib.contextmanager
def connect(address: str | None, cpus: int | None) -> Iterator[Cluster]:
    """Connect to Ray, without its dashboard, its usage statistics and its messages.

    Args:
      address: a running cluster, as "HOST:PORT" or "auto"; None to start one on this machine.
      cpus: as in `Cluster`.

    Raises:
      ModuleNotFoundError: Ray is not installed.
      ConnectionError: there is no cluster at the address.
      ValueError: no machine has so many cores.
    """
    ray = _import_ray(address)
    # In /tmp, whatever TMPDIR says, since the path of a socket has 107 bytes at most.
    with tempfile.TemporaryDirectory(
        prefix="ray-", dir="/tmp", ignore_cleanup_errors=True
    ) as temporary:
        own_cluster = {
            "include_dashboard": False,
            "object_store_memory": 100_000_000,  # near the least that Ray accepts
            "_temp_dir": temporary,
        }
        try:
            host, _, port = (address or "").removeprefix("ray://").rpartition(":")
            if host and port.isdecimal():  # Ray itself would try for minutes
                socket.create_connection((host, int(port)), timeout=10).close()
            ray.init(
                address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **({} if address else own_cluster),
            )
        except (OSError, OverflowError, RuntimeError, ValueError) as error:
            if not address:
                raise
            raise ConnectionError(
                f"expected a Ray cluster at {address}, received {str(error).splitlines()[0]!r}; "
                "start one with `ray start --head`, set RAY_AUTH_TOKEN if it asks for a token, or "
                "leave --address out"
            ) from None
        try:
            yield Cluster(ray, cpus)
        finally:
            ray.shutdown()


def _import_ray(address: str | None) -> Any:
    # Ray reads these variables when it is imported.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    # By default Ray's workers yield to every other process, and so would the runs they start.
    os.environ.setdefault("RAY_worker_niceness", "0")
    tokens = {"RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"} & os.environ.keys()
    if address and (tokens or (Path.home() / ".ray" / "auth_token").exists()):
        os.environ.setdefault("RAY_AUTH_MODE", "token")  # which `ray start` asks for
    try:
        import ray
    except ImportError:
        raise ModuleNotFoundError(
            "expected Ray, which runs a sweep, received no such package; "
            "pip install 'keras-text-research[sweep]'"
        ) from None
    return ray


def execute(
    commands: Sequence[Sequence[str]], settings: Mapping[str, str], folder: Path, log: Path
) -> str:
    """Run commands one after the other, on a worker of Ray.

    Args:
      commands: modules with their arguments.
      settings: environment variables that are added to those of the worker.
      folder: the working directory.
      log: the file that gets the output, relative to the folder.

    Returns:
      Why a command failed, or "".

    Raises:
      KeyboardInterrupt: Ray cancelled the task; the running command was told and has ended.
    """
    # Ray cancels a task by SIGINT. A shell that starts a sweep in the background makes its
    # processes ignore that signal.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Ray sets OMP_NUM_THREADS for its workers, but a run must be the same as without Ray.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {**settings, "PYTHONUNBUFFERED": "1"}
    with (folder / log).open("ab+", buffering=0) as output:

        def say(line: str) -> None:
            output.write(f"{line}\n".encode())

        # The commands inherit the lock. If a worker dies and leaves its training behind, the next
        # worker waits here until that has ended, so a run folder never has two writers.
        with locks.hold((folder / log).with_suffix(".lock"), say=say) as lock:
            for command in commands:
                reason = _run_command(command, environment, folder, output, lock)
                if reason:
                    return reason
    return ""


def _run_command(
    command: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    output: BinaryIO,
    lock: int,
) -> str:
    """Run one command, with its output in a file, and return why it failed, or ""."""
    output.write(f"$ python -m {shlex.join(command)}\n".encode())
    begin = output.tell()
    process = subprocess.Popen(
        [sys.executable, "-m", *command],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        pass_fds=[lock],
    )
    try:
        while process.poll() is None:  # Ray interrupts Python, but no system call
            time.sleep(0.1)
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        raise
    if process.returncode < 0:
        return f"killed by {signal.Signals(-process.returncode).name}"
    if process.returncode == 0:
        return ""
    output.seek(begin)
    text = output.read().decode(errors="replace")
    lines = [line for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("error: ")]
    last = [f"exit code {process.returncode}", *lines, *errors][-1]
    return last.strip().removeprefix("error: ")
