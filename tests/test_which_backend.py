"""Which backend to take: what is compared, the answer in sentences, and the table."""

import copy
import json

import pytest
from suite_records import BASE_MS, ONE_FACTOR, point, record, row, times

from benchmarks import run, table
from benchmarks.tables import answers, comparisons, which_backend


def machine_of(*records):
    (machine,) = comparisons.by_machine({f"{n}.json": one for n, one in enumerate(records)})
    return machine


def sentence(machine, subject):
    (found,) = [text for text in answers.sentences(machine) if text.startswith(f"**{subject}:**")]
    return found.partition(":** ")[2]


MACHINE = machine_of(record())


def test_the_answer_names_the_quickest_of_all_sizes_and_the_worst_case_of_each():
    assert sentence(MACHINE, "Over all") == (
        "of 8 sizes, tensorflow is quickest at 5, jax is quickest at 2 and at 1 no difference is "
        "to be seen between the quickest. At its worst size, jax takes 1.50 times, torch takes "
        "1.50 times and tensorflow takes 2.00 times the time of the quickest."
    )


def test_each_axis_has_an_answer_with_factors_and_says_where_no_difference_is_to_be_seen():
    assert sentence(MACHINE, "Batch size") == (
        "at *batch 32* jax is quickest, and the next takes 1.50 times its time; at *batch 128* "
        "tensorflow is quickest, and the next takes 1.25 times its time; at *batch 512* no "
        "difference is to be seen between tensorflow and torch, and the next takes 1.33 times its "
        "time. The slowest here is tensorflow at *batch 32*, 2.00 times the time of the quickest."
    )
    assert sentence(MACHINE, "Threads").startswith(
        "at *1 thread* and *2 threads* tensorflow is quickest, and the next takes 1.20 to 1.25"
    )
    assert sentence(MACHINE, "Model").startswith(
        "at *tutorial* tensorflow is quickest, and the next takes 1.25 times its time; at "
        "*wide-deep* jax is quickest, and the next takes 1.50 times"
    )
    assert "at *batch 32, 800 tokens* tensorflow" in sentence(MACHINE, "Two sizes at once")


def test_the_answer_changes_with_the_record():
    slow = {"jax": 10, "tensorflow": 90, "torch": 30}
    points = [*point(ONE_FACTOR, slow), *point(["threads"], slow, threads=1)]
    machine = machine_of(record(points=points))
    assert sentence(machine, "Over all").startswith("of 2 sizes, jax is quickest at 2. At its")
    assert "at *1 thread* and *2 threads* jax is quickest, and the next takes 3.00 times" in (
        sentence(machine, "Threads")
    )
    assert machine.axes() == ["threads"]


def test_the_answer_says_what_memory_keras_and_processes_cost():
    assert sentence(MACHINE, "Memory") == (
        "of 8 sizes, tensorflow takes the least at 6 and jax takes the least at 2. Most is taken "
        "at *800 tokens*: jax 540 MB, tensorflow 460 MB and torch 500 MB."
    )
    assert "on torch it is 2.00 times as fast as `model.fit` and 0.50 times as fast as" in (
        sentence(MACHINE, "Our epoch")
    )
    apart = times(50) | {"medians_of_processes": [50, 55]}
    several = record(rows=[row("torch", "ours", "our epoch", 50, unit_time_ms=apart)])
    assert "differed by up to 10% between" in sentence(machine_of(several), "Luck of a process")
    assert not [text for text in answers.sentences(MACHINE) if "Luck" in text]


def test_processes_that_are_apart_hide_a_difference_that_quartiles_show():
    rows = [row("jax", "ours", "our epoch", 50), row("torch", "ours", "our epoch", 60)]
    assert machine_of(record(rows=rows, points=[])).comparisons[0].leaders() == ["jax"]
    rows[1]["unit_time_ms"]["medians_of_processes"] = [50.5, 60, 61]
    assert machine_of(record(rows=rows, points=[])).comparisons[0].leaders() == ["jax", "torch"]


def test_a_single_backend_is_not_compared():
    alone = machine_of(record(points=point(ONE_FACTOR, {"jax": 60})))
    assert answers.sentences(alone) == ["Only jax was measured, so there is nothing to compare."]
    assert which_backend.choices(alone) == []
    assert [row["slower"] for row in which_backend.cells(alone)] == ["–"]  # noqa: RUF001


def test_the_table_has_the_quickest_of_each_size_first():
    cells = which_backend.cells(MACHINE)
    assert [list(row.values()) for row in cells[:3]] == [
        ["base", "tensorflow", "40.0 [39.2, 40.8]", "quickest", "3,200", "140", "2.00x", "0.50x"],
        ["", "torch", "50.0 [49.0, 51.0]", "1.25x", "2,560", "150", "2.00x", "0.50x"],
        ["", "jax", "60.0 [58.8, 61.2]", "1.50x", "2,133", "160", "2.00x", "0.50x"],
    ]
    by_size = {row["what"]: place for place, row in enumerate(cells)}
    assert cells[by_size["batch 512"] + 1]["slower"] == "1.02x, no difference to be seen"
    assert cells[by_size["batch 512"] + 2]["slower"] == "1.33x"
    assert cells[by_size["wide-deep"]]["native"] == "–"  # noqa: RUF001
    assert len(cells) == 3 * 8


