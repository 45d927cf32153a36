"""From records to tables and figures: `records`, `tables`, `report_figures` and the command."""

import copy
import shutil
from pathlib import Path

import numpy as np
import pytest
from conftest import HOSTILE, ROOT, assert_refused
from markdown_it import MarkdownIt

from research import report
from research.config import Config
from research.data import corpora
from research.evaluation import field_table, figures, records, tables
from research.files import atomic
from research.processes import escape
from research.training import checkpoints, run_folder
from research.training.checkpoints import Position, Saver

NAMES = ["ham", "spam"]
EXAMPLES = 1000
KINDS = {"inductive", "transductive", "pretrained", "pretrained, transductive"}


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
            "corpus": "r8",
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
    published = {"corpus": "r8", "method": "GCN", "accuracy": 0.97, "kind": "transductive"}
    published |= {"source": "X", "protocol": "Y"}
    atomic.write_json(tmp_path / "results" / "published.json", [published])
    return tmp_path / "results"


def save(folder, name, content):
    atomic.write_json(folder / "results" / "runs" / f"{name}.json", content)


def read(results):
    return records.read(results / "runs", Config().to_json())


def section(results):
    return records.section(read(results))


OF_BENCHMARKS = ("step_time", "which_backend", "scale", "serving", "time_to_accuracy", "scaling")
OF_BENCHMARKS += ("memory", "performance_profile", "roofline")


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
            if path.stem not in OF_BENCHMARKS
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
    for table in ("field", "accuracy", "label_curves", "backends"):
        assert {f"{table}.md", f"{table}.tex"} < once.keys()
    assert "accuracy_appendix.md" in once
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
        "CNN of the tutorial, fine-tuned",
        "CNN of the tutorial, frozen",
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
    assert (first["n"], first["accuracy"], first["macro-F1"]) == (
        *("3", "91.00 ± 1.00", "90.00 ± 1.00"),
    )
    assert last["method"] == "CNN of the tutorial, glove.6B.50d frozen"
    first, *_, last = tables.appendix_cells(section(results))
    assert first["95%, seeds"] == "88.52 to 93.48"  # t of 2 degrees of freedom, 1 / sqrt(3)
    assert (first["training (s)"], first["records"]) == ("20.0", "r8-finetuned/jax")
    assert last["over the next"] == last["p, next"] == ""


def test_the_calibration_error_is_shown_where_records_have_it(results):
    for seed, ece in enumerate((0.02, 0.03, 0.04)):
        path = results / "runs" / "r8" / f"jax-seed{seed}.json"
        atomic.write_json(path, record(0.8, seed, metrics__ece=ece))
    errors = {cell["method"]: cell["ECE"] for cell in tables.accuracy_cells(section(results))}
    assert errors.pop("CNN of the tutorial, glove.6B.50d frozen") == "3.00 ± 1.00"
    assert set(errors.values()) == {"\N{EN DASH}"}


def test_significant_differences_have_a_star(results):
    rows = section(results)
    cells = {cell["method"]: cell for cell in tables.accuracy_cells(rows)}
    frozen = cells["CNN of the tutorial, glove.6B.50d frozen"]
    assert frozen["difference"].startswith("\N{MINUS SIGN}9.00* (\N{MINUS SIGN}1")
    assert float(frozen["p"].strip("<")) < 0.05
    bayes = cells["naive Bayes, 1- to 2-grams"]
    assert bayes["difference"].startswith("+0.20 (")
    assert float(bayes["p"]) > 0.05
    reference = cells["TF-IDF + LinearSVC, 1- to 2-grams (ref.)"]
    assert reference["difference"] == reference["p"] == ""


def test_p_values_are_corrected_for_their_number(results):
    rows = section(results)
    pairs = [(row, other) for row in rows for other in rows if row is not other]
    alone = [records.comparisons([pair])[0].p_value for pair in pairs]
    together = [compared.p_value for compared in records.comparisons(pairs)]
    assert min(together) == pytest.approx(min(alone) * len(pairs))


