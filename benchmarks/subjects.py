"""What is timed, and which of it can run on this machine."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from benchmarks.points import BASE, DESIGN, Point
from research.processes import backends

_TRAINING = "benchmarks/test_training.py"

# The names of the native rows, by a key of the peer's `MODES`. The first one is what users of the
# framework run first, and is timed at all sizes.
_PEERS = {
    "tensorflow": {"function": "native, tf.function", "xla": "native, XLA"},
    "jax": {"jit": "native, jit", "scan": "native, scan"},
    "torch": {"eager": "native, eager", "compile": "native, torch.compile"},
}
_HAS_PEER = ("tutorial", "kim")  # models


MAIN = r": (our step|our epoch|model\.fit|native, (tf\.function|jit|eager))$"
"""What a quick run times, as a regular expression for titles."""


@dataclass(frozen=True)
class Subject:
    """What is timed, and where.

    Attributes:
      framework: what computes, as the tables name it.
      name: what is timed, as the tables name it. For inference it starts with the task, up to the
        first comma.
      kind: "ours", "fit" or "peer" for a training step. Otherwise "inference", or "reference" for
        what the other rows of the same task are compared with.
      test: the pytest id of the test that times it.
      backend: the Keras backend of its process.
      process: subjects with the same process name share a process, one after the other.
      reads_strings: whether it needs TensorFlow to tokenize.
      point: the sizes.
      is_point: whether it is a row of the comparison of sizes.
    """

    framework: str
    name: str
    kind: str
    test: str
    backend: str
    process: str
    reads_strings: bool = False
    point: Point = BASE
    is_point: bool = False

    @property
    def title(self) -> str:
        """Framework and name, which `--only` is matched with, and at a point its sizes."""
        of_point = f" ({self.point.title()})" if self.is_point else ""
        return f"{self.framework}: {self.name}{of_point}"


def on_backends(installed: Iterable[str], point: Point = BASE) -> list[Subject]:
    """Return what can be timed with these backends at the sizes of the base."""
    installed = list(installed)
    found = [subject for name in installed for subject in (*_training(name), *_inference(name))]
    found += _without_network(installed[0])
    return [replace(subject, point=point) for subject in found]


def at_points(installed: Iterable[str]) -> list[Subject]:
    """Return what is timed at each point of the design, a process for each backend and point.

    `model.fit` comes first: it uses the allocator's defaults, which the others change.
    """
    found = []
    for point in DESIGN:
        for backend in installed:
            mode, native = next(iter(_PEERS[backend].items()))
            rows = [("model.fit", "fit", "test_fit")]
            if point.model in _HAS_PEER:
                rows.append((native, "peer", f"test_peer[{mode}]"))
            rows.append(("our epoch", "ours", "test_epoch[float32]"))
            process = f"{backend}, {point.title()}"
            found += [
                Subject(
                    *(backend, name, kind, f"{_TRAINING}::{test}", backend, process),
                    point=point,
                    is_point=True,
                )
                for name, kind, test in rows
            ]
    return found


def _training(backend: str) -> list[Subject]:
    ours, keras = f"{backend}, ours", f"{backend}, Keras"
    rows = [
        ("our step", "ours", "test_step", ours),
        ("our epoch", "ours", "test_epoch[float32]", ours),
        ("our epoch, bfloat16", "ours", "test_epoch[mixed_bfloat16]", ours),
        ("model.fit", "fit", "test_fit", keras),
    ]
    if backend == "tensorflow":
        name = "model.fit, without autotuning"
        rows.append((name, "fit", "test_fit_without_autotuning", f"{keras}, {name}"))
    for mode, name in _PEERS[backend].items():
        rows.append((name, "peer", f"test_peer[{mode}]", f"{backend}, {name}"))
    return [
        Subject(backend, name, kind, f"{_TRAINING}::{test}", backend, process)
        for name, kind, test, process in rows
    ]


def _inference(backend: str) -> list[Subject]:
    ours, keras = f"{backend}, ours", f"{backend}, Keras"
    rows = [
        ("token ids to labels, model.predict", "reference", "test_keras_predict", keras, False),
        ("token ids to labels, ours", "inference", "test_our_predict", ours, False),
        ("strings to labels, ours", "inference", "test_our_labels", ours, True),
    ]
    tests = "benchmarks/test_inference.py"
    return [
        Subject(backend, name, kind, f"{tests}::{test}", backend, process, reads_strings)
        for name, kind, test, process, reads_strings in rows
    ]


def _without_network(any_backend: str) -> list[Subject]:
    linear, tokenizing = "strings to labels, TF-IDF and LinearSVC", "texts to token ids"
    rows = [
        ("scikit-learn", linear, "reference", "test_sklearn_labels", False),
        ("tensorflow", f"{tokenizing}, ours", "inference", "test_our_tokens", True),
        ("tensorflow", f"{tokenizing}, tutorial", "reference", "test_tutorial_tokens", True),
        ("numpy", "vectors from the cache", "inference", "test_vectors", False),
    ]
    found = []
    for framework, name, kind, test, tokenizes in rows:
        backend = "tensorflow" if tokenizes else any_backend
        test, process = f"benchmarks/test_inference.py::{test}", f"{backend}, texts"
        found.append(Subject(framework, name, kind, test, backend, process, tokenizes))
    return found


def select(
    subjects: list[Subject], devices: dict[str, str], only: str
) -> tuple[list[Subject], list[dict[str, str]]]:
    """Return the subjects to time, and those that are left out: `subject` and `reason` of each.

    Args:
      subjects: what could be timed.
      devices: what each installed backend computes on.
      only: a regular expression that is searched in the title; "" selects everything.

    Raises:
      ValueError: nothing is left to time.
    """
    planned, left_out = [], []
    for backend in backends.BACKENDS:
        if backend not in devices:
            left_out.append({"subject": backend, "reason": "not installed"})
    for subject in subjects:
        if not re.search(only, subject.title):
            continue
        if reason := _obstacle(subject, devices):
            left_out.append({"subject": subject.title, "reason": reason})
        else:
            planned.append(subject)
    if only:
        left_out.append({"subject": f"what does not match {only!r}", "reason": "not asked for"})
    if not planned:
        raise ValueError(
            f"expected --only to match something, received {only!r}; match one of "
            + ", ".join(subject.title for subject in subjects)
        )
    return planned, left_out


def _obstacle(subject: Subject, devices: dict[str, str]) -> str | None:
    """Return why a subject cannot be timed, or None."""
    if subject.reads_strings and "tensorflow" not in devices:
        return "strings need TensorFlow, which is not installed"
    if subject.name == "native, scan" and devices[subject.backend].startswith("cpu"):
        return "in a loop XLA compiles convolutions for a CPU so that a step takes seconds"
    return None
