"""The networks and their initial weights, which must be the same on every backend."""

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy.special import softmax

from research.models import registry
from research.models.linear import PAIR_PLACES, LinearClassifier
from research.models.options import ModelOptions

pytestmark = pytest.mark.backend


def vectors(rows, dimensions=8):
    matrix = np.random.default_rng(1).normal(size=(rows, dimensions)).astype("float32")
    matrix[:2] = 0  # padding and [UNK], as `embedding_matrix` makes them
    return matrix


def texts(examples, sequence_length, words=50):
    return np.random.default_rng(2).integers(1, words, (examples, sequence_length), "int32")


def logits(model, token_ids):
    return ops.convert_to_numpy(model(np.asarray(token_ids, "int32")))


def parameters(model):
    def count(variables):
        return sum(int(np.prod(variable.shape)) for variable in variables)

    return count(model.weights), count(model.trainable_weights), count(model.non_trainable_weights)


# --- the tutorial's network ---------------------------------------------------------------------


def test_the_tutorial_has_as_many_parameters_as_the_page_prints():
    embeddings = np.zeros((20_000, 100), "float32")
    model = registry.build("tutorial", embeddings, 200, 20)
    # (20,000 + 2) * 100 are frozen, and 64,128 + 2 * 82,048 + 16,512 + 2,580 are not.
    assert parameters(model) == (2_247_516, 247_316, 2_000_200)
    assert model.count_params() == 2_247_516
    fine_tuned = registry.build(
        "tutorial", embeddings, 200, 20, ModelOptions(trainable_embeddings=True)
    )
    assert parameters(fine_tuned) == (2_247_516, 2_247_516, 0)


def plain_tutorial(**of_embedding):
    return keras.Sequential(
        [
            keras.Input((200,), dtype="int32"),
            layers.Embedding(52, 8, **of_embedding),
            layers.Conv1D(128, 5, activation="relu"),
            layers.MaxPooling1D(5),
            layers.Conv1D(128, 5, activation="relu"),
            layers.MaxPooling1D(5),
            layers.Conv1D(128, 5, activation="relu"),
            layers.GlobalMaxPooling1D(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0),
            layers.Dense(4),
        ]
    )


def with_biases(weights):
    """The weights with biases that are not zero, and half of them positive."""
    generator = np.random.default_rng(3)
    return [w if w.ndim > 1 else generator.normal(0, 0.1, w.shape) for w in weights]


def padded_texts(examples, lengths):
    words = texts(examples, 200)
    words[np.arange(200) >= np.resize(lengths, examples)[:, None]] = 0
    return words


LENGTHS = [200, 199, 196, 195, 150, 101, 100, 99, 6, 5, 4, 1, 0]


def test_the_tutorial_is_the_network_that_plain_keras_layers_make():
    model = registry.build("tutorial", vectors(50), 200, 4)
    plain = plain_tutorial()
    plain.set_weights(with_biases(model.get_weights()))
    model.set_weights(plain.get_weights())
    token_ids = padded_texts(13, LENGTHS)
    np.testing.assert_allclose(logits(model, token_ids), logits(plain, token_ids), atol=1e-6)


@pytest.mark.parametrize("trainable_embeddings", [False, True])
def test_the_tutorial_learns_as_plain_keras_layers_do(trainable_embeddings):
    options = ModelOptions(trainable_embeddings=trainable_embeddings, dropout=0)
    model = registry.build("tutorial", vectors(50), 200, 4, options)
    plain = plain_tutorial(trainable=trainable_embeddings)
    plain.set_weights(with_biases(model.get_weights()))
    model.set_weights(plain.get_weights())
    # Padding gives many equal maxima, of which all backends take the first.
    token_ids = padded_texts(26, LENGTHS)
    labels = np.arange(26, dtype="int32") % 4
    for network in (model, plain):
        network.compile(
            keras.optimizers.SGD(1.0),
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
        network.train_on_batch(token_ids, labels)
    before = with_biases(registry.build("tutorial", vectors(50), 200, 4, options).get_weights())
    weights = zip(model.get_weights(), plain.get_weights(), before, strict=True)
    for ours, theirs, initial in weights:
        scale = np.abs(theirs - initial).max()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * max(scale, 1e-2))


