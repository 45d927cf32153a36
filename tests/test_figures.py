"""The figures of a run, and of several runs."""

from itertools import combinations

import numpy as np
import pytest
from conftest import HOSTILE
from matplotlib.text import Annotation, Text

from research.evaluation import figure_style, figures, metrics
from research.evaluation.baseline_methods import METHODS
from research.evaluation.figures import Curve, Point
from research.models.registry import MODELS

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
    figures.reliability(BINS, 0.1234, tmp_path / "reliability")
    svg = (tmp_path / "reliability.svg").read_text()
    assert "<!-- expected calibration error 0.123 -->" in svg
    assert (tmp_path / "reliability.png").read_bytes().startswith(b"\x89PNG")


def point(kind, seconds=1.0, accuracy=0.8, saw_validation=False, machine="a CPU, 2 cores"):
    worst_to_best = accuracy, accuracy - 0.01, accuracy + 0.01
    return Point(kind, kind, saw_validation, seconds, *worst_to_best, machine)


def curve(kind, places=(1, 2), accuracies=((0.1, 0.2), (0.2, 0.3)), saw_validation=False):
    return Curve(kind, kind, saw_validation, places, accuracies)


BINS = [
    {"confidence": 0.1 + 0.2 * number, "accuracy": 0.2 * number, "examples": 10 - number}
    for number in range(5)
]


def draw_many(folder):
    curves = [curve("slow"), curve("quick", (1,), [(0.5,)], saw_validation=True)]
    figures.learning_bands({"corpus one": curves, "corpus two": curves}, folder / "bands")
    figures.label_curves({"corpus one": curves}, folder / "labels")
    points = [point(f"method {n}", 10.0**n, saw_validation=n == 0) for n in range(3)]
    figures.accuracy_over_time({"corpus one": points}, folder / "times")
    figures.overview(points, "corpus one", folder / "overview")
    calibrated = figures.Calibrated("slow", [BINS, BINS], 0.1234)
    figures.reliability_of_corpora({"corpus one": calibrated}, folder / "reliability")
    gains = np.array([[0.1, -0.3, 0.0], [0.2, -0.1, 0.0]])
    texts = np.array([1234, 5, 6])
    figures.class_gains(gains, ["a & b", "c", "d"], texts, "F1: one minus other", folder / "gains")
    return sorted(folder.iterdir())


@pytest.mark.slow
def test_figures_of_many_runs_are_the_same_again(tmp_path):
    once, again = draw_many(tmp_path / "once"), draw_many(tmp_path / "again")
    assert [path.name for path in once] == [
        f"{name}.{suffix}"
        for name in ("bands", "gains", "labels", "overview", "reliability", "times")
        for suffix in ("png", "svg")
    ]
    for one, other in zip(once, again, strict=True):
        assert one.read_bytes() == other.read_bytes()


def test_figures_of_many_runs_name_what_they_show(tmp_path):
    draw_many(tmp_path)
    for name, labels in {
        "bands": ["corpus one", "corpus two", "slow (2)", "quick † (1)", "epoch"],
        "labels": ["corpus one", "slow (2)", "training texts"],
        "times": ["corpus one", "method 0 †", "method 2", "training (s)"],
        "overview": ["corpus one", "method 0 †", "0.800", "† learned from train + validation"],
        "reliability": ["corpus one: ECE 0.123"],
        "gains": ["a &amp; b (1,234)", "c (5)", "F1: one minus other"],
    }.items():
        svg = (tmp_path / f"{name}.svg").read_text()
        assert [label for label in labels if f"<!-- {label} -->" not in svg] == []


def test_points_of_several_machines_are_marked(tmp_path, drawn):
    here, there = point("here"), point("there", seconds=9, machine="another CPU, 2 cores")
    for points in ([here], [here, there]):
        figures.overview(points, "corpus", tmp_path / "overview")
        figures.accuracy_over_time({"corpus": points}, tmp_path / "times")
    labels = [{text.get_text() for text in figure.axes[0].texts} for figure in drawn]
    assert labels == [
        {"here\n0.800"},
        {"here"},
        {"here [1]\n0.800", "there [2]\n0.800"},
        {"here [1]", "there [2]"},
    ]
    notes = [drawn[0].axes[0].get_xlabel(), drawn[3].get_supxlabel()]
    assert notes[0].endswith("\nTimed on a CPU, 2 cores")
    assert "Timed on [1] a CPU, 2 cores; [2] another CPU, 2 cores. Compare times" in notes[1]


def test_classes_are_drawn_from_the_least_gain_up(tmp_path):
    draw_many(tmp_path)
    svg = (tmp_path / "gains.svg").read_text()
    places = [svg.index(f"<!-- {name} -->") for name in ("c (5)", "d (6)", "a &amp; b (1,234)")]
    assert places == sorted(places)


# --- the look ------------------------------------------------------------------------------------

KINDS = [entry.title for entry in MODELS.values()] + [method.title for method in METHODS.values()]


