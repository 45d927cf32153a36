"""The figures of the benchmark suite, and the limits that they show."""

from itertools import combinations

import numpy as np
import pytest
from matplotlib.patches import Rectangle
from suite_records import ONE_FACTOR, point, record, row

from benchmarks.tables import (
    backend_looks,
    comparisons,
    performance_profile,
    roofline,
    scaling_figure,
    step_time_figure,
    step_times,
)
from research.evaluation import figure_style, figures


@pytest.fixture
def drawn(monkeypatch):
    """Return a list that gets the figures instead of files."""
    saved = []
    monkeypatch.setattr(figures, "save", lambda figure, stem: saved.append(figure))
    return saved


def machines(*records):
    return comparisons.by_machine({f"{n}.json": one for n, one in enumerate(records)})


def texts_of_legends(figure):
    parts = [figure, *figure.subfigs]
    return [[text.get_text() for text in legend.texts] for part in parts for legend in part.legends]


def assert_ticks_are_apart(figure):
    figure.draw_without_rendering()
    for axes in figure.axes:
        for axis in (axes.xaxis, axes.yaxis):
            low, high = sorted(axis.get_view_interval())
            shown = [tick for tick in axis.get_major_ticks() if low <= tick.get_loc() <= high]
            labels = [tick.label1 for tick in shown if tick.label1.get_visible()]
            names = [label.get_text() for label in labels]
            boxes = [label.get_window_extent() for label in labels]
            assert not any(one.overlaps(other) for one, other in combinations(boxes, 2)), names


# --- step times ----------------------------------------------------------------------------------

SLOW = row("jax", "peer", "native, scan", 4_000.0)


def test_colours_of_step_times_have_a_legend_and_doubts_are_in_a_note(tmp_path, drawn):
    step_time_figure.draw([record()], tmp_path / "step_time")
    (figure,) = drawn
    assert texts_of_legends(figure) == [["ours", "Keras's model.fit", "native code"]]
    (axes,) = figure.axes
    assert axes.get_title() == "Some CPU, 2 threads, 50 dimensions, batch 128"
    assert axes.get_xlabel().endswith("\nDoubtful: the machine was busy")
    assert "dotted: in bfloat16" in axes.get_xlabel().replace("\n", " ")


def test_bars_begin_at_zero_and_a_logarithmic_axis_has_none(tmp_path, drawn):
    wide = record(rows=[*record()["rows"], SLOW])
    step_time_figure.draw([record(), wide], tmp_path / "step_time")
    linear, logarithmic = drawn[0].axes
    bars = [[p for p in axes.patches if isinstance(p, Rectangle)] for axes in drawn[0].axes]
    assert (linear.get_xscale(), len(bars[0]), linear.get_xlim()[0]) == ("linear", 10, 0)
    assert (logarithmic.get_xscale(), bars[1]) == ("log", [])
    dots = [line for line in logarithmic.lines if line.get_marker() == "o"]
    assert sorted(line.get_xdata()[0] for line in dots)[-1] == 4_000
    assert_ticks_are_apart(drawn[0])


def test_a_row_in_bfloat16_has_the_limit_of_its_own_rate():
    content = record()
    (bfloat16,) = (cells for cells in step_times.training_cells(content) if "bfloat16" in cells[1])
    assert bfloat16[7] == "50%"  # 5 GFLOP at 400 GFLOP/s are 12.5 ms of 25
    text = step_times.markdown_section(content, "a.json")
    assert "5.00 GFLOP take 25.0 ms at 200 GFLOP/s" in text
    assert "That of rows in bfloat16 is 12.5 ms, at 400 GFLOP/s" in text
    for of_row in content["rows"]:
        of_row.pop("bfloat16_gflops", None)
    assert [cells[7] for cells in step_times.training_cells(content) if "bfl" in cells[1]] == [""]
    assert "rows in bfloat16" not in step_times.markdown_section(content, "a.json")


def test_a_step_is_compared_with_model_fit_itself_and_names_of_new_records_are_explained():
    content = record()
    quicker = row("tensorflow", "fit", "model.fit, without autotuning", 60.0)
    content["rows"].append(quicker)
    cells = {tuple(cells[:2]): cells for cells in step_times.training_cells(content)}
    assert cells["tensorflow", "our epoch"][8] == "2.00x"
    assert cells["tensorflow", "model.fit, without autotuning"][8] == "1.33x"
    text = step_times.markdown_section(content, "a.json")
    assert "`without autotuning`: `tf.data` does not adapt" in text
    assert "memory kept" not in text


# --- sizes ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("quantity", [scaling_figure.SPEED, scaling_figure.MEMORY])
def test_each_axis_has_a_panel_and_each_backend_its_look(tmp_path, drawn, quantity):
    scaling_figure.draw(machines(record()), quantity, tmp_path / "scaling")
    (figure,) = drawn
    names = [axes.get_title() or axes.get_xlabel() for axes in figure.axes]
    assert names == list(comparisons.AXES.values())
    kinds = ["our epoch", "model.fit", "native"]
    assert texts_of_legends(figure) == [["jax", "tensorflow", "torch", *kinds]]
    batch = figure.axes[0]
    looks = {
        (line.get_color(), line.get_linestyle())
        for line in batch.lines
        if line.get_marker() != "None"
    }
    assert looks == {
        (colour, line)
        for colour in backend_looks.COLOURS.values()
        for line in backend_looks.LINES.values()
    }
    assert {text.get_text() for text in batch.texts} == {"jax", "tensorflow", "torch"}
    assert_ticks_are_apart(figure)