@pytest.mark.parametrize("length", [1, 5, 6, 99, 150, 199])
def test_the_padding_of_a_text_may_be_left_out(length):
    model = registry.build("tutorial", vectors(50), 200, 4)
    model.set_weights(with_biases(model.get_weights()))
    whole = padded_texts(3, [length])
    np.testing.assert_allclose(logits(model, whole[:, :length]), logits(model, whole), atol=1e-6)


@pytest.mark.parametrize("name", ["kim", "wide-deep"])
def test_the_padding_of_a_text_may_be_left_out_of_any_model(name):
    model = registry.build(name, vectors(50), 30, 4)
    for length in (1, 7):
        whole = padded_texts(3, [length])[:, :30]
        np.testing.assert_allclose(
            logits(model, whole[:, :length]), logits(model, whole), atol=1e-5
        )


def test_padding_with_a_trained_vector_may_not_be_left_out():
    model = registry.build("tutorial", vectors(50), 200, 4, ModelOptions(trainable_embeddings=True))
    assert model.input_shape == (None, 200)


def test_the_embedding_layer_starts_with_the_given_vectors():
    model = registry.build("tutorial", vectors(50), 149, 4)
    (embeddings,) = model.get_layer("embedding").get_weights()
    np.testing.assert_array_equal(embeddings[:50], vectors(50))
    np.testing.assert_array_equal(embeddings[50:], np.zeros((2, 8)))


def test_the_shortest_text_of_the_tutorial_has_149_tokens():
    with pytest.raises(ValueError, match=r"149 or more.*'tutorial'.*received 148; use --seq"):
        registry.build("tutorial", vectors(50), 148, 4)
    model = registry.build("tutorial", vectors(50), 149, 4)
    assert np.isfinite(logits(model, texts(1, 149))).all()


# --- Kim's network ------------------------------------------------------------------------------


def test_kim_is_the_network_that_plain_keras_layers_make():
    model = registry.build("kim", vectors(50), 12, 4)
    token_ids = keras.Input((12,), dtype="int32")
    x = layers.Embedding(50, 8)(token_ids)
    pooled = [
        layers.GlobalMaxPooling1D()(layers.Conv1D(100, width, activation="relu")(x))
        for width in (3, 4, 5)
    ]
    x = layers.Dropout(0.5)(layers.Concatenate()(pooled))
    plain = keras.Model(token_ids, layers.Dense(4)(x))
    plain.set_weights(model.get_weights())
    words = texts(3, 12)
    words[:, 8:] = 0  # four of padding, which holds all windows that begin with a word
    np.testing.assert_allclose(logits(model, words), logits(plain, words), atol=1e-6)


def test_the_logits_of_kim_do_not_depend_on_more_padding():
    words = texts(3, 8)
    answers = []
    for sequence_length in (8, 9, 12, 40):
        model = registry.build("kim", vectors(50), sequence_length, 4)
        for width in (3, 4, 5):  # with a bias, a window of nothing but padding has a value too
            kernel, bias = model.get_layer(f"convolution_{width}").get_weights()
            model.get_layer(f"convolution_{width}").set_weights([kernel, np.full_like(bias, 9)])
        answers.append(logits(model, np.pad(words, ((0, 0), (0, sequence_length - 8)))))
    for answer in answers[1:]:
        np.testing.assert_allclose(answer, answers[0], atol=1e-6)


def test_a_trained_row_of_padding_does_not_reach_the_logits_of_kim():
    model = registry.build("kim", vectors(50), 20, 4, ModelOptions(trainable_embeddings=True))
    words = np.pad(texts(2, 8), ((0, 0), (0, 12)))
    before = logits(model, words)
    embeddings = vectors(50)
    embeddings[0] = 7
    model.get_layer("embedding").set_weights([embeddings])
    np.testing.assert_array_equal(logits(model, words), before)


