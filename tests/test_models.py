"""The networks, their initial weights and dropout, which must be the same on every backend."""

import functools
import zlib

import keras
import numpy as np
import pytest
from keras import layers, ops
from scipy import stats

from research import models

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
    model = models.build("tutorial", embeddings, 200, 20)
    # (20,000 + 2) * 100 are frozen, and 64,128 + 2 * 82,048 + 16,512 + 2,580 are not.
    assert parameters(model) == (2_247_516, 247_316, 2_000_200)
    assert model.count_params() == 2_247_516
    fine_tuned = models.build("tutorial", embeddings, 200, 20, trainable_embeddings=True)
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
    model = models.build("tutorial", vectors(50), 200, 4)
    plain = plain_tutorial()
    plain.set_weights(with_biases(model.get_weights()))
    model.set_weights(plain.get_weights())
    token_ids = padded_texts(13, LENGTHS)
    np.testing.assert_allclose(logits(model, token_ids), logits(plain, token_ids), atol=1e-6)


@pytest.mark.parametrize("trainable_embeddings", [False, True])
def test_the_tutorial_learns_as_plain_keras_layers_do(trainable_embeddings):
    options = {"trainable_embeddings": trainable_embeddings, "dropout": 0}
    model = models.build("tutorial", vectors(50), 200, 4, **options)
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
    before = with_biases(models.build("tutorial", vectors(50), 200, 4, **options).get_weights())
    weights = zip(model.get_weights(), plain.get_weights(), before, strict=True)
    for ours, theirs, initial in weights:
        scale = np.abs(theirs - initial).max()
        np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-5 * max(scale, 1e-2))


@pytest.mark.parametrize("length", [1, 5, 6, 99, 150, 199])
def test_the_padding_of_a_text_may_be_left_out(length):
    model = models.build("tutorial", vectors(50), 200, 4)
    model.set_weights(with_biases(model.get_weights()))
    whole = padded_texts(3, [length])
    np.testing.assert_allclose(logits(model, whole[:, :length]), logits(model, whole), atol=1e-6)
    for name in ("kim", "wide-deep"):
        model = models.build(name, vectors(50), 200, 4)
        np.testing.assert_allclose(
            logits(model, whole[:, :length]), logits(model, whole), atol=1e-5
        )


def test_padding_with_a_trained_vector_may_not_be_left_out():
    model = models.build("tutorial", vectors(50), 200, 4, trainable_embeddings=True)
    assert model.input_shape == (None, 200)


def test_the_embedding_layer_starts_with_the_given_vectors():
    model = models.build("tutorial", vectors(50), 149, 4)
    (embeddings,) = model.get_layer("embedding").get_weights()
    np.testing.assert_array_equal(embeddings[:50], vectors(50))
    np.testing.assert_array_equal(embeddings[50:], np.zeros((2, 8)))


def test_the_shortest_text_of_the_tutorial_has_149_tokens():
    with pytest.raises(ValueError, match=r"149 or more.*'tutorial'.*received 148; use --seq"):
        models.build("tutorial", vectors(50), 148, 4)
    model = models.build("tutorial", vectors(50), 149, 4)
    assert np.isfinite(logits(model, texts(1, 149))).all()


# --- Kim's network ------------------------------------------------------------------------------


def test_kim_is_the_network_that_plain_keras_layers_make():
    model = models.build("kim", vectors(50), 12, 4)
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
        model = models.build("kim", vectors(50), sequence_length, 4)
        for width in (3, 4, 5):  # with a bias, a window of nothing but padding has a value too
            kernel, bias = model.get_layer(f"convolution_{width}").get_weights()
            model.get_layer(f"convolution_{width}").set_weights([kernel, np.full_like(bias, 9)])
        answers.append(logits(model, np.pad(words, ((0, 0), (0, sequence_length - 8)))))
    for answer in answers[1:]:
        np.testing.assert_allclose(answer, answers[0], atol=1e-6)


def test_a_trained_row_of_padding_does_not_reach_the_logits_of_kim():
    model = models.build("kim", vectors(50), 20, 4, trainable_embeddings=True)
    words = np.pad(texts(2, 8), ((0, 0), (0, 12)))
    before = logits(model, words)
    embeddings = vectors(50)
    embeddings[0] = 7
    model.get_layer("embedding").set_weights([embeddings])
    np.testing.assert_array_equal(logits(model, words), before)


