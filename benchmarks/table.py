"""Makes tables and a figure from the records of the benchmarks: `python -m benchmarks.table`.

Nothing is measured here. `results/benchmarks/*.json` become `tables/step_time` (.md, and .tex for
booktabs) and `figures/step_time` (.svg and .png) in `results/`. `scale.json`, `serving.json` and
`time_to_accuracy.json` there, if they exist, become pages in `tables/`.
"""

from pathlib import Path

from benchmarks.tables import scale, serving, step_time_figure, step_times, time_to_accuracy
from research.files import atomic
from research.processes import command


def main(records: Path = Path("results/benchmarks"), results: Path = Path("results")) -> None:
    """Makes tables and a figure from the records of the benchmarks.

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
    sections = [step_times.markdown_section(record, name) for name, record in contents.items()]
    _write(results / "tables" / "step_time.md", "\n".join(["# Step times\n", *sections]))
    sections = [step_times.latex_section(record, name) for name, record in contents.items()]
    _write(results / "tables" / "step_time.tex", "\n".join(sections))
    pages = {"scale": scale.page, "serving": serving.page}
    for name, page in (pages | {"time_to_accuracy": time_to_accuracy.page}).items():
        path = results / f"{name}.json"
        if path.exists():
            _write(results / "tables" / f"{name}.md", page(atomic.read_json(path)))
    with_training = [record for record in contents.values() if step_times.training(record)]
    if with_training:
        stem = results / "figures" / "step_time"
        step_time_figure.draw(with_training, stem)
        print(f"written: {stem}.svg and .png")


def _write(path: Path, text: str) -> None:
    atomic.write(path, text.encode())
    print(f"written: {path}")


if __name__ == "__main__":
    command.run(main)
