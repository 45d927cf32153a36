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
from research.evaluation import figures
from research.files import atomic
from research.training import trainer

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


# --- the best epoch, and learning anew ----------------------------------------------------------


@pytest.fixture(scope="module")
def both(tiny):
    """Options of a model of two experts, which learns from train and validation."""
    return Config(
        **tiny | {"epochs": 4},
        model="wide-deep",
        trainable_embeddings=True,
        optimizer="adam",
        learning_rate=0.003,
        learning_rate_schedule="linear",
        monitor="loss",
        train_on="train+validation",
    )


@pytest.fixture(scope="module")
def refitted(both, tmp_path_factory):
    return train.train("tiny", both, tmp_path_factory.mktemp("runs") / "refitted")


def test_learning_from_validation_too_takes_as_many_epochs_as_were_chosen_on_it(both, refitted):
    choice, position = refitted / "choice", position_of(refitted)
    assert Config.read(choice) == replace(both, train_on="train")
    history = position_of(choice).history
    losses = [record["validation_loss"] for record in history]
    assert position_of(choice).best_epoch == 1 + losses.index(min(losses))
    assert position.epoch == position.best_epoch == position_of(choice).best_epoch
    assert not any(name.startswith("validation") for name in position.history[-1])
    # The time of choosing belongs to the run.
    chosen_in = sum(record["seconds"] for record in history)
    assert position.history[0]["preparation_seconds"] > chosen_in

    classifier = research.load(refitted)
    labels = classifier.predict(list(TOPICS.values())).argmax(axis=1)
    assert [classifier.classes[label] for label in labels] == list(TOPICS)


def test_a_refitted_model_has_the_exponents_that_were_fitted_on_validation(refitted):
    chosen, final = (
        arrays_of(run, "best")["experts/exponents"] for run in (refitted / "choice", refitted)
    )
    np.testing.assert_array_equal(final, chosen)
    assert (final != 0.5).all()


@pytest.mark.parametrize("after", [1, slow(3), slow(5), slow(6)])
def test_a_run_interrupted_while_choosing_or_later_ends_as_a_whole_one(
    both, refitted, tmp_path, monkeypatch, after
):
    monkeypatch.setattr(trainer, "STEPS_PER_REPORT", 100)  # asked twice in an epoch
    asked = iter(range(1, 100))
    run = tmp_path / "run"
    with pytest.raises(train.Interrupted, match=f"--run-dir {run} --resume"):
        train.train("tiny", both, run, stop=lambda: next(asked) >= after)
    assert Config.read(run) == both
    train.train("tiny", both, run, resume=True)
    assert_same_state(run, refitted)
    assert position_of(run / "choice").epoch == 4


def test_a_complete_refitted_run_is_not_trained_again(both, refitted, tmp_path):
    run = shutil.copytree(refitted, tmp_path / "run")
    train.train("tiny", both, run, resume=True)
    assert atomic.read_json(run / "environment.json") == atomic.read_json(
        refitted / "environment.json"
    )


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
    assert train.best_epoch(history, "accuracy")["epoch"] == 2
    assert train.best_epoch(history, "loss")["epoch"] == 3
    assert train.best_epoch(history_of([{}, {}]), "loss")["epoch"] == 2


def test_what_is_learned_from_and_what_is_held_out(tiny):
    data = {
        train_on: train.prepare_data(Config(**tiny, train_on=train_on))
        for train_on in ("train", "train+validation", "nine-tenths-of-train", "all-of-train")
    }
    examples = data["train"].description["examples"]
    counts = {
        name: (len(of_one.labels), len(of_one.validation_labels)) for name, of_one in data.items()
    }
    train_size, validation_size = examples["train"], examples["validation"]
    assert counts["train"] == counts["all-of-train"] == (train_size, validation_size)
    assert counts["train+validation"] == (train_size + validation_size, validation_size)
    learned, held_out = counts["nine-tenths-of-train"]
    assert learned + held_out == train_size
    assert 0 < held_out <= 0.15 * train_size
    for of_one in data.values():
        assert len(of_one.token_ids) == len(of_one.labels)
        assert len(of_one.validation_ids) == len(of_one.validation_labels)


def test_few_examples_are_all_that_a_refitted_model_sees(tiny):
    """Of 20 texts, a tenth is held out to choose the epoch."""
    learned, held_out = (
        train.prepare_data(Config(**tiny, train_examples=20, train_on=train_on))
        for train_on in ("all-of-train", "nine-tenths-of-train")
    )
    assert len(learned.labels) == 20
    assert len(held_out.labels) + len(held_out.validation_labels) == 20