def test_the_strongest_baseline_is_chosen_on_validation_among_train_only_ones(results):
    assert records.strongest_baseline(section(results)).source == "baselines/r8/svm"
    assert records.strongest_baseline([]) is None


def test_baselines_refitted_on_validation_are_compared_with_the_refitted_one(results):
    other = baseline(0.8, 0.5, method="other", refitted=True)
    save(results.parent, "baselines/r8/other-refitted", other)
    rows = section(results)
    reference = {
        row.source: of_row.source
        for row, of_row in zip(rows, records.references(rows), strict=True)
    }
    refitted = "baselines/r8/svm-refitted"
    assert reference["baselines/r8/other-refitted"] == reference[refitted] == refitted
    assert reference["r8/jax"] == reference["baselines/r8/bayes"] == "baselines/r8/svm"
    one = next(row for row in rows if row.source == refitted)
    assert one.label == "TF-IDF + LinearSVC, 1- to 2-grams, train + validation"
    alone = [row for row in rows if row.source != refitted]
    assert {of_row.source for of_row in records.references(alone)} == {"baselines/r8/svm"}
    networks = [row for row in rows if row.is_network]
    assert set(records.references(networks)) == {None}


def readme_cells(sections):
    """Return the README's table as a list of rows, without header and note."""
    lines = field_table.readme_table(sections).partition("\n\n")[0].split("\n")[2:]
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]


def test_the_readme_shows_the_best_of_each_kind_and_marks_it(results):
    assert readme_cells({"r8": section(results)}) == [
        ["CNN of the tutorial, glove.6B.50d fine-tuned", "**91.00 ± 1.00 =**"],
        ["TF-IDF + LinearSVC, 1- to 2-grams", "90.00 (ref.)"],
        ["naive Bayes, 1- to 2-grams", "90.20 ="],
    ]
    for accuracy, mark in ((0.99, "▲"), (0.8, "▼")):
        for path in (results / "runs" / "r8-finetuned").iterdir():
            changed = record(accuracy, config__trainable_embeddings=True)
            atomic.write_json(path, changed)
        shutil.rmtree(results / "runs" / "r8", ignore_errors=True)
        assert readme_cells({"r8": section(results)})[0][1].strip("*").endswith(mark)


def test_the_readme_prefers_train_only_results_and_marks_the_others(results):
    other = baseline(0.98, 0.5, method="other", refitted=True)
    save(results.parent, "baselines/r8/other-refitted", other)
    table = field_table.readme_table({"r8": section(results)})
    assert "| other, 1- to 2-grams " in table
    assert "**98.00 ▲†**" in table
    assert table.count("†") == 2
    assert table.endswith(field_table.README_NOTE)
    assert "90.50" not in table  # of the refitted LinearSVC


def test_the_readme_has_six_rows_and_among_them_every_reference(results):
    for number in range(6):
        other = baseline(0.97 - number / 100, 0.5, method=f"other {number}")
        save(results.parent, f"baselines/r8/other{number}", other)
    names = [row[0] for row in readme_cells({"r8": section(results)})]
    assert len(names) == field_table.README_ROWS == 6
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
    *others, last = tables.appendix_cells(section(results))
    assert last["accuracy"] == "81.00 ± 1.00"
    assert last["over the reference"] == others[-1]["over the next"] == ""
    shutil.rmtree(results / "runs" / "r8-finetuned")
    assert readme_cells({"r8": section(results)})[0][1] == "81.00 ± 1.00 ?"
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
    assert jax["p, ANOVA"] == "<0.001"
    assert torch["p, ANOVA"] == ""
    (results / "runs" / "r8" / "jax-seed1.json").unlink()
    (results / "runs" / "r8" / "jax-seed2.json").unlink()
    jax, _ = tables.backends_cells(read(results))
    assert jax["p, ANOVA"] == ""