def test_a_text_without_words_has_finite_logits():
    for name, sequence_length in (("kim", 1), ("tutorial", 149)):
        model = registry.build(name, vectors(50), sequence_length, 4)
        assert np.isfinite(logits(model, np.zeros((1, sequence_length)))).all()


# --- wide and deep ------------------------------------------------------------------------------


def linear_part(words=50, classes=4):
    generator = np.random.default_rng(4)
    idf, pair_idf = generator.uniform(1, 5, words), generator.uniform(1, 5, PAIR_PLACES + 1)
    idf[:2] = pair_idf[0] = 0
    return LinearClassifier(
        idf,
        generator.normal(0, 1, (words, classes)),
        pair_idf,
        generator.normal(0, 0.3, (PAIR_PLACES + 1, classes)),
        generator.normal(0, 0.1, size=classes),
    )


def wide_and_deep(**options):
    """A model of texts of 30 tokens in 50 words."""
    return registry.build(
        "wide-deep", vectors(50), 30, 4, ModelOptions(**options), linear_part=linear_part()
    )


def deep_part(model):
    return keras.Model(model.input, model.get_layer("logits").output)


def test_wide_and_deep_gives_a_product_of_powers_of_both_parts_probabilities():
    model = wide_and_deep()
    words = texts(3, 30)
    deep = softmax(logits(deep_part(model), words), axis=1)
    scores = ops.convert_to_numpy(model.get_layer("wide")(words)[0])
    wide = np.log1p(np.exp(12 * (1 + scores) / 2))
    wide /= wide.sum(axis=1, keepdims=True)
    for exponents in ([0.5, 0.5], [1, 0], [0, 1], [0.3, 2.0]):
        model.get_layer("experts").exponents.assign(exponents)
        expected = deep ** exponents[0] * wide ** exponents[1]
        expected /= expected.sum(axis=1, keepdims=True)
        shown = softmax(logits(model, words), axis=1)
        np.testing.assert_allclose(shown, expected, atol=1e-5)
    assert np.abs(deep - wide).max() > 0.1


def test_both_parts_count_alike_before_anything_is_fitted():
    exponents = wide_and_deep().get_layer("experts").exponents
    np.testing.assert_array_equal(ops.convert_to_numpy(exponents.value), [0.5, 0.5])


def test_without_a_linear_part_the_wide_part_knows_nothing():
    model = registry.build("wide-deep", vectors(50), 30, 4)
    wide = ops.convert_to_numpy(model.get_layer("wide")(texts(3, 30))[0])
    np.testing.assert_array_equal(wide, np.zeros((3, 4)))


def test_only_the_deep_part_of_wide_and_deep_learns():
    model = wide_and_deep(dropout=0, word_dropout=0)
    words, labels = texts(8, 30), np.arange(8, dtype="int32") % 4
    deep = logits(deep_part(model), words)
    # The loss is that of the deep part alone. Without both kinds of dropout, training and inference
    # compute the same there.
    training = ops.convert_to_numpy(model(words, training=True))
    np.testing.assert_allclose(training, deep, atol=1e-6)

    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    frozen = [*model.get_layer("wide").weights, *model.get_layer("experts").weights]
    before = [ops.convert_to_numpy(v) for v in frozen]
    model.train_on_batch(words, labels)
    for variable, value in zip(frozen, before, strict=True):
        np.testing.assert_array_equal(ops.convert_to_numpy(variable), value)
    assert len(frozen) == 6
    assert not any(v.path.startswith(("wide/", "experts/")) for v in model.trainable_variables)


def test_word_dropout_hides_words_from_the_deep_part_while_training():
    words = texts(8, 30)
    kept, changed = (
        logits(deep_part(model), words)
        - ops.convert_to_numpy(model(np.asarray(words, "int32"), training=True))
        for model in (
            wide_and_deep(dropout=0, word_dropout=0),
            wide_and_deep(dropout=0, word_dropout=0.3),
        )
    )
    np.testing.assert_allclose(kept, 0, atol=1e-6)
    assert (np.abs(changed).max(axis=1) > 0.001).all()  # every text loses some of its words


