"""DOC."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class OverSeeds(NamedTuple):
    """What `over_seeds` returns; with one run there is neither deviation nor interval."""

    n: int
    mean: float
    deviation: float | None
    interval: tuple[float, float] | None


class Comparison(NamedTuple):
    """What `compare` returns."""

    difference: float
    interval: tuple[float, float]
    p_value: float


def over_seeds(values: Sequence[float]) -> OverSeeds:
    """Return how a score, such as accuracy, varies from seed to seed.

    `deviation` is the sample standard deviation (n - 1), `interval` Student's 95% interval of the
    mean: where the mean of very many seeds would lie, on these same test examples.

    Raises:
      ValueError: there are no values.
    """
    if not values:
        raise ValueError("expected the score of a run or more, received none; pass one per seed")
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return OverSeeds(n, mean, None, None)
    error = float(stats.sem(values))
    # Runs may all be the same; SciPy's interval of no width is NaN.
    low, high = stats.t.interval(CONFIDENCE, n - 1, mean, error) if error else (mean, mean)
    return OverSeeds(n, mean, float(np.std(values, ddof=1)), (float(low), float(high)))


def compare(correct: np.ndarray, other: np.ndarray) -> Comparison:
    """Test whether one method is more accurate than another, over seeds and examples at once.

    `correct` is `bool[runs, examples]`, which examples each run of the one method labelled right;
    `other` is the same of the other method, on the same examples, with any number of runs.

    McNemar's test pairs one run with one run, and so takes the luck of two seeds for a property of
    two methods; a t-test between seeds takes these test examples for all there are. Here the
    difference of the mean accuracies has the sum of both variances: that of the examples, from the
    difference in the share of runs that labelled each right (a paired test), and that of the
    seeds, from the accuracies of each method's runs. Their sum is referred to Student's t with
    Welch and Satterthwaite's degrees of freedom (Satterthwaite 1946, doi:10.2307/3002019). With
    one run each, the p-value is that of McNemar's exact test (1947, doi:10.1007/BF02295996), which
    also holds where the runs differ on a handful of examples. With several, what is particular to
    one run on one example counts in both variances, so the test rather misses a difference than
    sees one that is none.

    A method with one run adds nothing for seeds. That is right where it draws nothing at random,
    as a linear SVM; for a network the test then says nothing about luck with its seed.

    Returns:
      The difference in accuracy, `correct` minus `other`; its 95% interval; the two-sided p-value.

    Raises:
      ValueError: the examples are not the same number, or fewer than two.
    """
    if correct.ndim != 2 or other.ndim != 2 or correct.shape[1] != other.shape[1]:
        raise ValueError(
            f"expected two arrays of shape (runs, examples) of the same examples, received "
            f"{correct.shape} and {other.shape}; compare runs on the same split"
        )
    per_example = correct.mean(axis=0) - other.mean(axis=0)
    accuracies = [runs.mean(axis=1) for runs in (correct, other) if len(runs) > 1]
    variances = [(stats.sem(values) ** 2, len(values) - 1) for values in (per_example, *accuracies)]
    variance = sum(variance for variance, _ in variances)
    difference = float(per_example.mean())
    if variance == 0:  # all examples alike: no doubt, or no difference
        return Comparison(difference, (difference, difference), float(difference == 0))
    freedom = variance**2 / sum(part**2 / n for part, n in variances)
    error = math.sqrt(variance)
    low, high = stats.t.interval(CONFIDENCE, freedom, difference, error)
    p_value = 2 * stats.t.sf(abs(difference) / error, freedom)
    if not accuracies:
        from statsmodels.stats.contingency_tables import mcnemar  # here, because it takes a second

        p_value = mcnemar(confusion(correct[0].astype(int), other[0].astype(int), 2)).pvalue
    return Comparison(difference, (float(low), float(high)), float(p_value))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number, by Holm's method (1979).

    If those below 0.05 are called differences, the chance that any of them is none is 5% at most.
    """
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests  # here, because it takes a second

    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def groups_differ(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Test whether groups of scores differ more than the scores within them do.

    Returns:
      The p-values of one-way analysis of variance and of the Kruskal-Wallis test, which needs no
      normal distribution.

    Raises:
      ValueError: there are fewer than two groups, or one of fewer than two scores.
    """
    if len(groups) < 2 or min(map(len, groups)) < 2:
        raise ValueError(
            f"expected two groups or more of two scores or more, received groups of "
            f"{[len(group) for group in groups]}; run more seeds"
        )
    return float(stats.f_oneway(*groups).pvalue), float(stats.kruskal(*groups).pvalue)