def test_among_backends_with_as_many_runs_the_quickest_stands_for_the_experiment(results):
    for seed, accuracy in enumerate((0.60, 0.61, 0.62)):
        quicker = record(accuracy, seed)
        quicker["history"] = [line | {"seconds": 9.0} for line in quicker["history"]]
        save(results.parent, f"r8/torch-seed{seed}", quicker)
    sources = {row.source for row in section(results)}
    assert "r8/torch" in sources
    assert "r8/jax" not in sources


def test_times_are_shown_with_the_machine_that_they_were_taken_on(results):
    cpu = {"family": "25", "model": "17", "instructions": ["AVX2", "AVX512-BF16"]}
    for seed, seconds in ((3, 99.0), (4, 0.5)):
        added = record(0.6, seed)
        added["history"] = [line | {"seconds": seconds} for line in added["history"]]
        added["environment"][0]["cpu"] = cpu
        save(results.parent, f"r8/torch-seed{seed}", added)
    machine = "A chip & co (family 25, model 17, AVX2, AVX512-BF16), 2 cores"
    jax, torch = (row for row in read(results) if row.source.startswith("r8/"))
    assert (jax.machine, torch.machine) == ("A chip & co, 2 cores", machine)
    timed_on = {row["records"]: row["timed on"] for row in tables.appendix_cells(section(results))}
    assert timed_on["r8/jax"] == "A chip & co, 2 cores"
    note = tables.backends_note(read(results))
    assert note.endswith(f"Timed on A chip & co, 2 cores: r8; on {machine}: r8.")


