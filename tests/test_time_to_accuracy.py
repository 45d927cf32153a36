"""Time to accuracy: what is run, that a run trains as `research.train` does, and the table."""

import json
import os
from dataclasses import replace

import pytest

from benchmarks import machine, table
from benchmarks import time_to_accuracy as benchmark
from benchmarks.tables import time_to_accuracy as page_of
from research import train
from research.files import cache
from research.processes import backends
from research.processes.child import ChildFailed

BACKEND = backends.select()
TINY = benchmark.TINY


@pytest.fixture
def alone(monkeypatch):
    """Let the command change no setting of the tests, and run on their backend alone."""
    for name, value in machine.settings(1).items():  # so that they are restored afterwards
        monkeypatch.setenv(name, os.environ.get(name, value))
    monkeypatch.setattr(machine, "use_cores", lambda cores: None)
    monkeypatch.setattr(backends, "installed", lambda: [BACKEND])


def result(seconds, reached=True, epoch=0, accuracy=0.9):
    return {
        "seconds": seconds,
        "parts": {"tokens": seconds / 4, "linear part": 3 * seconds / 4},
        "checks": [{"epoch": epoch, "seconds": seconds, "accuracy": accuracy}],
        "reached": reached,
        "imports_s": 5.0,
        "process_s": seconds + 6,
        "processor_s": seconds + 7,
    }


def row(contender, seed, *arguments, **options):
    of_run = {"corpus": "news20", "contender": contender, "seed": seed, "target": 0.9}
    return of_run | result(*arguments, **options)


RECORD = {
    "method": {"seeds": [0, 1, 2]},
    "corpora": {
        "news20": {
            "experiment": "tutorial-best",
            "train_on": "nine-tenths-of-train",
            "examples": {"train": 14_400, "validation": 1_598},
            "most_epochs": 20,
            "target": 0.9,
        }
    },
    "machine": {"processor": "Some CPU", "threads": 2, "commit": "c0ffee"},
    "load_before": 0.125,
    "doubts": ["the machine was busy"],
    "rows": [
        *(row("scikit-learn", seed, seconds) for seed, seconds in enumerate((2.0, 4.0, 3.0))),
        row("linear part", 0, 6.0),
        row("linear part", 1, 5.0, accuracy=0.95),
        row("linear part", 2, 99.0, reached=False, accuracy=0.5),
        row("jax", 0, 30.0, epoch=4),
        *(row("jax", seed, 99.0, reached=False, epoch=9, accuracy=0.8) for seed in (1, 2)),
        {"corpus": "news20", "contender": "torch", "seed": 0, "failed": "out of memory"},
    ],
}


def test_the_table_shows_runs_that_did_not_reach_the_accuracy_and_those_that_failed():
    text = page_of.page(RECORD)
    assert "## news20\n\nLearned from 14,400 texts, scored on 1,598: a tenth of the train" in text
    assert "The accuracy to reach is **90.00%**." in text
    cells = [line for line in text.splitlines() if line.startswith("|")]
    rest = "| 5.0 |"
    assert cells[2].startswith(
        f"| TF-IDF + LinearSVC | 3.00 [2.00, 4.00] | 1.00 | 90.00% | 0 | 3 of 3 {rest}"
    )
    assert cells[3].startswith(
        "| the linear part alone | 6.00 [5.00, not reached] | 2.00 | 50.00% to 95.00% | 0 "
        f"| 2 of 3 {rest}"
    )
    assert cells[4].startswith(
        "| the whole model, jax | not reached [30.00, not reached] | – | 80.00% to 90.00% "  # noqa: RUF001
        f"| 4 to 9 | 1 of 3 {rest}"
    )
    assert "| the whole model, torch | not reached [not reached, not reached] |" in cells[5]
    assert "| 0 of 1 |  |  |  |" in cells[5]
    assert "| TF-IDF + LinearSVC | 0.75 |  | 2.25 |  |  |" in text
    assert "with the seeds 0, 1, 2, each in a fresh process" in text
    assert "Some CPU, 2 threads, load average 0.12 before the first process, commit c0ffee." in text
    assert "Doubtful: the machine was busy." in text
    assert text.endswith("Failed:\n\n- news20: torch, seed 0: out of memory\n")


