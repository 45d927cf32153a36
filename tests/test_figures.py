"""The figures of a run, and of several runs."""

import numpy as np
import pytest

from research.evaluation import figures

HISTORY = [
    {
        "epoch": epoch,
        "loss": 1 / epoch,
        "accuracy": 1 - 0.5 / epoch,
        "validation_loss": 1.5 / epoch,
        "validation_accuracy": 1 - 0.6 / epoch,
    }
    for epoch in (1, 2, 3)
]


def draw(stem):
    figures.learning_curves(HISTORY, stem)
    return stem.with_name(f"{stem.name}.svg"), stem.with_name(f"{stem.name}.png")


def test_learning_curves_are_written_as_svg_and_png(tmp_path):
    svg, png = draw(tmp_path / "v1.2 curves")  # the dot is no suffix
    assert {path.name for path in tmp_path.iterdir()} == {"v1.2 curves.svg", "v1.2 curves.png"}
    for label in ("epoch", "loss (nats)", "accuracy", "train", "validation"):
        assert f"<!-- {label} -->" in svg.read_text()
    assert png.read_bytes().startswith(b"\x89PNG")


def test_the_same_history_makes_the_same_files(tmp_path):
    for one, other in zip(draw(tmp_path / "one"), draw(tmp_path / "other"), strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_a_run_of_one_epoch_has_a_figure(tmp_path):
    figures.learning_curves(HISTORY[:1], tmp_path / "curves")
    assert (tmp_path / "curves.png").exists()


def test_a_run_without_validation_has_one_curve_a_panel(tmp_path):
    history = [{name: line[name] for name in ("epoch", "loss", "accuracy")} for line in HISTORY]
    figures.learning_curves(history, tmp_path / "curves")
    svg = (tmp_path / "curves.svg").read_text()
    assert "<!-- train -->" in svg
    assert "<!-- validation -->" not in svg


@pytest.mark.parametrize("classes", [2, 31])
def test_a_confusion_matrix_shows_its_counts_while_there_is_room(tmp_path, classes):
    confusion = np.zeros((classes, classes), "int64")
    confusion[0] = 0  # a class of which the split has no example
    confusion[1, :2] = 123, 456
    names = [f"a <class> & {number}" for number in range(classes)]
    figures.confusion_matrix(confusion, names, tmp_path / "confusion")
    svg = (tmp_path / "confusion.svg").read_text()
    assert ("<!-- 456 -->" in svg) == (classes == 2)
    assert "nan" not in svg
    assert "a &lt;class&gt; &amp; 1" in svg


def draw_many(folder):
    curves = {"slow": [[0.1, 0.2], [0.2, 0.3]], "quick": [[0.5, 0.6, 0.7]]}
    figures.learning_bands({"corpus one": curves, "corpus two": curves}, folder / "bands")
    points = [figures.Point(f"method {n}", "o", 10.0**n, 0.8, 0.7, 0.9) for n in range(3)]
    figures.accuracy_over_time({"corpus one": points}, folder / "times")
    figures.overview(points, "corpus one", folder / "overview")
    gains = np.array([[0.1, -0.3, 0.0], [0.2, -0.1, 0.0]])
    figures.class_gains(gains, ["a & b", "c", "d"], "F1: one minus other", folder / "gains")
    return sorted(folder.iterdir())


def test_figures_of_many_runs_are_the_same_again(tmp_path):
    once, again = draw_many(tmp_path / "once"), draw_many(tmp_path / "again")
    assert [path.name for path in once] == [
        f"{name}.{suffix}"
        for name in ("bands", "gains", "overview", "times")
        for suffix in ("png", "svg")
    ]
    for one, other in zip(once, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_figures_of_many_runs_name_what_they_show(tmp_path):
    draw_many(tmp_path)
    for name, labels in {
        "bands": ["corpus one", "corpus two", "slow, n = 2", "quick, n = 1", "epoch"],
        "times": ["corpus one", "method 0", "method 2", "training (s)"],
        "overview": ["corpus one", "method 0", "0.800", "training time (s, log scale)"],
        "gains": ["a &amp; b", "c", "F1: one minus other"],
    }.items():
        svg = (tmp_path / f"{name}.svg").read_text()
        assert [label for label in labels if f"<!-- {label} -->" not in svg] == []


def test_classes_are_drawn_from_the_least_gain_up(tmp_path):
    draw_many(tmp_path)
    svg = (tmp_path / "gains.svg").read_text()
    places = [svg.index(f"<!-- {name} -->") for name in ("c", "d", "a &amp; b")]
    assert places == sorted(places)