def test_a_graphics_card_is_the_machine(results):
    on_gpu = record(0.8)
    on_gpu["environment"][0]["device"] = "gpu: H100"
    assert records.machine(on_gpu) == "gpu: H100"


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
    command = "python -m research.train r8 --run-dir '/on/this/machine/my run' --seed 3"
    process = {"backend": "jax", "command": command}
    inputs = run_folder.inputs(tmp_path, config, data, ["", "[UNK]"], process)
    saver = Saver(tmp_path, inputs)
    saver.write_inputs()
    saver.save(Position(epoch=1, history=[{"epoch": 1}]), {"w": np.zeros(2)}, None)
    with checkpoints.opened(tmp_path, "last") as checkpoint:
        assert records.of_run(checkpoint, {"accuracy": 1}) == {
            "config": {"corpus_path": None, "vectors": "mine.vec", "seed": 3},
            "data": {"vectors": {"name": "mine.vec", "found": 2}},
            "environment": [
                {
                    "backend": "jax",
                    "command": "python -m research.train r8 --run-dir 'my run' --seed 3",
                }
            ],
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


def test_names_in_records_cannot_change_the_pages(results):
    plain = tables.appendix_markdown({"r8": section(results)}, [])
    for path in (results / "runs").rglob("*.json"):
        changed = atomic.read_json(path)
        changed["environment"][0]["processor"] = HOSTILE
        if "vectors" in changed["config"]:
            changed["config"]["vectors"] = HOSTILE
        atomic.write_json(path, changed)
    hostile = tables.appendix_markdown({"r8": section(results)}, [])
    as_page = MarkdownIt("commonmark").enable("table").parse
    assert [part.type for part in as_page(hostile)] == [part.type for part in as_page(plain)]
    assert "".join(hostile.split("\n")).isprintable()
    assert escape.markdown(HOSTILE) in hostile


def test_published_figures_have_a_table_of_their_own(results):
    published = atomic.read_json(results / "published.json")
    markdown = tables.appendix_markdown({"r8": section(results)}, published)
    measured, _, apart = markdown.partition("Published figures on r8.")
    assert "GCN" not in measured
    assert "| GCN                | transductive |      97.00 | X        | Y          |" in apart
    assert "Published" not in tables.appendix_markdown({"r8": section(results)}, [])


def test_the_field_table_has_a_row_for_each_method_and_a_column_for_each_corpus(results):
    on_mr = record(0.7, data__corpus="mr")
    save(results.parent, "mr/jax-seed0", on_mr)
    halved = record(0.99, config__precision="mixed_bfloat16")
    save(results.parent, "r8-halved/jax-seed0", halved)
    published = atomic.read_json(results / "published.json")
    published += [
        published[0] | {"method": "BERT", "kind": "pretrained", "deviation": 0.001},
        published[0] | {"corpus": "mr", "accuracy": 0.75},
    ]
    sections = report.by_corpus(read(results))
    cells = field_table.field_cells(sections, published)
    assert all(list(row) == ["method", *field_table.CORPORA] for row in cells)
    assert [(row["method"], row["r8"], row["mr"], row["20ng"]) for row in cells] == [
        ("Ours", "", "", ""),
        ("CNN of the tutorial, glove.6B.50d fine-tuned", "91.00 ± 1.00", "not run", "not run"),
        ("CNN of the tutorial, glove.6B.50d frozen", "81.00 ± 1.00", "70.00", "not run"),
        ("Baselines, our runs", "", "", ""),
        ("TF-IDF + LinearSVC, 1- to 2-grams", "90.00", "not run", "not run"),
        ("naive Bayes, 1- to 2-grams", "90.20", "not run", "not run"),
        ("Published, transductive", "", "", ""),
        ("GCN", "97.00", "75.00", "\N{EN DASH}"),
        ("Published, pretrained", "", "", ""),
        ("BERT", "97.00 ± 0.10", "\N{EN DASH}", "\N{EN DASH}"),
    ]
    markdown = field_table.field_markdown(sections, published)
    for bold in ("Ours", "97.00", "97.00 ± 0.10", "75.00"):
        assert f"**{bold}**" in markdown
    assert "**91" not in markdown


def test_runs_on_fewer_texts_have_a_table_of_their_own(results):
    for seed, accuracy in enumerate((0.5, 0.6)):
        few = record(accuracy, seed, config__train_examples=1000)
        save(results.parent, f"labels/r8-1000/jax-seed{seed}", few)
        fewer = record(accuracy - 0.1, seed, config__train_examples=50)
        save(results.parent, f"labels/r8-50/jax-seed{seed}", fewer)
    other = baseline(0.7, 0.7)
    other["config"]["train_examples"] = 50
    save(results.parent, "labels/baselines/r8/svm-50", other)
    of_all = read(results)
    sections = report.by_corpus(of_all)
    assert not any(result.train_examples for result in sections["r8"])
    assert tables.label_curve_cells(records.section(of_all)) == [
        {"method": name, "50": at_50, "1,000": at_1000, "all": of_whole}
        for name, at_50, at_1000, of_whole in (
            ("TF-IDF + LinearSVC, 1- to 2-grams", "70.00", "not run", "90.00"),
            (
                "CNN of the tutorial, glove.6B.50d frozen",
                *("45.00 ± 7.07", "55.00 ± 7.07", "81.00 ± 1.00"),
            ),
        )
    ]
    assert "## r8" in tables.label_curves_markdown(of_all)
    assert r"\label{tab:r8-labels}" in tables.label_curves_latex(of_all)
    whole = [result for result in of_all if result.train_examples is None]
    assert tables.label_curves_markdown(whole).endswith("\n\nNo records yet.\n")
    assert tables.label_curves_latex(whole) == "% No records yet.\n"


def test_the_committed_published_figures_have_a_source():
    published = atomic.read_json(ROOT / "results" / "published.json")
    for figure in published:
        keys = {"corpus", "method", "accuracy", "kind", "source", "protocol"}
        assert figure.keys() - {"deviation"} == keys
        assert figure["corpus"] in corpora.CORPORA
        assert 0 < figure["accuracy"] < 1
        assert 0 <= figure.get("deviation", 0) < 0.05
        assert figure["kind"] in KINDS
        assert figure["source"]
    assert np.unique([str(f["corpus"]) + f["method"] for f in published]).size == len(published)
