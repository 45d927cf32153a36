"""Probabilities from token ids, and the name of the device that computes them."""

import keras
import numpy as np
import pytest
from keras import layers, ops

from research.models import registry
from research.models.randomness import Dropout
from research.models.variables import weight_values
from research.training.devices import device_name
from research.training.inference import predict_probabilities
from research.training.trainer import Trainer

pytestmark = pytest.mark.backend

LENGTH, CLASSES = 12, 4


def average(dropout=0.5):
    """Logits from the mean of a text's vectors, which is quick to compile."""
    token_ids = keras.Input((LENGTH,), dtype="int32")
    embedding = layers.Embedding(50, 8, embeddings_initializer=keras.initializers.RandomNormal(1.0))
    x = layers.GlobalAveragePooling1D()(embedding(token_ids))
    return keras.Model(token_ids, layers.Dense(CLASSES)(Dropout(dropout, 0)(x)))


def texts(examples):
    return np.random.default_rng(4).integers(0, 50, (examples, LENGTH), "int32")


def softmax_of_keras(model, token_ids):
    logits = model.predict(token_ids, verbose=0)
    return ops.convert_to_numpy(keras.activations.softmax(logits))


@pytest.mark.parametrize("examples", [1, 8, 11])
def test_probabilities_are_the_softmax_of_the_logits(examples):
    model, token_ids = average(), texts(examples)
    probabilities = predict_probabilities(model, token_ids, batch_size=8)
    logits = ops.convert_to_numpy(model(token_ids)).astype("float64")
    expected = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("examples", [1, 3, 16, 21])
def test_texts_of_any_lengths_get_the_probabilities_that_keras_predict_gives(examples):
    # The texts are sorted by length, cut, and put back in order. The last batch is filled up.
    generator = np.random.default_rng(5)
    token_ids = generator.integers(1, 50, (examples, 40), "int32")
    lengths = generator.integers(0, 41, examples)
    token_ids[np.arange(40) >= lengths[:, None]] = 0
    vectors = generator.normal(size=(50, 8)).astype("float32")
    model = registry.build("kim", vectors, 40, CLASSES)
    probabilities = predict_probabilities(model, token_ids, batch_size=8)
    np.testing.assert_allclose(probabilities, softmax_of_keras(model, token_ids), atol=1e-6)


def test_prediction_uses_the_current_weights():
    model, token_ids = average(), texts(21)
    trainer = Trainer(model, "rmsprop", 0.1)
    before = predict_probabilities(model, token_ids)
    list(trainer.epoch(token_ids, np.arange(21, dtype="int32") % CLASSES, np.arange(21), 8))
    after = predict_probabilities(model, token_ids)
    np.testing.assert_allclose(after, softmax_of_keras(model, token_ids), atol=1e-6)
    assert np.abs(after - before).max() > 0.01


def test_prediction_changes_nothing_and_drops_nothing():
    model, token_ids = average(dropout=0.9), texts(21)
    before = weight_values(model)
    first = predict_probabilities(model, token_ids)
    np.testing.assert_array_equal(predict_probabilities(model, token_ids), first)
    np.testing.assert_allclose(first, softmax_of_keras(model, token_ids), atol=1e-6)
    for name, value in weight_values(model).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def test_probabilities_of_extreme_logits_are_finite():
    token_ids = keras.Input((1,), dtype="int32")
    rows = np.array([[1e4, -1e4], [0, 0]], "float32")
    embedding = layers.Embedding(2, 2, weights=[rows])
    model = keras.Model(token_ids, layers.Flatten()(embedding(token_ids)))
    probabilities = predict_probabilities(model, np.array([[0], [1]], "int32"))
    np.testing.assert_array_equal(probabilities, [[1, 0], [0.5, 0.5]])


def test_the_device_has_a_kind_and_a_name():
    kind, _, name = device_name().partition(": ")
    assert kind in {"cpu", "gpu", "tpu"}
    assert name
