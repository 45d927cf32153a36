"""A class that only the test split has: everything trains without it, and its texts count."""

import shutil
from pathlib import Path

import pytest
from conftest import TOPICS, options

from research import baselines, evaluate, train
from research.evaluation.baseline_methods import Baseline
from research.files import atomic

NAMES = sorted([*TOPICS, "gardening"])
WARNING = "warning: classes without a text in train: 'gardening' (12); nothing can learn them, so"


@pytest.fixture
def corpus(tiny: dict, tmp_path: Path) -> Path:
    """Return a folder of three classes in all splits, and a fourth in test."""
    for topic in TOPICS:
        for number, file in enumerate(sorted((tiny["corpus_path"] / topic).iterdir())):
            split = "test" if number < 12 else "val" if number < 20 else "train"
            folder = tmp_path / "texts" / split / topic
            folder.mkdir(parents=True, exist_ok=True)
            shutil.copy(file, folder)
    (tmp_path / "texts" / "test" / "gardening").mkdir()
    for number in range(12):
        text = f"the spade and a rose {number}"
        (tmp_path / "texts" / "test" / "gardening" / f"{number}").write_text(text)
    return tmp_path / "texts"


@pytest.mark.backend
@pytest.mark.parametrize("model", ["tutorial", "wide-deep"])
def test_a_network_misses_the_texts(model, corpus, tiny, call, tmp_path):
    given = tiny | {"corpus_path": corpus, "model": model, "class_weight": "balanced"}
    run = tmp_path / "run"
    answer = call(train, *options(given), "--run-dir", run)
    assert answer.code == 0, answer.err
    assert WARNING in answer.out
    answer = call(evaluate, run)
    assert (answer.code, answer.err) == (0, "")
    assert WARNING in answer.out
    scores = atomic.read_json(run / "metrics.json")
    assert scores["examples"] == 48
    assert scores["accuracy"] <= 36 / 48
    [row] = [row for row in scores["per_class"] if row["class_name"] == "gardening"]
    assert (row["recall"], row["f1"], row["support"]) == (0, 0, 12)
    assert list(scores["predictions"]) == NAMES


@pytest.mark.parametrize("method", ["svm", "logistic", "bayes", "fasttext"])
def test_a_baseline_misses_the_texts(method, corpus, call, tmp_path, monkeypatch):
    if method == "fasttext":
        pytest.importorskip("fasttext")
    monkeypatch.setattr(baselines, "all_baselines", lambda: [Baseline(method)])
    answer = call(baselines, "folder", "--corpus-path", corpus, "--results", tmp_path / "records")
    assert answer.code == 0, answer.err
    assert WARNING in answer.out
    [path] = (tmp_path / "records" / "texts").iterdir()
    scores = atomic.read_json(path)["metrics"]
    [row] = [row for row in scores["per_class"] if row["class_name"] == "gardening"]
    assert (row["recall"], row["support"]) == (0, 12)
    assert scores["accuracy"] > 0.6