def test_a_text_without_words_has_finite_logits():
    for name, sequence_length in (("kim", 1), ("tutorial", 149)):
        model = models.build(name, vectors(50), sequence_length, 4)
        assert np.isfinite(logits(model, np.zeros((1, sequence_length)))).all()


# --- wide and deep ------------------------------------------------------------------------------


def wide_part(words=50, classes=4):
    generator = np.random.default_rng(4)
    idf = generator.uniform(1, 5, words)
    idf[:2] = 0
    return idf, generator.normal(0, 5, (words, classes)), generator.normal(size=classes)


def test_wide_and_deep_gives_the_mean_of_both_parts_log_probabilities():
    wide = wide_part()
    model = models.build("wide-deep", vectors(50), 30, 4, wide=wide)
    words = texts(3, 30)
    deep, mean = (
        logits(keras.Model(model.input, output), words)
        for output in (model.get_layer("logits").output, model.output)
    )
    wide_logits = ops.convert_to_numpy(model.get_layer("wide")(words)[0])
    log_softmax = [ops.convert_to_numpy(ops.log_softmax(part)) for part in (deep, wide_logits)]
    np.testing.assert_allclose(mean, np.mean(log_softmax, axis=0), atol=1e-5)
    assert np.abs(deep - wide_logits).max() > 0.1


def test_only_the_deep_part_of_wide_and_deep_learns():
    model = models.build("wide-deep", vectors(50), 30, 4, wide=wide_part(), dropout=0)
    words, labels = texts(8, 30), np.arange(8, dtype="int32") % 4
    model.get_layer("word_dropout").rate = 0
    deep = logits(keras.Model(model.input, model.get_layer("logits").output), words)
    training = ops.convert_to_numpy(model(words, training=True))
    np.testing.assert_allclose(training, deep, atol=1e-6)  # no part of the wide one in the loss

    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    before = [np.array(v) for v in model.get_layer("wide").weights]
    model.train_on_batch(words, labels)
    for variable, value in zip(model.get_layer("wide").weights, before, strict=True):
        np.testing.assert_array_equal(np.array(variable), value)
    assert not any(v.path.startswith("wide/") for v in model.trainable_variables)


def test_the_deep_part_starts_from_vectors_and_the_columns_of_the_classes():
    wide = wide_part()
    model = models.build("wide-deep", vectors(50), 30, 4, wide=wide, trainable_embeddings=True)
    (rows,) = model.get_layer("embedding").get_weights()
    np.testing.assert_allclose(rows, np.concatenate([vectors(50), 0.1 * wide[1]], 1), rtol=1e-6)


def test_rare_words_reach_the_wide_part_alone(monkeypatch):
    monkeypatch.setattr(models, "_DEEP_WORDS", 20)
    model = models.build("wide-deep", vectors(50), 30, 4, wide=wide_part())
    words = texts(2, 30, words=20)
    rare, other = words.copy(), words.copy()
    rare[:, 3], other[:, 3] = 30, 40
    deep = keras.Model(model.input, model.get_layer("logits").output)
    # Their idf differ, and with it the mean over time, of which the word itself is no part.
    maxima = keras.Model(model.input, model.get_layer("convolution_3").output)
    np.testing.assert_array_equal(logits(maxima, rare), logits(maxima, other))
    assert np.abs(logits(model, rare) - logits(model, other)).max() > 0.01
    assert deep.output_shape == (None, 4)


def test_word_dropout_turns_words_into_padding_while_training():
    layer = models.WordDropout(0.3, seed=1)
    words = texts(40, 50)
    np.testing.assert_array_equal(ops.convert_to_numpy(layer(words)), words)
    first, second = (ops.convert_to_numpy(layer(words, training=True)) for _ in range(2))
    for dropped in (first, second):
        assert ((dropped == words) | (dropped == 0)).all()
        assert 0.25 < (dropped == 0).mean() < 0.35
    assert (first != second).any()


# --- both ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", models.MODELS)
def test_logits_are_float32_in_mixed_precision_too(name):
    before = keras.config.dtype_policy()
    for precision in ("float32", "mixed_bfloat16"):
        model = models.build(name, vectors(50), 150, 7, precision=precision)
        assert model.output_shape == (None, 7)
        assert keras.backend.standardize_dtype(model.output.dtype) == "float32", precision
        assert model.get_layer("convolution_3").compute_dtype == precision.removeprefix("mixed_")
        assert {v.dtype for v in model.trainable_variables} == {"float32"}
    assert keras.config.dtype_policy() == before