def test_texts_a_second_are_those_of_the_record_with_quartiles(tmp_path, drawn):
    scaling_figure.draw(machines(record()), scaling_figure.SPEED, tmp_path / "scaling")
    batch = drawn[0].axes[0]
    lines = [line for line in batch.lines if line.get_color() == backend_looks.COLOURS["jax"]]
    (ours,) = (line for line in lines if line.get_linestyle() == "-" and len(line.get_xdata()) == 3)
    np.testing.assert_allclose(ours.get_xdata(), [32, 128, 512])
    np.testing.assert_allclose(ours.get_ydata(), [3200, 128 / 0.06, 2560])
    whiskers = [line.get_ydata() for line in lines if list(line.get_xdata()) == [32, 32]]
    assert any(np.allclose(ends, [3200 / 1.02, 3200 / 0.98]) for ends in whiskers)


def test_backends_can_be_told_apart_without_colours():
    assert len(set(backend_looks.COLOURS.values())) == len(set(backend_looks.MARKERS.values())) == 3
    assert len(set(backend_looks.LINES.values())) == 3


def test_a_machine_without_memory_or_sizes_is_not_drawn():
    without = record()
    for of_row in without["points"]:
        of_row.pop("peak_memory_mb")
    assert scaling_figure.drawable(machines(without), scaling_figure.SPEED)
    assert scaling_figure.drawable(machines(without), scaling_figure.MEMORY) == []
    one_size = machines(record(points=point(ONE_FACTOR, {"jax": 1})))
    assert scaling_figure.drawable(one_size, scaling_figure.SPEED) == []


def test_a_profile_is_the_share_of_sizes_within_a_factor(tmp_path, drawn):
    points = [
        *point(ONE_FACTOR, {"jax": 20, "torch": 40}),
        *point(["model"], {"jax": 30, "torch": 10}, model="wide-deep"),
    ]
    (machine,) = machines(record(points=points))
    ratios = performance_profile.profile(machine)
    # Native code takes half the time, but there is none for the second model.
    assert ratios["jax", "peer"].tolist() == [1, np.inf]
    assert ratios["jax", "ours"].tolist() == [2, 3]
    assert ratios["torch", "ours"].tolist() == [1, 4]
    assert ratios["torch", "fit"].tolist() == [2, 8]
    performance_profile.draw([machine], tmp_path / "profile")
    (figure,) = drawn
    native = figure.axes[2]
    steps = [line for line in native.lines if line.get_color() == backend_looks.COLOURS["jax"]]
    assert max(max(line.get_ydata()) for line in steps) == 0.5
    assert texts_of_legends(figure) == [["jax", "torch"]]
    assert_ticks_are_apart(figure)


def test_the_roofline_has_the_limits_of_the_record(tmp_path, drawn):
    (machine,) = machines(record())
    assert roofline.limits(machine) == (20.0, {"float32": 200.0, "bfloat16": 400.0})
    base = [dot for dot in roofline.dots_of(machine) if dot.sizes == "base" and dot.kind == "ours"]
    # 5 GFLOP and 0.2 GB a step; 60, 40, 50 and, in bfloat16, 25 ms
    assert {dot.flop_per_byte for dot in base} == {25.0}
    np.testing.assert_allclose(sorted(dot.gflops for dot in base), [250 / 3, 100, 125, 200])
    sizes = {dot.sizes for dot in roofline.dots_of(machine)}
    assert sizes == {"base", "batch 32", "batch 512", "800 tokens", "300 dimensions", "wide-deep"}
    roofline.draw([machine], tmp_path / "roofline")
    (axes,) = drawn[0].axes
    labels = {text.get_text() for text in axes.texts}
    assert labels >= {"memory: 20 GB/s", "base, bfloat16", "products in bfloat16: 400 GFLOP/s"}
    assert_ticks_are_apart(drawn[0])


@pytest.mark.parametrize("missing", ["memory_gb_s", "gbyte_per_round", "bfloat16_gflops"])
def test_a_roofline_needs_bandwidth_and_traffic_but_no_bfloat16(missing):
    content = record()
    for part in (content["machine"], *content["rows"], *content["points"]):
        part.pop(missing, None)
    assert bool(roofline.drawable(machines(content))) == (missing == "bfloat16_gflops")


def test_labels_of_logarithmic_axes_never_overlap(drawn):
    with figure_style.styled():
        for low, high in ((0.9, 1.1), (1, 3), (7, 4e5), (1e-3, 1e6)):
            figure = figures.Figure(figsize=(3, 2))
            axes = figure.subplots()
            axes.set(xlim=(low, high), ylim=(low, high))
            backend_looks.log_ticks(axes, axes.xaxis, 2.3)
            backend_looks.log_ticks(axes, axes.yaxis, 1.5)
            figure.draw_without_rendering()
            for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
                boxes = [tick.get_window_extent() for tick in ticks]
                assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))
                assert boxes
