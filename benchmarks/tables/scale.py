"""The table of what a larger corpus costs."""

import statistics
from typing import Any

from benchmarks.tables import markdown
from research.processes import hardware

_STAGES = {"learn": "learn the vocabulary", "encode": "encode", "train": "train"}
_WAYS = {"ours": "`research.data.tokens`", "tutorial": "the tutorial's way"}


def page(record: dict[str, Any]) -> str:
    """Return the page in Markdown.

    Args:
      record: the content of the record of `benchmarks.scale`.
    """
    tokenizing = record["tokenizing"]
    times = {way: [process["seconds"] for process in tokenizing[way]] for way in _WAYS}
    ratio = statistics.median(times["ours"]) / statistics.median(times["tutorial"])
    parts = [
        "# What a larger corpus costs\n",
        _by_stage(record["rows"]),
        f"{tokenizing['documents']:,} texts to token ids, including learning the vocabulary:\n",
        _by_way(tokenizing),
        f"Our code takes {ratio:.3f} of the tutorial's time. Each was measured in "
        f"{len(times['ours'])} processes.\n",
        "The texts are posts of the train split of news20-bydate, repeated and shuffled. Each "
        "measurement has a process of its own. MB are the peak of private memory above that before "
        "the stage. Token ids are in a mapped file, whose pages the system takes back, so they do "
        "not count. Training is 64 steps of the tutorial's network in random order. Measured on "
        f"{hardware.label(record)}, {record['threads']} threads, load average "
        f"{record['load_before']:.2f} before the first process, commit {record['commit']}.\n",
    ]
    return "\n".join(parts)


def _by_stage(rows: list[dict[str, Any]]) -> str:
    columns = ["documents"]
    columns += [f"{stage}: {unit}" for stage in _STAGES.values() for unit in ("µs/document", "MB")]
    cells = [
        [f"{row['documents']:,}"]
        + [
            f"{row[stage][cost]:.0f}"
            for stage in _STAGES
            for cost in ("us_per_document", "peak_mb")
        ]
        for row in rows
    ]
    return markdown.table(columns, cells, text_columns=())


def _by_way(tokenizing: dict[str, Any]) -> str:
    cells = []
    for way, title in _WAYS.items():
        times = [process["seconds"] for process in tokenizing[way]]
        spread = f"{statistics.median(times):.1f} [{min(times):.1f}, {max(times):.1f}]"
        memory = max(process["peak_mb"] for process in tokenizing[way])
        cells.append([title, spread, f"{memory:,.0f}"])
    columns = ["what", "seconds, median [lowest, highest]", "MB, highest"]
    return markdown.table(columns, cells, text_columns=["what"])
