"""How much each expert of a model counts."""

import numpy as np
import pytest
from scipy.special import log_softmax

from tests.test_models import texts, wide_and_deep

pytestmark = pytest.mark.backend


def opinions(examples, sureness, generator, labels, classes=4):
    """Log-probabilities of an expert that knows something, and says more than it knows."""
    evidence = generator.normal(size=(examples, classes))
    evidence[np.arange(examples), labels] += 1
    return log_softmax(sureness * evidence, axis=1)


def log_loss(exponents, experts, labels):
    of_classes = log_softmax(np.tensordot(exponents, experts, 1), axis=1)
    return -of_classes[np.arange(len(labels)), labels].mean()


def test_an_expert_that_exaggerates_gets_a_small_power_and_one_that_guesses_none():
    from research.training.experts import best_exponents

    generator = np.random.default_rng(0)
    labels = generator.integers(0, 4, 4000)
    # Of evidence that is normal around the label with variance 1, it is the posterior.
    modest, loud = (opinions(4000, sureness, generator, labels) for sureness in (1, 4))
    guesses = log_softmax(generator.normal(size=(4000, 4)), axis=1)
    np.testing.assert_allclose(
        best_exponents(np.array([modest, loud]), labels), [1, 0.25], atol=0.06
    )
    np.testing.assert_allclose(
        best_exponents(np.array([guesses, modest]), labels), [0, 1], atol=0.06
    )


def test_no_other_exponents_have_a_smaller_loss():
    from research.training.experts import best_exponents

    generator = np.random.default_rng(1)
    labels = generator.integers(0, 4, 500)
    experts = np.array([opinions(500, sureness, generator, labels) for sureness in (0.5, 3)])
    best = best_exponents(experts, labels)
    for change in ([0.1, 0], [-0.1, 0], [0, 0.1], [0, -0.1], [0.1, -0.1]):
        assert log_loss(best, experts, labels) < log_loss(best + change, experts, labels)


def test_a_few_examples_that_are_all_right_make_nobody_sure():
    from research.training.experts import best_exponents

    labels = np.array([0, 1])
    experts = np.log(np.full((2, 2, 2), 0.4))
    experts[:, [0, 1], labels] = np.log(0.6)
    assert (best_exponents(experts, labels) < 1.5).all()


def test_a_model_gets_the_exponents_with_the_least_loss_on_held_out_examples():
    from keras import ops

    from research.training import experts
    from research.training.inference import predict_probabilities

    model = wide_and_deep()
    token_ids = np.asarray(texts(200, 30), "int32")
    labels = ops.convert_to_numpy(model.get_layer("wide")(token_ids)[0]).argmax(axis=1)
    labels[::5] = 0  # of which the wide part is wrong in some
    experts.fit_exponents(model, token_ids, labels)
    fitted = ops.convert_to_numpy(model.get_layer("experts").exponents.value)
    assert fitted[1] > fitted[0]

    def loss(exponents):
        model.get_layer("experts").exponents.assign(exponents)
        of_label = predict_probabilities(model, token_ids)[np.arange(200), labels]
        return -np.log(of_label).mean()

    assert loss(fitted) < min(loss(fitted * 1.2), loss(fitted * 0.8), loss(np.array([0.5, 0.5])))


def test_weighted_classes_are_fitted_as_if_their_examples_were_repeated():
    from research.training.experts import best_exponents

    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, 300)
    experts = np.array([opinions(300, sure, generator, labels, classes=2) for sure in (1, 3)])
    repeated = np.concatenate([np.arange(300), np.repeat(np.flatnonzero(labels == 1), 2)])
    weighted = best_exponents(experts, labels, np.array([1.0, 3.0]))
    # The prior counts as one example, so it weighs a little less where examples are repeated.
    expected = best_exponents(experts[:, repeated], labels[repeated])
    np.testing.assert_allclose(weighted, expected, atol=0.01)
    assert np.abs(weighted - best_exponents(experts, labels)).max() > 0.02