def test_the_deep_part_sees_only_the_first_tokens_of_a_text():
    model = wide_and_deep(deep_sequence_length=10)
    words = texts(2, 30)
    later, earlier = words.copy(), words.copy()
    later[:, 10:], earlier[:, 9] = 7, 7
    deep = deep_part(model)
    np.testing.assert_array_equal(logits(deep, later), logits(deep, words))
    assert np.abs(logits(deep, earlier) - logits(deep, words)).max() > 0.001
    assert np.abs(logits(model, later) - logits(model, words)).max() > 0.01  # by the wide part


def test_the_deep_part_starts_from_vectors_and_the_columns_of_the_classes():
    model = wide_and_deep(trainable_embeddings=True)
    (rows,) = model.get_layer("embedding").get_weights()
    columns = 0.25 * linear_part().weights
    np.testing.assert_allclose(rows, np.concatenate([vectors(50), columns], axis=1), rtol=1e-6)


def test_rare_words_reach_the_wide_part_alone():
    model = wide_and_deep(deep_vocabulary_size=20)
    assert model.get_layer("embedding").get_weights()[0].shape == (20, 8 + 4)
    words = texts(2, 30, words=20)
    rare, other = words.copy(), words.copy()
    rare[:, 3], other[:, 3] = 30, 40
    # Their idf differ, and with it the weighted mean over time. The windows themselves are equal.
    windows = keras.Model(model.input, model.get_layer("convolution_3").output)
    np.testing.assert_array_equal(logits(windows, rare), logits(windows, other))
    assert np.abs(logits(model, rare) - logits(model, other)).max() > 0.01


# --- all models ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", registry.MODELS)
def test_logits_are_float32_in_mixed_precision_too(name):
    before = keras.config.dtype_policy()
    for precision in ("float32", "mixed_bfloat16"):
        model = registry.build(name, vectors(50), 150, 7, ModelOptions(precision=precision))
        assert model.output_shape == (None, 7)
        assert keras.backend.standardize_dtype(model.output.dtype) == "float32", precision
        assert model.get_layer("convolution_3").compute_dtype == precision.removeprefix("mixed_")
        assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy() == before


def test_a_misspelt_model_gets_a_suggestion():
    with pytest.raises(ValueError, match=r"received 'tutorail'; did you mean 'tutorial'\?"):
        registry.build("tutorail", vectors(50), 200, 4)


# --- initial weights ----------------------------------------------------------------------------

KERNELS = {  # kernel: its stream
    "tutorial": {
        "convolution_1": 1,
        "convolution_2": 2,
        "convolution_3": 3,
        "hidden": 4,
        "logits": 0,
    },
    "kim": {"convolution_3": 3, "convolution_4": 4, "convolution_5": 5, "logits": 0},
    "wide-deep": {"convolution_1": 1, "convolution_3": 3, "logits": 0},
}


@pytest.mark.parametrize("name", registry.MODELS)
@pytest.mark.parametrize("seed", [0, 5])
def test_initial_weights_are_those_that_numpy_draws(name, seed):
    model = registry.build(name, vectors(50), 150, 4, ModelOptions(seed=seed))
    for layer_name, stream in KERNELS[name].items():
        kernel, bias = model.get_layer(layer_name).get_weights()
        *window, fan_in, fan_out = kernel.shape
        # Glorot and Bengio 2010, equation 16; a convolution's window multiplies both numbers.
        limit = np.sqrt(6 / (np.prod(window, dtype=int) * (fan_in + fan_out)))
        expected = np.random.default_rng((seed, stream)).uniform(-limit, limit, kernel.shape)
        np.testing.assert_array_equal(kernel, expected.astype("float32"), err_msg=layer_name)
        assert 0.98 * limit < np.abs(kernel).max() <= np.float32(limit)
        np.testing.assert_array_equal(bias, np.zeros(fan_out))
