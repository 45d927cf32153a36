"""The figures of a run, and of several runs."""

import numpy as np
import pytest
from conftest import HOSTILE

from research.evaluation import figures, metrics

MOST_PIXELS = 4_100  # on a side; a bit more than figures aims at

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
    labels = np.ones(123 + 456, "int64")  # class 0 has no example
    predictions = np.repeat([0, 1], [123, 456])
    names = [f"a <class> & {number}" for number in range(classes)]
    figures.confusion_matrix(labels, predictions, names, tmp_path / "confusion")
    svg = (tmp_path / "confusion.svg").read_text()
    assert ("<!-- 456 -->" in svg) == (classes == 2)
    assert "nan" not in svg
    assert "a &lt;class&gt; &amp; 1" in svg


def test_a_reliability_diagram_shows_every_bin(tmp_path):
    bins = [
        {"confidence": 0.1 + 0.2 * number, "accuracy": 0.2 * number, "examples": 10 - number}
        for number in range(5)
    ]
    figures.reliability(bins, 0.1234, tmp_path / "reliability")
    svg = (tmp_path / "reliability.svg").read_text()
    assert "<!-- expected calibration error 0.123 -->" in svg
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")


def draw_many(folder):
    curves = {"slow": [[0.1, 0.2], [0.2, 0.3]], "quick": [[0.5, 0.6, 0.7]]}
    figures.learning_bands({"corpus one": curves, "corpus two": curves}, folder / "bands")
    points = [figures.Point(f"method {n}", "o", 10.0**n, 0.8, 0.7, 0.9) for n in range(3)]
    figures.accuracy_over_time({"corpus one": points}, folder / "times")
    figures.overview(points, "corpus one", folder / "overview")
    gains = np.array([[0.1, -0.3, 0.0], [0.2, -0.1, 0.0]])
    figures.class_gains(gains, ["a & b", "c", "d"], "F1: one minus other", folder / "gains")
    return sorted(folder.iterdir())


@pytest.mark.slow
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


# --- bounds --------------------------------------------------------------------------------------


def size_in_pixels(png):
    """Return width and height, which a PNG has after 16 bytes."""
    return np.frombuffer(png.read_bytes()[16:24], ">u4")


@pytest.mark.parametrize("classes", [300, 5_000])
def test_pictures_of_many_classes_are_bounded(tmp_path, monkeypatch, classes):
    sides = []

    def confusion(labels, predictions, classes):
        sides.append(classes)
        return metrics.confusion(labels, predictions, classes)

    monkeypatch.setattr(figures, "metrics", type("", (), {"confusion": confusion}))
    labels = np.arange(classes)
    names = [f"the class of number {number}" for number in labels]
    figures.confusion_matrix(labels, labels[::-1], names, tmp_path / "confusion", "a title")
    gains = np.linspace(-1, 1, 2 * classes).reshape(2, classes)
    figures.class_gains(gains, names, "F1", tmp_path / "gains")
    for stem in ("confusion", "gains"):
        assert (size_in_pixels(tmp_path / f"{stem}.png") <= MOST_PIXELS).all()
        assert (tmp_path / f"{stem}.svg").stat().st_size < 2_000_000
    assert max(sides) <= 1_000
    svg = (tmp_path / "confusion.svg").read_text()
    assert "<!-- the class of number 0 -->" not in svg
    assert ("<!-- label (class number, 5 in a cell) -->" in svg) == (classes == 5_000)
    gained = (tmp_path / "gains.svg").read_text()
    assert "<!-- the class of number 0 -->" in gained
    assert f"<!-- the class of number {classes - 1} -->" in gained
    assert (f"the 50 least and the 50 greatest of {classes:,} classes" in gained) == (classes > 100)


def test_cells_of_neighbours_add_up(tmp_path, monkeypatch):
    monkeypatch.setattr(figures, "_MOST_CELLS", 3)
    monkeypatch.setattr(figures, "_MOST_WITH_NAMES", 3)
    drawn = []
    monkeypatch.setattr(figures, "save", lambda figure, stem: drawn.append(figure))
    labels, predictions = np.array([0, 1, 2, 3, 6, 6]), np.array([2, 0, 2, 6, 6, 0])
    figures.confusion_matrix(labels, predictions, list("abcdefg"), tmp_path / "confusion")
    (image,) = drawn[0].axes[0].get_images()
    np.testing.assert_allclose(image.get_array(), [[1, 0, 0], [0, 0, 1], [0.5, 0, 0.5]])
    assert image.get_extent() == [-0.5, 8.5, 8.5, -0.5]  # ticks are class numbers


def test_pictures_of_many_results_are_bounded(tmp_path):
    names = [f"experiment {number}" for number in range(60)]
    figures.learning_bands({"c": {name: [[0.1, 0.2]] for name in names}}, tmp_path / "bands")
    points = [figures.Point(name, "o", 1.0, 0.8, 0.7, 0.9) for name in names]
    figures.accuracy_over_time({"c": points}, tmp_path / "times")
    for stem in ("bands", "times"):
        assert (size_in_pixels(tmp_path / f"{stem}.png") <= MOST_PIXELS).all()
        svg = (tmp_path / f"{stem}.svg").read_text()
        assert [f"<!-- experiment {n}" in svg for n in (0, 19, 20)] == [True, True, False]


@pytest.mark.parametrize(
    "names", [(HOSTILE, "\udcff\0"), ("x" * 20_000, "新" * 40), ("W" * 40, "$" * 7)]
)
def test_any_name_is_drawn_as_it_is(tmp_path, names):
    labels = np.array([0, 1])
    name, other = names
    figures.confusion_matrix(labels, labels, names, tmp_path / "confusion", name)
    figures.class_gains(np.ones((1, 2)), names, f"{name}\n{other}", tmp_path / "gains")
    point = figures.Point(name, "o", 1.0, 0.8, 0.7, 0.9)
    figures.overview([point], other, tmp_path / "overview")
    figures.accuracy_over_time({other: [point]}, tmp_path / "times")
    figures.learning_bands({other: {name: [[0.5]]}}, tmp_path / "bands")
    for stem in ("confusion", "gains", "overview", "times", "bands"):
        assert (size_in_pixels(tmp_path / f"{stem}.png") <= MOST_PIXELS).all()
        svg = (tmp_path / f"{stem}.svg").read_text()
        assert all(letter.isprintable() or letter == "\n" for letter in svg)
        for shown in names:
            shown = shown[:10].translate({0: "\\x00", 0xDCFF: "\\udcff"})
            assert f"<!-- {shown}" in svg
        assert "x" * 130 not in svg


def test_a_figure_that_would_be_too_large_has_fewer_pixels_to_the_inch(tmp_path):
    figure = figures.Figure(figsize=(100, 2))
    figure.subplots()
    figures.save(figure, tmp_path / "wide")
    width, height = size_in_pixels(tmp_path / "wide.png")
    assert MOST_PIXELS - 200 < width <= MOST_PIXELS
    assert height < 150  # 2 inches of 100


def test_a_picture_replaces_the_old_one_as_a_whole(tmp_path, monkeypatch):
    svg, png = draw(tmp_path / "curves")
    before = svg.read_bytes(), png.read_bytes()

    def fail(figure, *arguments, **options):
        raise MemoryError

    monkeypatch.setattr(figures.Figure, "savefig", fail)
    with pytest.raises(MemoryError):
        figures.learning_curves(HISTORY[:1], tmp_path / "curves")
    assert (svg.read_bytes(), png.read_bytes()) == before
