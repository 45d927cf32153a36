"""A run from its options to its folder, and what happens when it is interrupted and resumed."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from conftest import TOPICS, arrays_of, position_of

import research
from research import train
from research.config import Config
from research.data import corpora
from research.evaluation import figures
from research.files import atomic
from research.training import epochs, trainer

pytestmark = pytest.mark.backend


KEPT = {".json", ".jsonl", ".npz", ".txt"}  # suffixes of the files that a run is made of


TIMES = ("seconds", "preparation_seconds", "step_time_ms")


def slow(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """A run that nobody interrupted."""
    return train.train("tiny", Config(**tiny), tmp_path_factory.mktemp("runs") / "whole")


@pytest.fixture(autouse=True)
def no_figures(whole, monkeypatch):
    """Draw the learning curves of `whole` only, since that takes a third of a run's time."""
    monkeypatch.setattr(figures, "learning_curves", lambda history, stem: None)


def final_state(run):
    return arrays_of(run, "last")


def assert_same_state(run, other):
    state, expected = final_state(run), final_state(other)
    assert state.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(state[name], value, err_msg=name)


def without_times(history):
    return [
        {name: value for name, value in record.items() if name not in TIMES} for record in history
    ]


def test_a_run_folder_holds_what_the_design_says(whole):
    names = {path.name for path in whole.iterdir()}
    assert names == {
        ".lock",
        "config.json",
        "data.json",
        "environment.json",
        "vocabulary.txt",
        "history.jsonl",
        "checkpoint",
        "learning_curves.svg",
        "learning_curves.png",
    }
    history = [json.loads(line) for line in (whole / "history.jsonl").read_text().splitlines()]
    assert [record["epoch"] for record in history] == [1, 2]
    assert len(list((whole / "checkpoint").iterdir())) == 3
    environment = atomic.read_json(whole / "environment.json")[0]
    assert environment["versions"]["keras"] and environment["backend"] in environment["versions"]


def test_a_trained_run_knows_its_topics(whole, tiny, tmp_path):
    run = train.train(
        "tiny",
        Config(**tiny | {"epochs": 6, "learning_rate": 0.003, "batch_size": 16}),
        tmp_path / "run",
    )
    classifier = research.load(run)
    probabilities = classifier.predict(list(TOPICS.values()) * 2)
    assert probabilities.shape == (6, 3)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
    labels = [classifier.classes[i] for i in probabilities.argmax(axis=1)]
    assert labels == list(TOPICS) * 2


def test_the_same_seed_gives_the_same_weights_and_another_one_does_not(whole, tiny, tmp_path):
    again = train.train("tiny", Config(**tiny), tmp_path / "again")
    assert_same_state(again, whole)
    other = train.train("tiny", Config(**tiny, seed=1), tmp_path / "other")
    with pytest.raises(AssertionError):
        assert_same_state(other, whole)


@pytest.mark.parametrize("after", [slow(1), 2, slow(3)])
def test_an_interrupted_run_ends_with_the_weights_of_a_whole_one(
    whole, tiny, tmp_path, monkeypatch, after
):
    monkeypatch.setattr(trainer, "STEPS_PER_REPORT", 2)  # an epoch has five steps
    asked = iter(range(1, 100))
    with pytest.raises(train.Interrupted, match="--resume"):
        train.train("tiny", Config(**tiny), tmp_path / "run", stop=lambda: next(asked) >= after)
    position = position_of(tmp_path / "run")
    assert (position.epoch, position.step) == {1: (0, 2), 2: (0, 4), 3: (1, 0)}[after]

    run = train.train("tiny", Config(**tiny), tmp_path / "run", resume=True)
    assert_same_state(run, whole)
    histories = [position_of(folder).history for folder in (run, whole)]
    assert without_times(histories[0]) == without_times(histories[1])
    assert [process["from"] for process in atomic.read_json(run / "environment.json")] == [
        {"epoch": 0, "step": 0},
        {"epoch": position.epoch, "step": position.step},
    ]


@pytest.mark.slow
def test_more_epochs_continue_where_the_run_ended(whole, tiny, tmp_path):
    config = Config(**tiny)
    run = train.train("tiny", replace(config, epochs=1), tmp_path / "run")
    train.train("tiny", config, run, resume=True)
    assert_same_state(run, whole)


@pytest.mark.slow
def test_a_finished_run_stays_as_it_is(whole, tiny, tmp_path):
    run = shutil.copytree(whole, tmp_path / "run")
    (run / "history.jsonl").write_text("")  # as if it had been killed before its history was there
    train.train("tiny", Config(**tiny), run, resume=True)
    names = ("config.json", "data.json", "environment.json", "vocabulary.txt", "history.jsonl")
    for name in names:
        assert (run / name).read_bytes() == (whole / name).read_bytes(), name
    assert_same_state(run, whole)