def test_a_misspelt_model_gets_a_suggestion():
    with pytest.raises(ValueError, match=r"received 'tutorail'; did you mean 'tutorial'\?"):
        models.build("tutorail", vectors(50), 200, 4)


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


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("seed", [0, 5])
def test_initial_weights_are_those_that_numpy_draws(name, seed):
    model = models.build(name, vectors(50), 150, 4, seed=seed)
    for layer_name, stream in KERNELS[name].items():
        kernel, bias = model.get_layer(layer_name).get_weights()
        *window, fan_in, fan_out = kernel.shape
        # Glorot and Bengio 2010, equation 16; a convolution's window multiplies both numbers.
        limit = np.sqrt(6 / (np.prod(window, dtype=int) * (fan_in + fan_out)))
        expected = np.random.default_rng((seed, stream)).uniform(-limit, limit, kernel.shape)
        np.testing.assert_array_equal(kernel, expected.astype("float32"), err_msg=layer_name)
        assert 0.98 * limit < np.abs(kernel).max() <= np.float32(limit)
        np.testing.assert_array_equal(bias, np.zeros(fan_out))


def test_the_limit_of_initial_weights_is_that_of_keras():
    for shape in ((128, 4), (5, 8, 128)):
        ours = ops.convert_to_numpy(models.GlorotUniform(0, 0)(shape))
        theirs = ops.convert_to_numpy(keras.initializers.GlorotUniform(seed=0)(shape))
        np.testing.assert_allclose(np.abs(ours).max(), np.abs(theirs).max(), rtol=0.02)
        np.testing.assert_allclose(ours.std(), theirs.std(), rtol=0.1)


def test_seeds_and_streams_give_different_weights():
    drawn = [
        ops.convert_to_numpy(models.GlorotUniform(seed, stream)((3, 4))).tobytes()
        for seed in range(3)
        for stream in range(3)
    ]
    assert len(set(drawn)) == 9


# --- dropout ------------------------------------------------------------------------------------


def reference_mix(x):
    """Wellons' `lowbias32` after the golden ratio, in NumPy's own uint32."""
    x = np.asarray(x, np.uint32) + np.uint32(0x9E3779B9)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x7FEB352D)
    x ^= x >> np.uint32(15)
    x *= np.uint32(0x846CA68B)
    return x ^ (x >> np.uint32(16))


def reference_mask(shape, rate, seed, step):
    key = reference_mix(reference_mix([seed]) ^ np.uint32(step))
    bits = reference_mix(reference_mix(np.arange(np.prod(shape))) ^ key)
    return ((bits >> np.uint32(8)) >= round(rate * 2**24)).reshape(shape)


def mask(shape, rate, seed, step):
    seed_and_step = ops.convert_to_tensor(np.array([seed, step], "int32"))
    return ops.convert_to_numpy(models.keep_mask(shape, rate, seed_and_step))


SEEDS_AND_STEPS = [(0, 0), (0, 1), (1, 0), (7, 7), (2**31 - 1, 2**31 - 1)]


@pytest.mark.parametrize(("seed", "step"), SEEDS_AND_STEPS)
@pytest.mark.parametrize("rate", [0.0, 0.1, 0.5, 0.9])
def test_masks_are_those_of_unsigned_arithmetic_in_numpy(seed, step, rate):
    kept = mask((33, 17), rate, seed, step)
    assert kept.dtype == bool
    np.testing.assert_array_equal(kept, reference_mask((33, 17), rate, seed, step))


def test_masks_are_the_same_as_ever():
    masks = [mask((64, 128), 0.5, seed, step) for seed, step in SEEDS_AND_STEPS]
    derived = [reference_mask((64, 128), 0.5, seed, step) for seed, step in SEEDS_AND_STEPS]
    derived_crc = zlib.crc32(np.packbits(derived))
    # With other masks, a run from an older version could not be repeated.
    assert zlib.crc32(np.packbits(masks)) == derived_crc == 1881551036


UNITS = 2**15