def test_the_short_table_says_which_to_take():
    assert which_backend.choices(MACHINE)[:3] == [
        ("base", "tensorflow", "torch 1.25x, jax 1.50x"),
        ("batch 32", "jax", "torch 1.50x, tensorflow 2.00x"),
        ("batch 512", "tensorflow or torch", "jax 1.33x"),
    ]


def test_a_backend_that_was_left_on_the_cpu_is_noticed():
    mixed = record(doubts=[])
    mixed["machine"]["devices"] |= {"torch": "gpu: Some GPU"}
    page = which_backend.page([machine_of(mixed)], {})
    assert "**Doubtful:** jax and tensorflow computed on a CPU and the others on a GPU" in page
    assert "on a GPU" not in which_backend.page([machine_of(record())], {})


def test_the_page_says_what_was_measured_and_what_makes_it_doubtful():
    page = which_backend.page([MACHINE], {"scaling": "Texts a second"})
    assert "## Some CPU\n\n**Doubtful:** the machine was busy (0.json).\n" in page
    assert "- Base: tutorial, batch 128, 200 tokens, 50 dimensions, 2 threads." in page
    assert "from 1 process for each row and 6 rounds in all" in page
    assert "Records: 0.json, commit c0ffee." in page
    assert page.endswith("![Texts a second](../figures/scaling.png)\n")
    assert "No record" in which_backend.page([], {})


def test_latex_marks_what_cannot_be_told_apart():
    text = which_backend.latex_page([MACHINE])
    assert r"& torch & 153.0 [149.9, 156.1] & 1.02x = & 3,346 & 253 & 2.00x & 0.50x \\" in text
    assert "=: no difference to be seen" in text
    assert r"\label{tab:backend-some-cpu}" in text


# --- records -------------------------------------------------------------------------------------


def test_each_machine_has_a_section_of_its_own():
    gpu = copy.deepcopy(record())
    gpu["machine"]["devices"] = dict.fromkeys(BASE_MS, "gpu: Some GPU")
    one, other = comparisons.by_machine({"cpu.json": record(), "gpu.json": gpu})
    assert (one.name, other.name) == ("Some CPU", "Some GPU")
    assert list(other.records) == ["gpu.json"]


def test_of_equal_sizes_the_newest_record_counts():
    new = record(method={"processes": 3, "finished": "2026-02-02"})
    new["points"] = point(ONE_FACTOR, {"jax": 1, "tensorflow": 2, "torch": 3})
    for machine in (machine_of(record(), new), machine_of(new, record())):
        assert machine.comparisons[0].ranked() == ["jax", "tensorflow", "torch"]
        assert len(machine.comparisons) == 8


def test_an_older_record_is_one_comparison_of_its_own_sizes():
    old = {name: value for name, value in record().items() if name != "points"}
    old["rows"] = [row("jax", "ours", "our epoch", 40), row("torch", "ours", "our epoch", 60)]
    for name, ms in (("native, jit, memory kept", 44), ("native, jit", 30), ("native, scan", 1)):
        old["rows"].append(row("jax", "peer", name, ms))
    machine = machine_of(old)
    assert (machine.base, machine.axes()) == (None, [])
    first, second = which_backend.cells(machine)
    assert first["what"] == "tutorial, batch 128, 200 tokens, 50 dimensions, 2 threads"
    assert (first["backend"], first["native"], first["MB"]) == ("jax", "1.10x", "–")  # noqa: RUF001
    assert second["slower"] == "1.50x"


def test_the_committed_records_have_an_answer():
    folder = run.ROOT / "results" / "benchmarks"
    records = {path.name: json.loads(path.read_text()) for path in folder.glob("*.json")}
    machines = comparisons.by_machine(records)
    assert {name for machine in machines for name in machine.records} == set(records)
    assert all(answers.sentences(machine) for machine in machines)


@pytest.mark.parametrize("has_points", [True, False])
def test_the_command_writes_the_answer_and_draws_what_it_can(tmp_path, has_points):
    content = record() if has_points else record(points=[])
    (tmp_path / "some-cpu-50d.json").write_text(json.dumps(content))
    table.main(tmp_path, tmp_path / "results")
    names = {path.name for path in (tmp_path / "results").rglob("*.*")}
    of_sizes = {"scaling.svg", "memory.png", "performance_profile.svg"}
    assert names >= {"which_backend.md", "which_backend.tex", "roofline.svg", "step_time.svg"}
    assert names & of_sizes == (of_sizes if has_points else set())
    page = (tmp_path / "results" / "tables" / "which_backend.md").read_text()
    assert ("../figures/scaling.png" in page) == has_points
