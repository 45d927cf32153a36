"""DOC."""

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
from typing import Any

# Where PyTorch, TensorFlow and, for JAX, XLA look for the number of their threads.
_THREADS = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "NPROC")


@contextlib.contextmanager
def _ray(address: str | None) -> Iterator[Any]:
    """Connects to Ray, without its dashboard, its statistics of use and its notes."""
    # Ray reads these when it is imported.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
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
    # In /tmp, whatever TMPDIR says, since the path of a socket has 107 bytes at most.
    with tempfile.TemporaryDirectory(
        prefix="ray-", dir="/tmp", ignore_cleanup_errors=True
    ) as temporary:
        embedded = {
            "include_dashboard": False,
            "object_store_memory": 100_000_000,  # near the least that Ray takes
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
                **({} if address else embedded),
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
            yield ray
        finally:
            ray.shutdown()


def _execute(
    commands: Sequence[Sequence[str]], settings: Mapping[str, str], folder: Path, log: Path
) -> str:
    """Runs commands one after the other, on a worker of Ray, and returns why one failed, or ""."""
    import fcntl  # which Windows lacks

    # Ray interrupts a task by it, and a shell that starts a sweep in the background ignores it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # Ray sets OMP_NUM_THREADS for its own workers; a run is to be as one without Ray.
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    environment |= {**settings, "PYTHONUNBUFFERED": "1"}
    with (folder / log).open("ab+") as output:
        # The processes below inherit the lock. If a worker dies and leaves its training behind, the
        # next worker waits for the end of that: a run folder never has two writers.
        fcntl.flock(output, fcntl.LOCK_EX)
        for command in commands:
            output.write(f"$ python -m {shlex.join(command)}\n".encode())
            output.flush()
            begin = output.tell()
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
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
            if process.returncode:
                output.seek(begin)
                text = output.read().decode(errors="replace")
                lines = [line for line in text.splitlines() if line.strip()]
                errors = [line for line in lines if line.startswith("error: ")]
                last = [f"exit code {process.returncode}", *lines, *errors][-1]
                return last.strip().removeprefix("error: ")
    return ""