@functools.cache
def bins(seed, step):
    """Which sixteenth each unit's hash falls into, from the masks of fifteen rates."""
    dropped = [~mask((UNITS,), k / 16, seed, step) for k in range(1, 16)]
    return 15 - np.sum(dropped, axis=0)


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
@pytest.mark.parametrize("seed", [0, 1, 2**31 - 1])
def test_the_share_kept_is_that_of_independent_coins(rate, seed):
    kept = mask((UNITS,), rate, seed, 3)
    assert stats.binomtest(int(kept.sum()), UNITS, 1 - rate).pvalue > 1e-3


@pytest.mark.parametrize(("seed", "step"), [(0, 0), (0, 1), (1, 0)])
def test_the_hash_is_uniform(seed, step):
    counts = np.bincount(bins(seed, step), minlength=16)
    assert stats.chisquare(counts).pvalue > 1e-3


def test_bytes_of_a_mask_are_uniform():
    counts = np.bincount(np.packbits(mask((UNITS,), 0.5, 0, 0)), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-3


@pytest.mark.parametrize(
    "others",
    [
        [(0, 1), (0, 2), (0, 128)],  # other steps of seed 0
        [(1, 0), (2, 0), (128, 0)],  # other seeds
        [(1, 1)],  # both, where a plain xor of them would give the same key
    ],
)
def test_steps_and_seeds_are_independent(others):
    first = bins(0, 0)
    for seed, step in others:
        together = np.histogram2d(first, bins(seed, step), bins=16)[0]
        assert stats.chi2_contingency(together).pvalue > 1e-3, (seed, step)


def test_no_step_uses_a_shifted_copy_of_another_ones_mask():
    spectra = [np.fft.rfft(mask((UNITS,), 0.5, 0, step) - 0.5) for step in (0, 1, 2)]
    for one, other in ((0, 1), (1, 2), (0, 2)):
        at_each_shift = np.fft.irfft(spectra[one] * spectra[other].conj(), UNITS) * 4 / UNITS
        assert np.abs(at_each_shift).max() < 6 / np.sqrt(UNITS)


def test_neighbouring_units_are_independent():
    kept = mask((UNITS,), 0.5, 0, 0) - 0.5
    at_each_lag = np.fft.irfft(np.abs(np.fft.rfft(kept)) ** 2, UNITS)[1:] * 4 / UNITS
    assert np.abs(at_each_lag).max() < 6 / np.sqrt(UNITS)


def test_no_two_of_many_seeds_and_steps_share_a_mask():
    masks = {mask((128,), 0.5, seed, step).tobytes() for seed in range(8) for step in range(16)}
    assert len(masks) == 8 * 16


def test_dropout_scales_what_it_keeps_so_that_the_mean_stays():
    for rate in (0.1, 0.5, 0.9):
        dropped = ops.convert_to_numpy(models.Dropout(rate, 0)(ops.ones((64, 512)), training=True))
        np.testing.assert_allclose(np.unique(dropped), [0, 1 / (1 - rate)], rtol=1e-6)
        # A unit is 1 / (1 - rate) with probability 1 - rate: its variance is rate / (1 - rate).
        assert abs(dropped.mean() - 1) < 4 * np.sqrt(rate / (1 - rate) / dropped.size)


def test_each_training_step_of_dropout_takes_the_next_mask():
    dropout = models.Dropout(0.5, seed=3)
    for step in range(3):
        dropped = ops.convert_to_numpy(dropout(ops.ones((4, 8)), training=True))
        np.testing.assert_array_equal(dropped != 0, reference_mask((4, 8), 0.5, 3, step))


def test_dropout_does_nothing_in_inference_or_at_rate_zero():
    units = np.random.default_rng(0).normal(size=(4, 8)).astype("float32")
    dropout = models.Dropout(0.5, 0)
    np.testing.assert_array_equal(ops.convert_to_numpy(dropout(units, training=False)), units)
    np.testing.assert_array_equal(ops.convert_to_numpy(dropout(units)), units)
    never = models.Dropout(0.0, 0)
    np.testing.assert_array_equal(ops.convert_to_numpy(never(units, training=True)), units)
    dropped = ops.convert_to_numpy(dropout(units, training=True))  # no step was used up
    np.testing.assert_array_equal(dropped != 0, reference_mask((4, 8), 0.5, 0, 0))
