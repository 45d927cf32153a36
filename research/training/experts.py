"""How much each expert of a model counts, fitted on examples that neither has learned from."""

import keras
import numpy as np
import scipy  # loads its parts when they are used

from research.training.inference import predict_probabilities

LAYER = "experts"
"""The layer with the exponents, in models that have experts."""

_PRIOR = 0.5  # an expert's exponent before any example is seen, with a standard deviation of 1
_LARGEST = 10.0


def fit_exponents(
    model: keras.Model,
    token_ids: np.ndarray,
    labels: np.ndarray,
    class_weights: np.ndarray | None = None,
) -> None:
    """Give the experts' probabilities the powers with the least log-loss on held-out examples.

    It is a logistic regression with two features for each class, the log-probabilities of the
    experts, so it has one optimum. It also makes the model calibrated: with one expert it would be
    temperature scaling, Guo et al. 2017, https://proceedings.mlr.press/v70/guo17a.html.

    Args:
      model: with a layer `LAYER`.
      token_ids: int32[examples, sequence_length].
      labels: int32[examples].
      class_weights: float[classes], how much an example counts; None for 1.
    """
    exponents = model.get_layer(LAYER).exponents
    experts = []
    for expert in np.eye(2):  # the probabilities of each alone
        exponents.assign(expert)
        experts.append(np.log(np.maximum(predict_probabilities(model, token_ids), 1e-30)))
    exponents.assign(best_exponents(np.array(experts, "float64"), labels, class_weights))


def best_exponents(
    experts: np.ndarray, labels: np.ndarray, class_weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the powers with the least log-loss, float64[experts].

    Args:
      experts: float64[experts, examples, classes], log-probabilities.
      labels: int32[examples].
      class_weights: float[classes], how much an example counts; None for 1.
    """
    examples = np.arange(len(labels))
    weights = np.ones(len(labels)) if class_weights is None else class_weights[labels]
    share = weights / weights.sum()  # of each example
    of_label = experts[:, examples, labels] @ share

    def loss(exponents: np.ndarray) -> tuple[float, np.ndarray]:
        """Return the log-loss and its gradient."""
        of_classes = scipy.special.log_softmax(np.tensordot(exponents, experts, 1), axis=1)
        expected = (np.exp(of_classes) * experts).sum(axis=2) @ share
        from_prior = (exponents - _PRIOR) / len(labels)
        value = -of_classes[examples, labels] @ share + from_prior @ (exponents - _PRIOR) / 2
        return float(value), expected - of_label + from_prior

    start, bounds = np.full(len(experts), _PRIOR), [(0, _LARGEST)] * len(experts)
    best: np.ndarray = scipy.optimize.minimize(
        loss, start, jac=True, bounds=bounds, method="L-BFGS-B"
    ).x
    return best
