"""What the records say of each machine: the times of all backends at the same sizes.

A record may have `points`, rows at other sizes than the suite's own. An older record has none, and
its rows are one comparison, at the sizes that it was made with.
"""

import statistics
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from benchmarks.tables.step_times import SubjectTimes, SuiteRecord, device_label, median_ms

AXES = {
    "batch_size": "batch size",
    "sequence_length": "tokens of a text",
    "embedding_dim": "dimensions of the word vectors",
    "model": "model",
    "threads": "threads",
    "interaction": "two sizes at once",
}
"""The title of each axis, by its name in the records."""
KINDS = {"ours": "our epoch", "fit": "model.fit", "peer": "native"}
"""What is compared on each backend, by its kind in the records."""

_UNITS = {
    "model": "{}",
    "batch_size": "batch {:,}",
    "sequence_length": "{:,} tokens",
    "embedding_dim": "{} dimensions",
    "threads": "{} threads",
}
_NATIVE = ("native, tf.function", "native, jit", "native, eager")
"""The native rows that are timed at all sizes; a framework's users run them first."""
_KEPT = ", memory kept"  # in old records, where other native rows used the allocator's defaults


@dataclass(frozen=True)
class Sizes:
    """What a comparison was made with.

    Attributes:
      model: a key of `research.models.registry.MODELS`.
      batch_size: examples of a step.
      sequence_length: tokens of a text.
      embedding_dim: of the word vectors.
      threads: of every library.
    """

    model: str
    batch_size: int
    sequence_length: int
    embedding_dim: int
    threads: int

    def part(self, axis: str) -> str:
        """Return one of the sizes with its unit, such as "batch 128"."""
        value = getattr(self, axis)
        text = _UNITS[axis].format(value)
        return text.removesuffix("s") if value == 1 else text

    def title(self, base: "Sizes | None") -> str:
        """Return how these sizes differ from those of the base; without a base, all of them."""
        if self == base:
            return "base"
        return ", ".join(
            self.part(axis)
            for axis in _UNITS
            if base is None or getattr(self, axis) != getattr(base, axis)
        )


@dataclass(frozen=True)
class Comparison:
    """The times of all backends at the same sizes, from one record.

    Attributes:
      sizes: the sizes.
      axes: keys of `AXES`, on which these sizes lie.
      rows: by a key of `KINDS`, and then by backend. What was not measured is missing.
    """

    sizes: Sizes
    axes: tuple[str, ...]
    rows: Mapping[str, Mapping[str, SubjectTimes]]

    def ranked(self) -> list[str]:
        """Return the backends, the quickest first, by our epoch."""
        ours = self.rows["ours"]
        return sorted(ours, key=lambda backend: median_ms(ours[backend]))

    def leaders(self) -> list[str]:
        """Return the quickest backend, and those of which no difference from it is to be seen.

        None is to be seen where their ranges of `spread_ms` overlap.
        """
        ours, ranked = self.rows["ours"], self.ranked()
        _, end = spread_ms(ours[ranked[0]])
        return [name for name in ranked if spread_ms(ours[name])[0] <= end]

    def times_slower(self, backend: str) -> float:
        """Return how many times as long as the quickest a backend takes, by our epoch."""
        ours = self.rows["ours"]
        return median_ms(ours[backend]) / median_ms(ours[self.ranked()[0]])

    def times_faster(self, backend: str, kind: str) -> float | None:
        """Return how many times as fast our epoch is as another kind on the same backend."""
        other = self.rows[kind].get(backend)
        return None if other is None else median_ms(other) / median_ms(self.rows["ours"][backend])


@dataclass(frozen=True)
class Machine:
    """A machine and what was compared on it.

    Attributes:
      name: processor or GPU, with what tells it from others of the name.
      records: the contents of its records by file name.
      comparisons: the base first, then by axis and size. Of equal sizes it is those of the newest
        record.
    """

    name: str
    records: Mapping[str, SuiteRecord]
    comparisons: Sequence[Comparison]

    @property
    def base(self) -> Sizes | None:
        """The sizes that lie on several axes, if there are any."""
        return next((one.sizes for one in self.comparisons if len(one.axes) > 1), None)

    def on(self, axis: str) -> list[Comparison]:
        """Return the comparisons on an axis, by rising size."""
        found = [one for one in self.comparisons if axis in one.axes]
        if axis in ("model", "interaction"):
            return found
        return sorted(found, key=lambda one: int(getattr(one.sizes, axis)))

    def axes(self) -> list[str]:
        """Return the axes with something to compare: two sizes or more, or an interaction."""
        return [axis for axis in AXES if len(self.on(axis)) > (axis != "interaction")]


