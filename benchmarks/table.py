"""Makes tables and figures from the records of the benchmarks: `python -m benchmarks.table`.

Nothing is measured here. `results/benchmarks/*.json` become `tables/step_time` and
`tables/which_backend` (.md, and .tex for booktabs) and `figures/step_time` (.svg and .png) in
`results/`. Records with several sizes also become `figures/scaling`, `memory`,
`performance_profile` and `roofline`. `results/scale.json` and `results/serving.json`, if they
exist, become `tables/scale.md` and `tables/serving.md`.
"""

from pathlib import Path
from typing import Any

from benchmarks.tables import (
    comparisons,
    scale,
    serving,
    size_figures,
    step_time_figure,
    step_times,
    time_to_accuracy,
    which_backend,
)
from research.files import atomic
from research.processes import command


def main(records: Path = Path("results/benchmarks"), results: Path = Path("results")) -> None:
    """Makes tables and figures from the records of the benchmarks.

    Args:
      records: the folder of the records of `benchmarks.run`.
      results: the folder of the other records; it gets `tables/` and `figures/`.
    """
    contents = {path.name: atomic.read_json(path) for path in sorted(records.glob("*.json"))}
    if not contents:
        raise ValueError(
            f"expected a record in {records}, received none; python -m benchmarks.run writes one"
        )
    # Those of one machine side by side.
    contents = dict(sorted(contents.items(), key=lambda item: step_times.heading(item[1])))
    _step_times(contents, results)
    _which_backend(contents, results)
    pages = {"scale": scale.page, "serving": serving.page}
    for name, page in (pages | {"time_to_accuracy": time_to_accuracy.page}).items():
        path = results / f"{name}.json"
        if path.exists():
            _write(results / "tables" / f"{name}.md", page(atomic.read_json(path)))


def _step_times(contents: dict[str, dict[str, Any]], results: Path) -> None:
    sections = [step_times.markdown_section(record, name) for name, record in contents.items()]
    _write(results / "tables" / "step_time.md", "\n".join(["# Step times\n", *sections]))
    sections = [step_times.latex_section(record, name) for name, record in contents.items()]
    _write(results / "tables" / "step_time.tex", "\n".join(sections))
    with_training = [record for record in contents.values() if step_times.training(record)]
    if with_training:
        stem = results / "figures" / "step_time"
        step_time_figure.draw(with_training, stem)
        print(f"written: {stem}.svg and .png")


def _which_backend(contents: dict[str, dict[str, Any]], results: Path) -> None:
    machines = comparisons.by_machine(contents)
    shown = size_figures.draw(machines, results / "figures")
    for name in shown:
        print(f"written: {results / 'figures' / name}.svg and .png")
    tables = results / "tables"
    _write(tables / "which_backend.md", which_backend.page(machines, shown))
    _write(tables / "which_backend.tex", which_backend.latex_page(machines))


def _write(path: Path, text: str) -> None:
    atomic.write(path, text.encode())
    print(f"written: {path}")


if __name__ == "__main__":
    command.run(main)