def test_the_command_makes_the_page_if_there_is_a_record(tmp_path):
    records = tmp_path / "benchmarks"
    records.mkdir()
    with pytest.raises(ValueError, match="expected a record"):
        table.main(records, tmp_path)
    (tmp_path / "time_to_accuracy.json").write_text(json.dumps(RECORD))
    source = next((benchmark.Path(table.__file__).parents[1] / "results/benchmarks").glob("*.json"))
    (records / source.name).write_bytes(source.read_bytes())
    table.main(records, tmp_path)
    written = (tmp_path / "tables" / "time_to_accuracy.md").read_text()
    assert written == page_of.page(RECORD)


def test_all_runs_are_in_one_random_order_and_in_the_record(alone, tmp_path, monkeypatch):
    started = []

    def run(arguments, environment, timeout_s):
        options = dict(zip(arguments[2::2], arguments[3::2], strict=True))
        started.append((options["--only"], int(options["--seed"]), float(options["--target"])))
        assert environment == {"KERAS_BACKEND": BACKEND}
        return "a note\n" + json.dumps(result(len(started), accuracy=0.875))

    monkeypatch.setattr(benchmark, "run_python", run)
    path = tmp_path / "record.json"
    benchmark.main(tiny=True, cores=1, record=path)
    first, *others = started
    assert first == ("scikit-learn", 0, 0.0)  # which only says what is to be reached
    planned = [
        (contender, seed, 0.875)
        for contender in ("scikit-learn", "linear part", BACKEND)
        for seed in (0, 1, 2)
    ]
    assert sorted(others) == sorted(planned)
    assert others != planned
    record = json.loads(path.read_text())
    assert record["method"]["order"] == [[TINY, contender, seed] for contender, seed, _ in others]
    assert [(r["contender"], r["seed"], r["target"]) for r in record["rows"]] == planned
    assert {r["seconds"] for r in record["rows"]} == set(range(2, 11))  # all but the first
    assert record["corpora"][TINY]["examples"] == {"train": 180, "validation": 60}
    started.clear()
    benchmark.main(tiny=True, cores=1, record=path)
    assert started[1:] == others


def test_a_process_that_fails_is_in_the_record_and_the_command_fails(
    alone, call, tmp_path, monkeypatch
):
    def run(arguments, environment, timeout_s):
        if "linear part" in arguments:
            raise ChildFailed("a child process ended", "killed by the system", "")
        return json.dumps(result(1.0))

    monkeypatch.setattr(benchmark, "run_python", run)
    path = tmp_path / "record.json"
    answer = call(benchmark, "--tiny", "--runs", "2", "--record", path)
    assert answer.code == 1
    assert "expected 6 runs, received 4" in answer.err
    assert "linear part on tiny, seed 0: killed by the system" in answer.err
    rows = json.loads(path.read_text())["rows"]
    failed = [(r["contender"], r["seed"], r["failed"]) for r in rows if "failed" in r]
    assert failed == [("linear part", seed, "killed by the system") for seed in (0, 1)]
    assert "- tiny: linear part, seed 1: killed by the system" in page_of.page(
        json.loads(path.read_text())
    )


def test_without_an_accuracy_to_reach_there_is_no_record(alone, tmp_path, monkeypatch):
    def run(arguments, environment, timeout_s):
        raise ChildFailed("a child process ended with exit code 1", "no memory", "")

    monkeypatch.setattr(benchmark, "run_python", run)
    with pytest.raises(ChildFailed):
        benchmark.main(tiny=True, cores=1, record=tmp_path / "record.json")
    assert not list(tmp_path.iterdir())


def test_mistakes_are_refused():
    with pytest.raises(ValueError, match="expected --runs of 1 or more, received 0"):
        benchmark.main(runs=0)
    with pytest.raises(ValueError, match="did you mean 'news20'"):
        benchmark.measure(benchmark.SVM, "news2", 0, 0.0)
    other = next(name for name in backends.BACKENDS if name != BACKEND)
    with pytest.raises(ValueError, match=f"expected --only .* received '{other}'"):
        benchmark.measure(other, TINY, 0, 0.0)


def test_every_process_gets_the_archive(alone, tmp_path, monkeypatch):
    given, planned = [], list(benchmark.EXPERIMENTS)
    archive = tmp_path / "news20.tar.gz"
    about = {"examples": {}, "train_on": "train"}

    def run(arguments, environment, timeout_s):
        options = dict(zip(arguments[2::2], arguments[3::2], strict=True))
        given.append((options["--corpus"], options["--news20"]))
        return json.dumps(result(1.0))

    monkeypatch.setattr(benchmark, "run_python", run)
    monkeypatch.setattr(benchmark, "_about", lambda name, news20: about | {"path": str(news20)})
    monkeypatch.setattr(machine, "wait_until_quiet", lambda cores: 0.0)
    path = tmp_path / "record.json"
    benchmark.main(runs=1, cores=1, news20=archive, record=path)
    assert sorted(given) == sorted((name, str(archive)) for name in 4 * planned)
    assert list(json.loads(path.read_text())["corpora"]) == planned
    assert benchmark._config("news20", archive).corpus_source.path == archive
    assert benchmark._config("news20-bydate", archive).corpus_source.path is None


