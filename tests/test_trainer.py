"""The trainer against `model.fit`, and the state that a checkpoint needs."""

import keras
import numpy as np
import pytest
from keras import layers

from research.models import registry
from research.models.options import ModelOptions
from research.models.randomness import Dropout, GlorotUniform
from research.models.variables import weight_values
from research.training import trainer as trainer_module
from research.training.inference import predict_probabilities
from research.training.trainer import OPTIMIZERS, Trainer

pytestmark = pytest.mark.backend

EXAMPLES, LENGTH, CLASSES, BATCH = 21, 12, 4, 8  # the last of three batches has five examples


def vectors():
    return np.random.default_rng(1).normal(size=(50, 8)).astype("float32")


def kim(**options):
    return registry.build("kim", vectors(), LENGTH, CLASSES, ModelOptions(**options))


def average(*, trainable_embeddings=False, dropout=0.5, seed=0):
    """Logits from the mean of a text's vectors, with dropout; quick to compile."""
    token_ids = keras.Input((LENGTH,), dtype="int32")
    embedding = layers.Embedding(50, 8, trainable=trainable_embeddings, name="embedding")
    x = layers.GlobalAveragePooling1D()(embedding(token_ids))
    embedding.set_weights([vectors()])
    x = Dropout(dropout, seed, name="dropout")(x)
    kernel = GlorotUniform(seed, 0)
    return keras.Model(
        token_ids, layers.Dense(CLASSES, kernel_initializer=kernel, name="logits")(x)
    )


@pytest.fixture(scope="module")
def data():
    generator = np.random.default_rng(2)
    token_ids = generator.integers(1, 50, (EXAMPLES, LENGTH), "int32")
    return token_ids, generator.integers(0, CLASSES, EXAMPLES, "int32")


def train(trainer, data, *, order=None, first_step=0):
    order = np.arange(len(data[0])) if order is None else order
    return list(trainer.epoch(*data, order, BATCH, first_step))


def assert_close(values, expected, atol):
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_allclose(values[name], value, rtol=1e-5, atol=atol, err_msg=name)


def assert_equal(values, expected):
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(values[name], value, err_msg=name)


def test_metrics_have_variables_before_the_model_is_called(monkeypatch, data):
    model = average()
    with monkeypatch.context() as patch:
        patch.setattr(model, "call", None)
        trainer = Trainer(model, "adam", 0.01)
    assert [name for name in trainer.forms() if name.startswith("metrics/")] == [
        f"metrics/{i}"
        for i in range(4)  # total and count, of the loss and of the accuracy
    ]
    assert not any(values.any() for name, values in trainer.state().items() if "metrics/" in name)
    names = trainer.state().keys()
    train(trainer, data)
    assert trainer.state().keys() == names


