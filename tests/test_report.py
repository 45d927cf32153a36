"""From records to tables and figures: `records`, `tables`, `report_figures` and the command."""

import copy
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import HOSTILE, ROOT, assert_refused
from markdown_it import MarkdownIt

from research import report
from research.config import Config
from research.evaluation import figures, records, tables
from research.files import atomic
from research.processes import escape
from research.training import checkpoints, run_folder
from research.training.checkpoints import Position, Saver

NAMES = ["ham", "spam"]
EXAMPLES = 1000


def record(accuracy, seed=0, history=(0.5, 0.6), **changes):
    """Return a record of a network that labels `accuracy` of 1,000 examples right."""
    right = round(accuracy * EXAMPLES / 2)
    lines = [
        " ".join([str(label)] * right + [str(1 - label)] * (EXAMPLES // 2 - right))
        for label in (0, 1)
    ]
    made = {
        "config": Config(corpus="r8", seed=seed).to_json(),
        "data": {
            "corpus_digest": "abc",
            "class_names": NAMES,
            "examples": {"train": 5000, "validation": 500},
        },
        "environment": [
            {"backend": "jax", "device": "cpu: cpu", "processor": "A chip & co", "cpu_cores": 2}
        ],
        "metrics": {
            "split": "test",
            "checkpoint": "best",
            "accuracy": accuracy,
            "macro_f1": accuracy - 0.01,
            "examples": EXAMPLES,
            "per_class": [
                {"class_name": name, "f1": accuracy, "support": EXAMPLES // 2} for name in NAMES
            ],
            "predictions": dict(zip(NAMES, lines, strict=True)),
        },
        "history": [
            {"epoch": epoch, "validation_accuracy": a, "seconds": 10.0}
            for epoch, a in enumerate(history, 1)
        ],
    }
    for name, value in changes.items():
        part, _, key = name.partition("__")
        made[part][key] = value
    return made


def baseline(accuracy, validation_accuracy, refitted=False, method="TF-IDF + LinearSVC"):
    made = record(accuracy)
    made["config"] = {
        "corpus": "r8",
        "method": method,
        "ngrams": 2,
        "truncated": False,
        "refitted": refitted,
    }
    del made["metrics"]["checkpoint"]
    made["environment"][0]["backend"] = "scikit-learn"
    made["history"] = [{"C": 1, "validation_accuracy": validation_accuracy, "seconds": 2.0}]
    return made


@pytest.fixture
def results(tmp_path):
    """Return a folder of results: two experiments of three seeds, and three baselines."""
    for seed, accuracy in enumerate((0.80, 0.81, 0.82)):
        save(tmp_path, f"r8/jax-seed{seed}", record(accuracy, seed))
        tuned = record(accuracy + 0.1, seed, config__trainable_embeddings=True)
        save(tmp_path, f"r8-finetuned/jax-seed{seed}", tuned)
    save(tmp_path, "baselines/r8/svm", baseline(0.90, 0.95))
    save(tmp_path, "baselines/r8/bayes", baseline(0.902, 0.94, method="naive Bayes"))
    save(tmp_path, "baselines/r8/svm-refitted", baseline(0.905, 0.99, refitted=True))
    published = {"corpus": "r8", "method": "GCN", "accuracy": 0.97, "source": "X", "protocol": "Y"}
    atomic.write_json(tmp_path / "results" / "published.json", [published])
    return tmp_path / "results"


def save(folder, name, content):
    atomic.write_json(folder / "results" / "runs" / f"{name}.json", content)


def read(results):
    return records.read(results / "runs", Config().to_json())


def section(results):
    return records.section(read(results))


@pytest.mark.slow
def test_committed_tables_and_figures_are_those_of_the_records(tmp_path):
    shutil.copytree(ROOT / "results", tmp_path / "results")
    for folder in ("tables", "figures"):
        shutil.rmtree(tmp_path / "results" / folder)
    shutil.copy(ROOT / "README.md", tmp_path)
    report.main(tmp_path / "results")
    assert (tmp_path / "README.md").read_text() == (ROOT / "README.md").read_text()
    for folder in ("tables", "figures"):
        made = {path.name: path for path in (tmp_path / "results" / folder).iterdir()}
        committed = {
            path.name: path
            for path in (ROOT / "results" / folder).iterdir()
            if path.stem not in ("step_time", "scale", "serving")  # of the benchmarks
        }
        assert made.keys() == committed.keys()
        for name, path in made.items():
            # The bytes of a PNG depend on the machine's zlib. The SVG shows the same.
            if path.suffix != ".png":
                assert path.read_bytes() == committed[name].read_bytes(), f"{name}: run it again"


@pytest.mark.slow
def test_the_same_records_make_the_same_files(results):
    readme = results.parent / "README.md"
    readme.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n")

    def made():
        report.main(results)
        files = [readme, *(results / "tables").iterdir(), *(results / "figures").iterdir()]
        return {path.name: path.read_bytes() for path in files}

    once = made()
    assert made() == once
    assert {"accuracy.md", "accuracy.tex", "backends.md", "backends.tex"} < once.keys()
    names = ("learning_curves", "accuracy_over_time", "overview")
    assert {f"{name}.svg" for name in names} < once.keys()
    assert {"confusion_r8.png", "class_gains_r8.svg"} < once.keys()
    text = readme.read_text()
    assert text.startswith("before\n<!--")
    assert text.endswith("-->\nafter\n")
    assert "old" not in text


@pytest.fixture
def drawn(monkeypatch):
    """Return a dictionary that gets what is drawn, by the name of the file."""
    saved = {}
    for name in ("accuracy_over_time", "learning_bands", "label_curves", "reliability_of_corpora"):
        monkeypatch.setattr(
            figures, name, lambda panels, stem: saved.__setitem__(stem.name, panels)
        )
    for name in ("overview", "confusion_matrix", "class_gains"):
        monkeypatch.setattr(figures, name, lambda *parts: saved.__setitem__(name_of(parts), parts))
    return saved


def name_of(parts):
    return next(part.name for part in parts if isinstance(part, Path))


def save_few(results):
    """Save runs on 50 and 1,000 texts."""
    for seed, accuracy in enumerate((0.5, 0.6)):
        few = record(accuracy, seed, config__train_examples=50)
        save(results.parent, f"labels/r8-50/jax-seed{seed}", few)
        more = record(accuracy + 0.1, seed, config__train_examples=1000)
        save(results.parent, f"labels/r8-1000/jax-seed{seed}", more)


def test_label_curves_are_of_methods_that_learned_from_few_texts_too(results, drawn):
    report.main(results)
    assert "label_curves" not in drawn
    before = drawn.copy()
    save_few(results)
    report.main(results)
    (curve,) = drawn.pop("label_curves")["r8"]
    assert curve.kind == curve.label == "CNN of the tutorial"
    assert list(curve.places) == [50, 1000, 5000]
    np.testing.assert_allclose(curve.accuracies[0], [0.5, 0.6])
    np.testing.assert_allclose(curve.accuracies[2], [0.80, 0.81, 0.82])
    other = record(0.7, config__train_examples=50, config__trainable_embeddings=True)
    save(results.parent, "labels/r8-finetuned-50/jax-seed0", other)
    report.main(results)
    assert {curve.label for curve in drawn["label_curves"]["r8"]} == {
        "CNN of the tutorial, glove.6B.50d fine-tuned",
        "CNN of the tutorial, glove.6B.50d frozen",
    }
    assert drawn["accuracy_over_time"] == before["accuracy_over_time"]
    assert drawn["learning_curves"] == before["learning_curves"]


def test_only_the_best_of_a_kind_is_a_point(results, drawn):
    report.main(results)
    points = {point.kind: point for point in drawn["accuracy_over_time"]["r8"]}
    assert len(points) == len(drawn["accuracy_over_time"]["r8"]) == 3
    assert points["CNN of the tutorial"].accuracy == pytest.approx(0.91)
    assert points["TF-IDF + LinearSVC"].saw_validation


def test_a_learning_curve_ends_with_the_shortest_run(results, drawn):
    short = record(0.92, 0, (0.7,), config__trainable_embeddings=True)
    save(results.parent, "r8-finetuned/jax-seed0", short)
    report.main(results)
    (curve,) = drawn["learning_curves"]["r8"]
    assert list(curve.places) == [1]
    assert curve.accuracies == [(0.7, 0.5, 0.5)]


def test_reliability_needs_bins_in_all_records_of_the_best_network(results, drawn):
    bins = [{"confidence": 0.9, "accuracy": 0.8, "examples": 1000}]
    for seed, ece in enumerate((0.1, 0.2, 0.3)):
        report.main(results)
        assert "reliability" not in drawn
        path = results / "runs" / "r8-finetuned" / f"jax-seed{seed}.json"
        made = atomic.read_json(path)
        made["metrics"] |= {"ece": ece, "reliability": bins}
        atomic.write_json(path, made)
    report.main(results)
    calibrated = drawn["reliability"]["r8"]
    assert calibrated.runs == [bins] * 3
    assert calibrated.ece == pytest.approx(0.2)


def test_classes_of_few_texts_are_shown_together_or_not_at_all(results, drawn):
    names = ["ham", "spam", "eggs", "tea"]
    for path in (results / "runs").rglob("*.json"):
        made = atomic.read_json(path)
        made["data"]["class_names"] = names
        made["metrics"]["per_class"] = [
            {"class_name": name, "f1": 0.5, "support": support}
            for name, support in zip(names, (9, 10, 4, 200), strict=True)
        ]
        made["metrics"]["predictions"] = dict(zip(names, ("0 2 1", "1 1 3", "3", "3"), strict=True))
        atomic.write_json(path, made)
    report.main(results)
    labels, predictions, shown, _, title = drawn["confusion_r8"]
    assert shown == ["spam", "tea", "others"]
    np.testing.assert_array_equal(labels, [2, 2, 2, 0, 0, 0, 2, 1])
    np.testing.assert_array_equal(predictions, [2, 2, 0, 0, 0, 1, 1, 1])
    note = "2 classes of fewer than 10 scored texts each"
    assert title.endswith(f"\nothers: {note}")
    gains, shown, texts, label, _ = drawn["class_gains_r8"]
    assert gains.shape == (3, 2)
    assert list(shown) == ["spam", "tea"]
    assert list(texts) == [10, 200]
    assert label.endswith(f"\nnot shown: {note}")


def test_a_readme_without_both_marks_is_left_as_it_is(tmp_path):
    readme = tmp_path / "README.md"
    for text in ("mine", f"mine {report.BEGIN} and no end"):
        readme.write_text(text)
        assert not report.replace_table(readme, "a table")
        assert readme.read_text() == text


def test_rows_are_means_over_seeds_sorted_by_accuracy(results):
    first, *_, last = tables.accuracy_cells(section(results))
    assert first["method"] == "CNN of the tutorial, glove.6B.50d fine-tuned"
    assert (first["accuracy"], first["n"]) == ("0.9100 ± 0.0100", "3")
    assert first["95%, seeds"] == "0.8852 to 0.9348"  # t of 2 degrees of freedom, 0.01 / sqrt(3)
    assert (first["macro-F1"], first["training (s)"]) == ("0.9000 ± 0.0100", "20.0")
    assert first["records"] == "r8-finetuned/jax"
    assert last["method"] == "CNN of the tutorial, glove.6B.50d frozen"
    assert last["over the next"] == last["p, next"] == ""


def test_significant_differences_have_a_star(results):
    rows = section(results)
    cells = {cell["records"]: cell for cell in tables.accuracy_cells(rows)}
    assert cells["baselines/r8/bayes"]["over the next"].startswith("+0.0020 (")
    assert float(cells["baselines/r8/bayes"]["p, next"]) > 0.05
    frozen = cells["r8/jax"]
    assert frozen["over the strongest baseline"].startswith("-0.0900* (-0.")
    assert cells["baselines/r8/svm"]["over the strongest baseline"] == ""


def test_p_values_are_corrected_for_their_number(results):
    rows = section(results)
    pairs = [(row, other) for row in rows for other in rows if row is not other]
    alone = [records.comparisons([pair])[0].p_value for pair in pairs]
    together = [compared.p_value for compared in records.comparisons(pairs)]
    assert min(together) == pytest.approx(min(alone) * len(pairs))


def test_the_strongest_baseline_is_chosen_on_validation_among_train_only_ones(results):
    assert records.strongest_baseline(section(results)).source == "baselines/r8/svm"
    assert records.strongest_baseline([]) is None
    part = atomic.read_json(results / "runs" / "baselines" / "r8" / "svm.json")
    part["config"] |= {"ours": True, "method": "part of a model"}
    part["history"] = [line | {"validation_accuracy": 1.0} for line in part["history"]]
    save(results.parent, "baselines/r8/part", part)
    assert records.strongest_baseline(section(results)).source == "baselines/r8/svm"


def test_train_and_validation_rows_are_compared_with_the_refitted_baseline(results):
    for seed in range(3):
        made = record(0.905, seed, config__train_on="train+validation")
        save(results.parent, f"r8-best/jax-seed{seed}", made)
    rows = section(results)
    reference = {
        row.source: other.source for row, other in zip(rows, records.references(rows), strict=True)
    }
    refitted = "baselines/r8/svm-refitted"
    assert reference["r8-best/jax"] == reference[refitted] == refitted
    assert reference["r8/jax"] == reference["baselines/r8/bayes"] == "baselines/r8/svm"
    best = next(row for row in rows if row.source == "r8-best/jax")
    assert best.label == "CNN of the tutorial, glove.6B.50d frozen, train + validation"
    alone = [row for row in rows if row.source != "baselines/r8/svm-refitted"]
    assert {other.source for other in records.references(alone)} == {"baselines/r8/svm"}
    assert set(records.references([best])) == {None}


def readme_cells(sections):
    """Return the README's table as a list of rows, without header and note."""
    lines = tables.readme_table(sections).partition("\n\n")[0].split("\n")[2:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_the_readme_shows_the_best_of_each_kind_and_marks_it(results):
    assert readme_cells({"r8": section(results)}) == [
        ["CNN of the tutorial, glove.6B.50d fine-tuned", "**0.9100 ± 0.0100 =**"],
        ["TF-IDF + LinearSVC, 1- to 2-grams", "0.9000 (ref.)"],
        ["naive Bayes, 1- to 2-grams", "0.9020 ="],
    ]
    for accuracy, mark in ((0.99, "▲"), (0.8, "▼")):
        for path in (results / "runs" / "r8-finetuned").iterdir():
            changed = record(accuracy, config__trainable_embeddings=True)
            atomic.write_json(path, changed)
        shutil.rmtree(results / "runs" / "r8", ignore_errors=True)
        assert readme_cells({"r8": section(results)})[0][1].strip("*").endswith(mark)


def test_the_readme_prefers_train_only_results_and_marks_the_others(results):
    better = record(0.98, config__train_on="train+validation", config__model="kim")
    save(results.parent, "r8-best/jax-seed0", better)
    table = tables.readme_table({"r8": section(results)})
    assert "| CNN of Kim 2014, glove.6B.50d frozen" in table
    assert "**0.9800 ▲†**" in table
    assert table.count("†") == 2
    assert table.endswith(tables.README_NOTE)
    assert "0.9050" not in table  # of the refitted baseline


def test_the_readme_has_six_rows_and_among_them_every_reference(results):
    for number in range(6):
        other = baseline(0.97 - number / 100, 0.5, method=f"other {number}")
        save(results.parent, f"baselines/r8/other{number}", other)
    names = [row[0] for row in readme_cells({"r8": section(results)})]
    assert len(names) == tables.README_ROWS == 6
    assert names[0].startswith("CNN of the tutorial")
    assert [name.partition(",")[0] for name in names[1:5]] == [f"other {n}" for n in range(4)]
    assert names[5] == "TF-IDF + LinearSVC, 1- to 2-grams"


def test_an_option_that_is_younger_than_a_record_has_its_default(results):
    path = results / "runs" / "r8" / "jax-seed0.json"
    old = atomic.read_json(path)
    del old["config"]["train_on"]
    atomic.write_json(path, old)
    (row,) = (row for row in read(results) if row.source == "r8/jax")
    assert not row.saw_validation
    assert len(row.records) == 3


def test_old_records_without_predictions_have_no_tests(results):
    for path in (results / "runs" / "r8").iterdir():
        old = atomic.read_json(path)
        del old["metrics"]["predictions"]
        atomic.write_json(path, old)
    *others, last = tables.accuracy_cells(section(results))
    assert last["accuracy"] == "0.8100 ± 0.0100"
    assert last["over the strongest baseline"] == others[-1]["over the next"] == ""
    shutil.rmtree(results / "runs" / "r8-finetuned")
    assert readme_cells({"r8": section(results)})[0][1] == "0.8100 ± 0.0100 ?"
    report.main(results)


def test_one_backend_stands_for_an_experiment_and_all_are_compared(results):
    for seed, accuracy in enumerate((0.60, 0.61, 0.62, 0.63)):
        changed = record(accuracy, seed)
        changed["environment"][0]["backend"] = "torch"
        save(results.parent, f"r8/torch-seed{seed}", changed)
    assert "r8/torch" in {row.source for row in section(results)}
    assert "r8/jax" not in {row.source for row in section(results)}
    jax, torch = tables.backends_cells(read(results))
    assert (jax["backend"], jax["n"], torch["backend"], torch["n"]) == ("jax", "3", "torch", "4")
    assert jax["p, variance"] == "<0.001"
    assert torch["p, variance"] == ""
    (results / "runs" / "r8" / "jax-seed1.json").unlink()
    (results / "runs" / "r8" / "jax-seed2.json").unlink()
    jax, _ = tables.backends_cells(read(results))
    assert jax["p, variance"] == ""


def test_among_backends_with_as_many_runs_the_quickest_stands_for_the_experiment(results):
    for seed, accuracy in enumerate((0.60, 0.61, 0.62)):
        quicker = record(accuracy, seed)
        quicker["history"] = [line | {"seconds": 9.0} for line in quicker["history"]]
        save(results.parent, f"r8/torch-seed{seed}", quicker)
    sources = {row.source for row in section(results)}
    assert "r8/torch" in sources
    assert "r8/jax" not in sources


def test_seeds_are_read_in_the_order_of_their_numbers(results):
    save(results.parent, "r8/jax-seed10", record(0.5, 10))
    (row,) = (row for row in read(results) if row.source == "r8/jax")
    assert [r["config"]["seed"] for r in row.records] == [0, 1, 2, 10]


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("r8/jax-seed3", {"config__dropout": 0.1}, "same options in all records of r8/jax, .*drop"),
        ("r8/jax-seed3", {"data__corpus_digest": "x"}, "same data in all records of r8/jax, "),
        ("r8/torch-seed0", {"data__corpus_digest": "x"}, "different corpus_digest"),
        ("r8/torch-seed0", {"metrics__split": "validation"}, "scores of the last epoch"),
        (
            "r8/torch-seed0",
            {"metrics__split": "validation", "metrics__checkpoint": "last"},
            "different split",
        ),
    ],
)
def test_records_that_do_not_compare_are_refused(results, name, changes, message):
    save(results.parent, name, record(0.8, 3, **changes))
    with pytest.raises(ValueError, match=f"expected .*{message}.*; "):
        read(results)


def test_a_folder_without_records_is_refused(call, tmp_path):
    refusal = call(report, "--results", tmp_path)
    assert_refused(refusal, "expected records in ", "received none", "--record PATH")


def test_the_record_of_a_run_has_all_its_parts_and_no_path(tmp_path):
    config = {"corpus_path": "/on/this/machine", "vectors": "/on/this/machine/mine.vec", "seed": 3}
    data = {"vectors": {"name": "/on/this/machine/mine.vec", "found": 2}}
    inputs = run_folder.inputs(tmp_path, config, data, ["", "[UNK]"], {"backend": "jax"})
    saver = Saver(tmp_path, inputs)
    saver.write_inputs()
    saver.save(Position(epoch=1, history=[{"epoch": 1}]), {"w": np.zeros(2)}, None)
    with checkpoints.opened(tmp_path, "last") as checkpoint:
        assert records.of_run(checkpoint, {"accuracy": 1}) == {
            "config": {"corpus_path": None, "vectors": "mine.vec", "seed": 3},
            "data": {"vectors": {"name": "mine.vec", "found": 2}},
            "environment": [{"backend": "jax"}],
            "metrics": {"accuracy": 1},
            "history": [{"epoch": 1}],
        }


@pytest.mark.parametrize("content", [b'{"config": {}, "data"', b"[]", b'{"config": {}}'])
def test_what_is_no_record_is_refused_by_name(results, content):
    (results / "runs" / "r8" / "jax-seed3.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"expected .* in .*jax-seed3\.json, received"):
        read(results)


def test_a_protocol_without_a_test_split_says_so(results):
    rows = section(results)
    assert tables.TEST_NOTE in tables.protocol(rows)
    assert "5,000 train, 500 validation, 1,000 test" in tables.protocol(rows)
    shown = copy.deepcopy(rows[:1])
    shown[0].records[0]["metrics"]["split"] = "validation"
    assert "There is no test split, so the scores are of the validation split" in tables.protocol(
        shown
    )
    assert "A chip & co, 2 cores" in tables.protocol(rows)


def test_methods_are_named_by_what_tells_them_apart(results):
    random = record(0.8, config__vectors="random.50d", config__trainable_embeddings=True)
    other = record(0.8, config__model="new", config__vectors="random.50d")
    assert records.Result("a", [random]).label == "CNN of the tutorial, random.50d, trained"
    assert records.Result("a", [other]).label == "new, random.50d, frozen"
    halved = record(0.8, config__precision="mixed_bfloat16")
    name = "CNN of the tutorial, glove.6B.50d frozen, mixed_bfloat16"
    assert records.Result("a", [halved]).label == name
    names = {row.label for row in section(results)}
    assert "TF-IDF + LinearSVC, 1- to 2-grams, train + validation" in names
    assert len(names) == 5


def test_markdown_and_latex_hold_the_same_cells():
    cells = [{"method": "50% a_b & c", "accuracy": "0.9"}, {"method": "d", "accuracy": ""}]
    markdown = tables.markdown(cells, {"accuracy": 0})
    assert [re.split(r" *\| *", line)[1:-1] for line in markdown.split("\n")] == [
        ["method", "accuracy"],
        [":------------", "-----------:"],
        ["50% a_b & c", "**0.9**"],
        ["d", ""],
    ]
    latex = tables.latex(cells, "100% & more", "it", {"accuracy": 0})
    assert r"50\% a\_b \& c & \textbf{0.9} \\" in latex
    assert r"\caption{100\% \& more}" in latex
    assert r"\label{tab:it}" in latex
    for line in (r"\toprule", r"\midrule", r"\bottomrule", r"\begin{tabular}{lr}"):
        assert latex.count(line) == 1
    assert tables.markdown([]) == "No records yet."
    assert tables.latex([], "", "") == "% No records yet.\n"


def test_cells_cannot_change_a_table():
    cells = [{"method": HOSTILE, HOSTILE: "1"}, {"method": "-", HOSTILE: HOSTILE}]
    page = MarkdownIt("commonmark").enable("table").parse(tables.markdown(cells, {"method": 0}))
    assert [part.type for part in page].count("tr_open") == 3
    shown = [part for part in page if part.type == "inline"]
    name = escape.terminal(HOSTILE)
    texts = ["".join(part.content for part in of_cell.children) for of_cell in shown]
    assert texts == ["method", name, name, "1", "-", name]
    kinds = {part.type for of_cell in shown for part in of_cell.children}
    assert kinds == {"text", "strong_open", "strong_close"}

    latex = tables.latex(cells, HOSTILE, "it", {"method": 0})
    assert latex.count(escape.latex(HOSTILE)) == 4
    assert latex.count(r"\\") == 3
    assert r"\input" not in latex
    assert "".join(latex.split("\n")).isprintable()


def test_names_in_records_cannot_change_the_pages(results):
    plain = tables.accuracy_markdown({"r8": section(results)}, [])
    for path in (results / "runs").rglob("*.json"):
        changed = atomic.read_json(path)
        changed["environment"][0]["processor"] = HOSTILE
        if "vectors" in changed["config"]:
            changed["config"]["vectors"] = HOSTILE
        atomic.write_json(path, changed)
    hostile = tables.accuracy_markdown({"r8": section(results)}, [])
    as_page = MarkdownIt("commonmark").enable("table").parse
    assert [part.type for part in as_page(hostile)] == [part.type for part in as_page(plain)]
    assert "".join(hostile.split("\n")).isprintable()
    assert escape.markdown(HOSTILE) in hostile


def test_published_figures_have_a_table_of_their_own(results):
    sections = {"r8": section(results)}
    published = atomic.read_json(results / "published.json")
    markdown = tables.accuracy_markdown(sections, published)
    measured, _, apart = markdown.partition("Published figures on r8.")
    assert "GCN" not in measured
    assert "| GCN" in apart
    assert r"\label{tab:r8-published}" in tables.accuracy_latex(sections, published)
    assert "Published" not in tables.accuracy_markdown(sections, [])


def test_the_committed_published_figures_have_a_source():
    published = atomic.read_json(ROOT / "results" / "published.json")
    for figure in published:
        assert figure.keys() == {"corpus", "method", "accuracy", "source", "protocol"}
        assert 0 < figure["accuracy"] < 1
        assert figure["source"]
    assert np.unique([str(f["corpus"]) + f["method"] for f in published]).size == len(published)