def test_a_run_that_never_reached_a_checkpoint_starts_over(whole, tiny, tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    atomic.write_json(run / "config.json", Config(**tiny).to_json())
    train.train("tiny", Config(**tiny), run, resume=True)
    assert_same_state(run, whole)


def test_a_run_is_not_overwritten(whole, tiny, tmp_path):
    with pytest.raises(ValueError, match=r"already holds a run; .* --resume"):
        train.train("tiny", Config(**tiny), whole)
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(ValueError, match="something else"):
        train.train("tiny", Config(**tiny), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_a_run_resumes_only_with_its_own_data_and_options(tiny, tmp_path):
    corpus = shutil.copytree(tiny["corpus_path"], tmp_path / "corpus")
    vectors = Path(shutil.copy(tiny["vectors"], tmp_path))
    config = Config(**tiny | {"corpus_path": corpus, "vectors": str(vectors)})
    run = train.train("tiny", config, tmp_path / "run")
    before = files(run)

    def assert_refused(message, **changes):
        with pytest.raises(ValueError, match=message):
            train.train("tiny", replace(config, **{"epochs": 3} | changes), run, resume=True)
        assert files(run) == before

    assert_refused("expected --epochs of 2 or more, .* received 1", epochs=1)
    assert_refused("expected --dropout 0.5, .* received 0.1", dropout=0.1)
    words = vectors.read_text()
    vectors.write_text(words.replace("0.1", "0.2"))
    assert_refused("received other vectors_digest")
    vectors.write_text(words)
    (corpus / "space" / "000.txt").write_text("changed")
    assert_refused("received other corpus_digest")


def files(run):
    return {path.name: path.read_bytes() for path in run.rglob("*") if path.suffix in KEPT}


def test_the_path_of_vectors_is_kept_so_that_it_works_elsewhere(tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(Path(tiny["vectors"]).parent)
    config = Config(**tiny | {"vectors": "vectors.txt", "epochs": 1})
    run = train.train("tiny", config, tmp_path / "run")
    assert Config.read(run).vectors == tiny["vectors"]
    monkeypatch.chdir(tmp_path)
    assert train.train("tiny", replace(Config.read(run), epochs=2), run, resume=True) == run


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_last_good_checkpoint(
    whole, tiny, tmp_path, monkeypatch
):
    run = shutil.copytree(whole, tmp_path / "run")
    before = final_state(run)
    epoch = trainer.Trainer.epoch

    def broken(self, *arguments):
        for done, running in epoch(self, *arguments):
            yield done, running | {"loss": float("nan")}

    monkeypatch.setattr(trainer.Trainer, "epoch", broken)
    with pytest.raises(
        ValueError, match=r"received NaN .* by step 5 of epoch 3 .* checkpoint of epoch 2"
    ):
        train.train("tiny", Config(**tiny | {"epochs": 3}), run, resume=True)
    for name, value in final_state(run).items():
        np.testing.assert_array_equal(value, before[name])


def test_a_too_large_learning_rate_is_noticed(tiny, tmp_path):
    config = Config(**tiny | {"learning_rate": 3e38})  # times 3 in RMSprop's first step
    with pytest.raises(ValueError, match=r"finite (loss|weights), received NaN .*rate 3e\+38"):
        train.train("tiny", config, tmp_path / "run")


def test_a_text_too_short_for_the_network_is_refused_before_anything_is_written(tiny, tmp_path):
    with pytest.raises(ValueError, match="149"):
        train.train("tiny", Config(**tiny | {"sequence_length": 148}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_kim_trains_with_fine_tuned_embeddings(tiny, tmp_path):
    config = Config(
        **tiny,
        model="kim",
        trainable_embeddings=True,
        missing_vectors="random",
        optimizer="adam",
    )
    run = train.train("tiny", config, tmp_path / "run")
    history = position_of(run).history
    assert history[1]["loss"] < history[0]["loss"]


# --- two experts, and the best epoch ------------------------------------------------------------


@pytest.fixture(scope="module")
def experts(tiny):
    """Options of a model of two experts."""
    return Config(
        **tiny | {"epochs": 4},
        model="wide-deep",
        trainable_embeddings=True,
        optimizer="adam",
        learning_rate=0.003,
        learning_rate_schedule="linear",
        monitor="loss",
    )


@pytest.fixture(scope="module")
def of_experts(experts, tmp_path_factory):
    return train.train("tiny", experts, tmp_path_factory.mktemp("runs") / "experts")


def test_a_model_of_experts_knows_its_topics_and_what_each_expert_is_worth(of_experts):
    classifier = research.load(of_experts)
    labels = classifier.predict(list(TOPICS.values())).argmax(axis=1)
    assert [classifier.classes[label] for label in labels] == list(TOPICS)
    assert (arrays_of(of_experts, "best")["experts/exponents"] != 0.5).all()


def test_the_time_of_what_is_fitted_in_closed_form_belongs_to_the_run(of_experts):
    first, *others = position_of(of_experts).history
    assert first["preparation_seconds"] > 0
    assert not any("preparation_seconds" in record for record in others)


@pytest.mark.parametrize("after", [1, slow(2), slow(3)])
def test_an_interrupted_run_of_experts_ends_as_a_whole_one(
    experts, of_experts, tmp_path, monkeypatch, after
):
    monkeypatch.setattr(trainer, "STEPS_PER_REPORT", 2)
    asked = iter(range(1, 100))
    run = tmp_path / "run"
    with pytest.raises(train.Interrupted, match=f"--run-dir {run} --resume"):
        train.train("tiny", experts, run, stop=lambda: next(asked) >= after)
    train.train("tiny", experts, run, resume=True)
    assert_same_state(run, of_experts)


@pytest.mark.parametrize("model", ["tutorial", "wide-deep"])
def test_an_interrupted_run_with_class_weights_ends_as_a_whole_one(
    model, tiny, tmp_path, monkeypatch
):
    corpus = shutil.copytree(tiny["corpus_path"], tmp_path / "texts")
    for path in sorted((corpus / sorted(TOPICS)[0]).iterdir())[20:]:
        path.unlink()
    monkeypatch.setattr(trainer, "STEPS_PER_REPORT", 2)
    given = tiny | {"corpus_path": corpus, "model": model}
    config = Config(**given, class_weight="balanced", monitor="macro-f1")
    whole = train.train("tiny", config, tmp_path / "whole")
    asked = iter(range(1, 100))
    run = tmp_path / "run"
    with pytest.raises(train.Interrupted, match="--resume"):
        train.train("tiny", config, run, stop=lambda: next(asked) >= 2)
    train.train("tiny", config, run, resume=True)
    assert_same_state(run, whole)
    even = train.train("tiny", replace(config, class_weight="none"), tmp_path / "even")
    with pytest.raises(AssertionError):
        assert_same_state(even, whole)


def test_a_run_ends_when_no_epoch_was_better_for_some_time(tiny, tmp_path, monkeypatch):
    losses = iter([0.5, 0.3, 0.4, 0.3, 0.2])

    def scores(*_):
        return {"validation_loss": next(losses), "validation_accuracy": 0.5}

    monkeypatch.setattr(train, "validation_scores", scores)
    config = Config(**tiny | {"epochs": 5}, monitor="loss", patience=2)
    run = train.train("tiny", config, tmp_path / "run")
    assert (position_of(run).epoch, position_of(run).best_epoch) == (4, 2)
    before = final_state(run)
    train.train("tiny", config, run, resume=True)  # it is complete
    for name, value in final_state(run).items():
        np.testing.assert_array_equal(value, before[name])


def history_of(scores):
    return [{"epoch": i + 1, **score} for i, score in enumerate(scores)]


def test_the_best_epoch_is_that_of_the_highest_accuracy_or_the_least_loss():
    history = history_of(
        {"validation_accuracy": accuracy, "validation_loss": loss}
        for accuracy, loss in [(0.5, 0.9), (0.7, 0.8), (0.7, 0.4), (0.6, 0.4)]
    )
    assert epochs.best(history, "accuracy")["epoch"] == 2
    assert epochs.best(history, "loss")["epoch"] == 3


def test_the_best_epoch_can_be_that_of_the_highest_macro_f1():
    history = history_of({"validation_macro_f1": score} for score in (0.2, 0.4, 0.3))
    assert epochs.best(history, "macro-f1")["epoch"] == 2


def prepared(config):
    return train.prepare_data(corpora.load(config.corpus_source), config)


def test_where_validation_is_scored_a_tenth_of_train_is_held_out_instead(tiny):
    usual, other = (
        prepared(Config(**tiny, train_on=train_on))
        for train_on in ("train", "nine-tenths-of-train")
    )
    examples = usual.description["examples"]
    assert (len(usual.labels), len(usual.validation_labels)) == (
        examples["train"],
        examples["validation"],
    )
    assert len(other.labels) + len(other.validation_labels) == examples["train"]
    assert 0 < len(other.validation_labels) <= 0.15 * examples["train"]
    for data in (usual, other):
        assert len(data.token_ids) == len(data.labels)
        assert len(data.validation_ids) == len(data.validation_labels)


def test_of_few_examples_a_tenth_is_held_out(tiny):
    data = prepared(Config(**tiny, train_examples=20, train_on="nine-tenths-of-train"))
    assert len(data.labels) + len(data.validation_labels) == 20
    assert len(data.labels) >= 16
