"""Which backend to take, in sentences. All of it is computed from the records."""

from collections.abc import Sequence

from benchmarks.tables.comparisons import AXES, Comparison, Machine, backends, memory_mb


def sentences(machine: Machine) -> list[str]:
    """Return the short answer for a machine: a sentence or a few for each subject."""
    compared = [one for one in machine.comparisons if len(one.rows["ours"]) > 1]
    if not compared:
        names = joined(backends(machine))
        return [f"Only {names} was measured, so there is nothing to compare."]
    axes = [_of_axis(machine, axis) for axis in machine.axes()]
    answer = [_overall(compared), *filter(None, axes)]
    return [*answer, *_spread(machine), *_memory(machine, compared), *_kinds(machine)]


def _overall(compared: Sequence[Comparison]) -> str:
    """Return how often each backend is the quickest, and what it costs to take one for all."""
    alone = [one.leaders()[0] for one in compared if len(one.leaders()) == 1]
    counts = sorted({(-alone.count(name), name) for name in alone})
    parts = [f"{name} is quickest at {-count}" for count, name in counts]
    ties = len(compared) - len(alone)
    if ties:
        parts.append(f"at {ties} no difference is to be seen between the quickest")
    everywhere = set.intersection(*(set(one.rows["ours"]) for one in compared))
    worst = sorted((max(one.times_slower(b) for one in compared), b) for b in everywhere)
    text = f"**Over all:** of {_counted(len(compared), 'size')}, {joined(parts)}."
    if worst:
        always = [f"{name} takes {_times([factor])}" for factor, name in worst]
        text += f" At its worst size, {joined(always)} the time of the quickest."
    return text


def _of_axis(machine: Machine, axis: str) -> str:
    """Return which backends lead where on an axis, and by how much; "" without a comparison."""
    compared = [one for one in machine.on(axis) if len(one.rows["ours"]) > 1]
    if not compared:
        return ""
    groups: dict[tuple[str, ...], list[Comparison]] = {}
    for one in compared:
        groups.setdefault(tuple(sorted(one.leaders())), []).append(one)

    def place(one: Comparison) -> str:
        return one.sizes.title(machine.base) if axis == "interaction" else one.sizes.part(axis)

    clauses = []
    for leaders, ones in groups.items():
        places = f"at {joined([f'*{place(one)}*' for one in ones])}"
        if len(leaders) == 1:
            clauses.append(f"{places} {leaders[0]} is quickest{_ahead(ones)}")
        else:
            seen = f"no difference is to be seen between {joined(leaders)}"
            clauses.append(f"{places} {seen}{_ahead(ones)}")
    factor, backend, where = max(
        (one.times_slower(name), name, place(one)) for one in compared for name in one.rows["ours"]
    )
    title = AXES[axis].capitalize()
    return (
        f"**{title}:** {'; '.join(clauses)}. The slowest here is {backend} at *{where}*, "
        f"{_times([factor])} the time of the quickest."
    )


def _ahead(ones: Sequence[Comparison]) -> str:
    """Return how much longer the first takes that is clearly behind, where there is one."""
    behind = [
        one.times_slower(next(name for name in one.ranked() if name not in one.leaders()))
        for one in ones
        if len(one.leaders()) < len(one.rows["ours"])
    ]
    return f", and the next takes {_times(behind)} its time" if behind else ""


def _spread(machine: Machine) -> list[str]:
    """Return how far processes of the same row are apart, where rows have several."""
    spreads = [
        max(medians) / min(medians) - 1
        for record in machine.records.values()
        for row in record["rows"]
        if row["name"] == "our epoch"
        and len(medians := row["unit_time_ms"]["medians_of_processes"]) > 1
    ]
    if not spreads:
        return []
    return [
        "**Luck of a process:** the median of the same row of our epoch differed by up to "
        f"{max(spreads):.0%} between processes. So a smaller difference may be luck where each "
        "backend has one process."
    ]


def _memory(machine: Machine, compared: Sequence[Comparison]) -> list[str]:
    least = []
    for one in compared:
        taken = {name: memory_mb(row) for name, row in one.rows["ours"].items()}
        known = {name: peak for name, peak in taken.items() if peak is not None}
        if len(known) == len(taken):
            least.append((min(known, key=lambda name: (known[name], name)), one, known))
    if not least:
        return []
    counts = sorted({(-sum(name == other for other, *_ in least), name) for name, *_ in least})
    parts = [f"{name} takes the least at {-count}" for count, name in counts]
    text = f"**Memory:** of {_counted(len(least), 'size')}, {joined(parts)}."
    _, one, known = max(least, key=lambda item: max(item[2].values()))
    peaks = joined([f"{name} {peak:,.0f} MB" for name, peak in sorted(known.items())])
    return [f"{text} Most is taken at *{one.sizes.title(machine.base)}*: {peaks}."]


def _kinds(machine: Machine) -> list[str]:
    """Return how our epoch compares with `model.fit` and with native code."""
    parts = []
    for name in backends(machine):
        ours = [one for one in machine.comparisons if name in one.rows["ours"]]
        against = []
        for kind, title in (("fit", "`model.fit`"), ("peer", "native code")):
            factors = [one.times_faster(name, kind) for one in ours]
            known = [factor for factor in factors if factor is not None]
            if known:
                against.append(f"{_times(known)} as fast as {title}")
        if against:
            parts.append(f"on {name} it is {joined(against)}")
    return [f"**Our epoch:** {'; '.join(parts)}."] if parts else []


def _times(factors: Sequence[float]) -> str:
    """Return "1.20 times", or a range of factors."""
    low, high = (f"{factor:.2f}" for factor in (min(factors), max(factors)))
    return f"{low} times" if low == high else f"{low} to {high} times"


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' * (number != 1)}"


def joined(names: Sequence[str]) -> str:
    """Return "a", "a and b" or "a, b and c"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
