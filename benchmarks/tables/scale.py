"""The table of what a larger corpus costs."""

import statistics
from typing import Any

from benchmarks.tables import markdown

_STAGES = {"learn": "learn the vocabulary", "encode": "encode", "train": "train"}
_WAYS = {"ours": "`research.tokens`", "tutorial": "the tutorial's way"}


def page(record: dict[str, Any]) -> str:
    """Return the page in Markdown.

    Args:
      record: the content of the record of `benchmarks.scale`.
    """
    tokenizing = record["tokenizing"]
    times = {way: [process["seconds"] for process in tokenizing[way]] for way in _WAYS}
    ratio = statistics.median(times["ours"]) / statistics.median(times["tutorial"])
    return f"""# What a larger corpus costs

{_by_stage(record["rows"])}
{tokenizing["documents"]:,} texts to integers, the vocabulary included:

{_by_way(tokenizing)}
Ours takes {ratio:.3f} of the tutorial's time; {len(times["ours"])} processes each.

""" + (
        "Posts of the train split of news20-bydate, repeated and shuffled; each "
        "measurement in a process of its own. MB are the most private memory over that before the "
        "stage; token ids are in a mapped file, whose pages the system takes back. Training is "
        "that of the tutorial's network, 64 steps in random order. "
        f"{record['processor']}, {record['threads']} threads, load "
        f"{record['load_before']:.2f} before, commit {record['commit']}.\n"
    )


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
    columns = ["", "seconds, median [least, most]", "MB, most"]
    return markdown.table(columns, cells, text_columns=[""])