def by_machine(records: Mapping[str, SuiteRecord]) -> list[Machine]:
    """Return the machines with a row of our epoch, by name.

    Args:
      records: their contents by file name.
    """
    together: dict[str, dict[str, SuiteRecord]] = {}
    for name, record in records.items():
        together.setdefault(device_label(record), {})[name] = record
    machines = []
    for name, of_machine in sorted(together.items()):
        found: dict[Sizes, Comparison] = {}
        oldest_first = sorted(
            of_machine.values(), key=lambda record: str(record["method"].get("finished"))
        )
        for record in oldest_first:
            found |= {comparison.sizes: comparison for comparison in _comparisons(record)}
        if found:
            machines.append(Machine(name, of_machine, sorted(found.values(), key=_place)))
    return machines


def backends(machine: Machine) -> list[str]:
    """Return the backends with a row of our epoch at any size, by name."""
    return sorted({name for one in machine.comparisons for name in one.rows["ours"]})


def texts_per_second(comparison: Comparison, row: SubjectTimes, quartile: str = "median") -> float:
    """Return how many texts a second a row trains on, at its median or a quartile of its time."""
    return comparison.sizes.batch_size * 1e3 / float(row["unit_time_ms"][quartile])


def spread_ms(row: SubjectTimes) -> tuple[float, float]:
    """Return the ends of the range that holds both quartiles and the medians of all processes."""
    times = row["unit_time_ms"]
    held = [times["first_quartile"], times["third_quartile"], *times["medians_of_processes"]]
    return min(held), max(held)


def memory_mb(row: SubjectTimes) -> float | None:
    """Return the peak of private memory, the median over processes; None in older records."""
    peaks = [float(peak) for peak in row.get("peak_memory_mb") or () if peak is not None]
    return statistics.median(peaks) if peaks else None


def own_sizes(record: SuiteRecord) -> Sizes:
    """Return the sizes of the rows of a record that are not at one of its points."""
    about = {"model": "tutorial"} | record["about"]
    return _sizes(about | {"threads": record["machine"]["threads"]})


def _comparisons(record: SuiteRecord) -> list[Comparison]:
    points: dict[Sizes, list[SubjectTimes]] = {}
    for row in record.get("points", []):
        points.setdefault(_sizes(row["point"]), []).append(row)
    if not points:
        points[own_sizes(record)] = record["rows"]
    found = [
        Comparison(
            sizes,
            tuple(dict.fromkeys(axis for row in rows for axis in row.get("axis", []))),
            {kind: _of_kind(rows, names) for kind, names in _NAMES.items()},
        )
        for sizes, rows in points.items()
    ]
    return [comparison for comparison in found if comparison.rows["ours"]]


_NAMES: dict[str, Collection[str]] = {
    "ours": ("our epoch",),
    "fit": ("model.fit",),
    "peer": (*_NATIVE, *(f"{name}{_KEPT}" for name in _NATIVE)),
}


def _of_kind(rows: Sequence[SubjectTimes], names: Collection[str]) -> dict[str, SubjectTimes]:
    """Return by backend its row of one of the names; native code that keeps memory comes first."""
    named = [row for row in rows if row["name"] in names]
    return {row["backend"]: row for row in sorted(named, key=lambda row: _KEPT in row["name"])}


def _sizes(values: Mapping[str, Any]) -> Sizes:
    return Sizes(**{field.name: values[field.name] for field in fields(Sizes)})


def _place(comparison: Comparison) -> tuple[Any, ...]:
    sizes, axes = comparison.sizes, comparison.axes
    order = list(AXES)
    first_axis = min((order.index(axis) for axis in axes), default=len(order))
    numbers = (sizes.batch_size, sizes.sequence_length, sizes.embedding_dim, sizes.threads)
    return (len(axes) <= 1, first_axis, sizes.model, *numbers)
