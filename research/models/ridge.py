"""Ridge regression of sparse features, for all classes at once.

It is scikit-learn's `RidgeClassifier(solver="sparse_cg")`, to the last bit: conjugate gradients in
the space of the texts. scikit-learn solves one class after the other, and so reads the features
again for each class and each step. Here a step of all classes reads them once. They lie in memory
feature by feature, since then the numbers that belong to texts stay in the processor's cache.
"""

import numpy as np
import scipy  # loads its parts when they are used

_TOLERANCE = 1e-3  # of the residual, relative to the targets
_MOST_STEPS = 100  # where there are more examples than features
_MOST_TOGETHER = 32  # classes, since each takes 8 bytes for each feature
_BLOCK = 2_048  # features, of which a block stays in the processor's cache


def fit(
    features: "scipy.sparse.csr_matrix",
    targets: np.ndarray,
    penalty: float,
    weights: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit each column of the targets by the features and an intercept.

    Args:
      features: float64[examples, features], those of an example in ascending order.
      targets: float64[examples, columns].
      penalty: of the squared coefficients.
      weights: float[examples], how much an example counts; None for 1.

    Returns:
      The coefficients, float64[columns, features], and the intercepts, float64[columns].
    """
    from sklearn.linear_model import Ridge  # lazily: it takes seconds
    from sklearn.utils.sparsefuncs import mean_variance_axis

    examples, columns = features.shape
    weights = np.ones(examples) if weights is None else np.asarray(weights, "float64")
    if examples >= columns:  # then the space of the features is the smaller one
        regression = Ridge(penalty, solver="sparse_cg", max_iter=_MOST_STEPS, tol=_TOLERANCE)
        regression.fit(features, targets, sample_weight=weights)
        return regression.coef_, regression.intercept_
    mean, _ = mean_variance_axis(features, axis=0, weights=weights)
    target_mean = np.average(targets, axis=0, weights=weights)
    root = np.sqrt(weights)
    centred = _Centred(features, mean, root)
    scaled = ((targets - target_mean) * root[:, None]).T
    coefficients = np.empty((len(scaled), features.shape[1]))
    for start in range(0, len(scaled), _MOST_TOGETHER):
        part = slice(start, start + _MOST_TOGETHER)
        solved = _conjugate_gradients(centred, np.ascontiguousarray(scaled[part]), penalty)
        coefficients[part] = centred.transposed(solved)[1]
    intercepts: np.ndarray = target_mean - mean @ coefficients.T
    return coefficients, intercepts


class _Centred:
    """Features less their mean, of examples that are multiplied by the root of their weight.

    What is zero stays out of memory. scikit-learn scales with a product of sparse matrices, which
    leaves the features of an example from the last to the first, and so adds them up in this order.
    """

    def __init__(
        self, features: "scipy.sparse.csr_matrix", mean: np.ndarray, root: np.ndarray
    ) -> None:
        scaled = features.copy()
        scaled.data *= np.repeat(root, np.diff(features.indptr))
        self._from_last = scaled.tocsc()[:, ::-1]
        self._mean, self._root = mean, root

    def transposed(self, of_examples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Multiply the transposed features by vectors, float64[vectors, examples].

        Returns:
          The product twice: float64[features, vectors] from the last feature to the first, and
          float64[vectors, features].
        """
        product = self._from_last.T @ np.ascontiguousarray(of_examples.T)
        shares = np.array([vector.dot(self._root) for vector in of_examples])
        features = len(product)
        in_order = np.empty(product.shape[::-1])
        for start in range(0, features, _BLOCK):
            block = product[start : start + _BLOCK]
            end = features - start
            mean = self._mean[end - len(block) : end]
            block -= mean[::-1, None] * shares
            in_order[:, end - len(block) : end] = block[::-1].T
        return product, in_order

    def squared(self, of_examples: np.ndarray) -> np.ndarray:
        """Multiply the features by their product with vectors, float64[vectors, examples]."""
        product, in_order = self.transposed(of_examples)
        shares = np.array([vector.dot(self._mean) for vector in in_order])
        squared: np.ndarray = (self._from_last @ product).T - shares[:, None] * self._root
        return squared


def _conjugate_gradients(features: _Centred, targets: np.ndarray, penalty: float) -> np.ndarray:
    """Solve (features features' + penalty) x = target for each target, as `scipy.sparse.linalg.cg`.

    Args:
      features: of the examples.
      targets: float64[columns, examples].
      penalty: above 0.

    Returns:
      The solutions, float64[columns, examples].
    """
    solutions = np.zeros_like(targets)
    limits = _TOLERANCE * np.array([np.linalg.norm(target) for target in targets])
    # Columns leave when they are solved.
    left = np.flatnonzero(limits > 0)
    residuals = targets[left].copy()
    directions, before = residuals.copy(), None
    for _ in range(10 * targets.shape[1]):
        lengths = np.array([np.linalg.norm(residual) for residual in residuals])
        is_left = lengths >= limits[left]
        left, residuals, directions = left[is_left], residuals[is_left], directions[is_left]
        if not len(left):
            break
        now = np.array([residual.dot(residual) for residual in residuals])
        if before is not None:
            directions *= (now / before[is_left])[:, None]
            directions += residuals
        products = features.squared(directions) + penalty * directions
        along = [
            direction.dot(product) for direction, product in zip(directions, products, strict=True)
        ]
        steps = (now / np.array(along))[:, None]
        solutions[left] += steps * directions
        residuals -= steps * products
        before = now
    return solutions