def test_where_validation_is_scored_a_tenth_of_train_is_held_out(monkeypatch):
    monkeypatch.setattr(benchmark.corpora, "load", lambda source: benchmark._made_up())
    for name, learned, held_out in (("news20-bydate", 180, 60), ("news20", 162, 18)):
        corpus = benchmark._corpus(name)
        sizes = {split: len(texts.texts) for split, texts in corpus.splits.items()}
        assert sizes == {"train": learned, "validation": held_out}


def test_nothing_but_the_vectors_comes_from_the_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("RESEARCH_CACHE", str(tmp_path))
    (tmp_path / "token_ids").mkdir()
    with benchmark._nothing_cached_but_vectors():
        assert not list(cache.cache_dir().iterdir())
    (tmp_path / "vectors").mkdir()
    (tmp_path / "vectors" / "file").touch()
    with benchmark._nothing_cached_but_vectors():
        assert [path.name for path in cache.cache_dir().iterdir()] == ["vectors"]
        assert (cache.cache_dir() / "vectors" / "file").exists()
    assert cache.cache_dir() == tmp_path
    assert (tmp_path / "vectors" / "file").exists()


def test_reached_is_at_least_the_accuracy_except_for_rounding():
    checks = [{"accuracy": 1.0}, {"accuracy": 1061 / 1129}]
    assert benchmark.has_reached(checks, 1061 / 1129 + 1e-12)
    assert not benchmark.has_reached(checks, 1062 / 1129)


@pytest.mark.parametrize("contender", [benchmark.SVM, benchmark.LINEAR])
def test_what_has_no_network_is_measured(contender):
    measured = benchmark.measure(contender, TINY, 0, 0.9)
    (check,) = measured["checks"]
    assert (check["epoch"], measured["reached"]) == (0, check["accuracy"] >= 0.9)
    assert check["accuracy"] > 0.9
    assert measured["seconds"] == pytest.approx(check["seconds"])
    assert measured["seconds"] == pytest.approx(sum(measured["parts"].values()))
    assert min(measured["imports_s"], measured["processor_s"]) > 0


@pytest.mark.backend
def test_the_whole_model_stops_at_the_accuracy():
    measured = benchmark.measure(BACKEND, TINY, 0, 0.9)
    assert measured["reached"]
    assert [check["epoch"] for check in measured["checks"]] == [0]
    assert list(measured["parts"]) == ["tokens", "vectors", "linear part", "building", "epochs"]
    assert measured["seconds"] == pytest.approx(measured["checks"][-1]["seconds"])


@pytest.mark.backend
@pytest.mark.slow
def test_what_is_never_reached_trains_as_the_command_does(tmp_path):
    measured = benchmark.measure(BACKEND, TINY, 5, 1.5)
    assert not measured["reached"]
    config = replace(benchmark._config(TINY), seed=5)
    run = train.train("it", config, tmp_path / "run", corpus=benchmark._corpus(TINY))
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert [check["epoch"] for check in measured["checks"]] == [0, 1, 2]
    assert [check["accuracy"] for check in measured["checks"][1:]] == [
        epoch["validation_accuracy"] for epoch in history
    ]
    seconds = [check["seconds"] for check in measured["checks"]]
    assert 0 < seconds[0] < seconds[1] < seconds[2]


@pytest.mark.backend
@pytest.mark.slow
def test_it_runs_from_processes_to_a_page(alone, tmp_path, monkeypatch):
    monkeypatch.chdir(train.Path(benchmark.__file__).parents[1])
    path = tmp_path / "record.json"
    benchmark.main(tiny=True, runs=1, cores=1, record=path)
    record = json.loads(path.read_text())
    assert [r["contender"] for r in record["rows"]] == ["scikit-learn", "linear part", BACKEND]
    for r in record["rows"]:
        assert 0 < r["seconds"] < r["process_s"]
        assert r["reached"] == (r["checks"][-1]["accuracy"] >= r["target"])
    assert f"| the whole model, {BACKEND} |" in page_of.page(record)