@pytest.mark.parametrize(
    ("build", "optimizer", "options"),
    [
        (kim, "rmsprop", {"dropout": 0.5}),
        (average, "adam", {"dropout": 0.5, "trainable_embeddings": True}),
    ],
)
def test_an_epoch_is_an_epoch_of_keras_fit(data, build, optimizer, options):
    token_ids, labels = data
    order = np.random.default_rng(3).permutation(EXAMPLES)

    plain = build(**options)
    plain.compile(
        optimizer=OPTIMIZERS[optimizer](0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    history = plain.fit(
        token_ids[order], labels[order], batch_size=BATCH, epochs=2, shuffle=False, verbose=0
    ).history

    trainer = Trainer(build(**options), optimizer, 0.01)
    running = [train(trainer, data, order=order)[-1] for _ in range(2)]
    # Of six steps of 0.01; rounding differs where XLA compiled one of the two.
    assert_close(weight_values(trainer.model), weight_values(plain), atol=2e-5)
    for epoch, (steps, means) in enumerate(running):
        assert steps == 3
        for name, value in means.items():
            assert value == pytest.approx(history[name][epoch], rel=1e-4), name
    assert running[0][1].keys() == {"loss", "accuracy"} == history.keys()


def test_weights_of_classes_are_those_of_keras(data):
    token_ids, labels = data
    weights = np.array([3, 0.5, 1, 1], "float32")[: labels.max() + 1]
    plain = average(dropout=0.0)
    plain.compile(
        optimizer=OPTIMIZERS["rmsprop"](0.01),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    plain.fit(
        token_ids,
        labels,
        batch_size=BATCH,
        shuffle=False,
        verbose=0,
        class_weight=dict(enumerate(weights.tolist())),
    )
    trainer = Trainer(average(dropout=0.0), "rmsprop", 0.01, class_weights=weights)
    train(trainer, data, order=np.arange(EXAMPLES))
    assert_close(weight_values(trainer.model), weight_values(plain), atol=2e-5)


def test_an_epoch_changes_the_trained_weights_and_no_frozen_ones(data):
    trainer = Trainer(average(), "rmsprop", 0.001)
    before = weight_values(trainer.model)
    train(trainer, data)
    changed = {
        name
        for name, value in weight_values(trainer.model).items()
        if not np.array_equal(value, before[name])
    }
    assert changed == before.keys() - {"embedding/embeddings"}


def test_fine_tuning_moves_the_words_that_occur_and_no_others(data):
    trainer = Trainer(average(trainable_embeddings=True), "rmsprop", 0.001)
    before = weight_values(trainer.model)["embedding/embeddings"]
    token_ids, labels = data
    train(trainer, (np.where(token_ids == 7, 8, token_ids), labels))
    after = weight_values(trainer.model)["embedding/embeddings"]
    still = {row for row in range(50) if np.array_equal(after[row], before[row])}
    assert {0, 7} <= still  # padding, and a word that no text has
    assert 8 not in still


def test_the_learning_rate_falls_to_two_per_cent(data):
    trainer = Trainer(average(), "adam", 0.5, decay_steps=3)
    rates = [float(trainer.model.optimizer.learning_rate)]
    train(trainer, data)  # three steps
    rates.append(float(trainer.model.optimizer.learning_rate))
    np.testing.assert_allclose(rates, [0.5, 0.01], rtol=1e-5)


def test_it_reports_every_few_steps_and_at_the_end(data, monkeypatch):
    monkeypatch.setattr(trainer_module, "STEPS_PER_REPORT", 2)
    trainer = Trainer(average(dropout=0.0), "rmsprop", 1e-9)
    reports = train(trainer, data)
    assert [steps for steps, _ in reports] == [2, 3]
    # With a learning rate of nearly nothing, the means are those of the model that it began with.
    probabilities = predict_probabilities(average(), data[0])
    losses = -np.log(probabilities[np.arange(EXAMPLES), data[1]])
    hits = probabilities.argmax(axis=1) == data[1]
    for examples, (_, means) in zip((2 * BATCH, EXAMPLES), reports, strict=True):
        assert means["loss"] == pytest.approx(losses[:examples].mean(), rel=1e-4)
        assert means["accuracy"] == pytest.approx(hits[:examples].mean(), rel=1e-6)
    assert train(trainer, data)[-1][1]["loss"] == pytest.approx(losses.mean(), rel=1e-4)


def test_how_often_it_reports_changes_nothing(data, monkeypatch):
    states = []
    for steps in (1, 8):
        monkeypatch.setattr(trainer_module, "STEPS_PER_REPORT", steps)
        trainer = Trainer(average(), "rmsprop", 0.001)
        train(trainer, data)
        states.append(trainer.state())
    assert_equal(*states)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_another_trainer_goes_on_from_a_state_bit_by_bit(data, optimizer, monkeypatch):
    monkeypatch.setattr(trainer_module, "STEPS_PER_REPORT", 1)
    whole = Trainer(average(), optimizer, 0.01)
    epoch = whole.epoch(*data, np.arange(EXAMPLES), BATCH)
    next(epoch)
    state = whole.state()  # in the middle of an epoch
    rest = list(epoch)

    other = Trainer(average(seed=5), optimizer, 0.5)  # the state decides, not the options
    other.restore(state)
    assert_equal(other.state(), state)
    assert train(other, data, first_step=1) == rest
    assert_equal(other.state(), whole.state())


def test_a_state_holds_weights_dropout_optimizer_and_metrics(data):
    trainer = Trainer(average(), "adam", 0.001)
    train(trainer, data)
    state = trainer.state()
    assert {
        "embedding/embeddings",
        "logits/kernel",
        "dropout/seed_generator_state",
        "adam/iteration",
        "adam/learning_rate",
        "metrics/0",
    } <= state.keys()
    assert state["dropout/seed_generator_state"].tolist() == [0, 3]  # the seed, steps done
    assert state["adam/iteration"] == 3


def test_the_state_of_another_model_is_refused_by_name(data):
    trainer = Trainer(average(), "rmsprop", 0.001)
    state = trainer.state()
    before = weight_values(trainer.model)
    wider = {**state, "logits/kernel": np.zeros((8, 5), "float32")}
    with pytest.raises(ValueError, match=r"logits/kernel of shape \(8, 4\), received \(8, 5\)"):
        trainer.restore(wider)
    fewer = {name: value for name, value in state.items() if name != "logits/bias"}
    with pytest.raises(ValueError, match=r"logits/bias .* received None, and 0 more differ"):
        trainer.restore(fewer)
    with pytest.raises(ValueError, match="use the options that the run was trained with"):
        Trainer(average(), "adam", 0.001).restore(state)
    assert_equal(weight_values(trainer.model), before)  # nothing was half restored


def test_memory_mapped_examples_train_as_those_in_memory(data, tmp_path):
    np.save(tmp_path / "token_ids.npy", data[0])
    mapped = np.load(tmp_path / "token_ids.npy", mmap_mode="r")
    states = []
    for token_ids in (data[0], mapped):
        trainer = Trainer(average(), "rmsprop", 0.001)
        train(trainer, (token_ids, data[1]), order=np.arange(EXAMPLES)[::-1])
        states.append(trainer.state())
    assert_equal(*states)