@pytest.fixture
def drawn(monkeypatch):
    """Return a list that gets the figures instead of files."""
    saved = []
    monkeypatch.setattr(figures, "save", lambda figure, stem: saved.append(figure))
    return saved


def test_each_method_has_a_colour_a_marker_and_in_grey_a_line_of_its_own():
    looks = [figure_style.look(kind) for kind in KINDS]
    assert (
        len({look.colour for look in looks}) == len({look.marker for look in looks}) == len(KINDS)
    )
    assert figure_style.look("new") == figure_style.look("new")
    assert figure_style.look("new").marker not in {look.marker for look in looks}


def test_a_method_looks_the_same_in_all_figures(tmp_path, drawn):
    for kinds in (KINDS, KINDS[::-1], KINDS[3:]):
        figures.overview([point(kind) for kind in kinds], "c", tmp_path / "overview")
        figures.accuracy_over_time({"c": [point(kind) for kind in kinds]}, tmp_path / "times")
        figures.learning_bands({"c": [curve(kind) for kind in kinds]}, tmp_path / "bands")
        figures.label_curves({"c": [curve(kind) for kind in kinds]}, tmp_path / "labels")
        for figure in drawn:
            lines = [line for line in figure.axes[0].lines if line.get_marker() != "None"]
            assert [(line.get_color(), line.get_marker()) for line in lines] == [
                figure_style.look(kind)[:2] for kind in kinds
            ]
        drawn.clear()


def boxes_of_labels(axes):
    axes.figure.draw_without_rendering()  # which puts labels to their places
    labels = [text for text in axes.texts if isinstance(text, Annotation)]
    return [Text.get_window_extent(text) for text in labels]


def test_labels_cover_neither_points_nor_each_other(tmp_path, drawn):
    random = np.random.default_rng(0)
    panels = {
        f"corpus {number}": [
            point(kind, 10 ** random.uniform(-0.5, 2), random.uniform(0.6, 0.9), number % 2 == 0)
            for kind in KINDS
        ]
        for number in range(7)
    }
    figures.accuracy_over_time(panels, tmp_path / "times")
    for axes, points in zip(drawn[0].axes, panels.values(), strict=True):
        boxes = boxes_of_labels(axes)
        assert len(boxes) == len(KINDS)
        assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
        places = axes.transData.transform([(point.seconds, point.accuracy) for point in points])
        assert not any(box.contains(*place) for box in boxes for place in places)


@pytest.mark.parametrize("draw_curves", [figures.learning_bands, figures.label_curves])
def test_labels_of_lines_with_the_same_end_are_apart(tmp_path, drawn, draw_curves):
    draw_curves({"one": [curve(k) for k in KINDS], "two": [curve("a")]}, tmp_path / "curves")
    axes = drawn[0].axes[0]
    boxes = boxes_of_labels(axes)
    assert len(boxes) == len(KINDS)
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
    assert min(box.xmin for box in boxes) > axes.bbox.xmax
    assert max(box.xmax for box in boxes) < drawn[0].axes[1].bbox.xmin


@pytest.mark.parametrize("panels", [1, 2, 7])
def test_figures_of_corpora_are_as_wide_as_a_text(tmp_path, panels):
    figures.accuracy_over_time({f"c{n}": [point("a")] for n in range(panels)}, tmp_path / "times")
    width, height = size_in_pixels(tmp_path / "times.png") / 200
    assert width == pytest.approx(7, abs=0.1)
    assert height < 9.5  # of a page


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
    figures.class_gains(gains, names, labels, "F1", tmp_path / "gains")
    for stem in ("confusion", "gains"):
        assert (size_in_pixels(tmp_path / f"{stem}.png") <= MOST_PIXELS).all()
        assert (tmp_path / f"{stem}.svg").stat().st_size < 2_000_000
    assert max(sides) <= 1_000
    svg = (tmp_path / "confusion.svg").read_text()
    assert "<!-- the class of number 0 -->" not in svg
    assert ("<!-- label (class number, 5 in a cell) -->" in svg) == (classes == 5_000)
    gained = (tmp_path / "gains.svg").read_text()
    assert "<!-- the class of number 0 (0) -->" in gained
    assert f"<!-- the class of number {classes - 1} ({classes - 1:,}) -->" in gained
    assert f"the 30 least and the 30 greatest of {classes:,} classes" in gained


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
    figures.learning_bands({"c": [curve(name) for name in names]}, tmp_path / "bands")
    figures.accuracy_over_time({"c": [point(name) for name in names]}, tmp_path / "times")
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
    gains_label = f"{name}\n{other}"
    figures.class_gains(np.ones((1, 2)), names, labels, gains_label, tmp_path / "gains")
    figures.overview([point(name)], other, tmp_path / "overview")
    figures.accuracy_over_time({other: [point(name)]}, tmp_path / "times")
    figures.learning_bands({other: [curve(name)]}, tmp_path / "bands")
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
