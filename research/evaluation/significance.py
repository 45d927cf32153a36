"""Statistics of several runs: how scores vary with the seed, and whether methods differ."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import scipy  # loads its parts when they are used

from research.evaluation.metrics import CONFIDENCE, confusion


class OverSeeds(NamedTuple):
    """What `over_seeds` returns. With one run, deviation and interval are None."""

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
    """Return how a score, such as accuracy, varies with the seed.

    `deviation` is the sample standard deviation (n - 1). `interval` is Student's 95% t interval of
    the mean over seeds, with the test examples fixed.

    Raises:
      ValueError: there are no values.
    """
    if not values:
        raise ValueError(
            "expected the scores of one run or more, received none; pass one for each seed"
        )
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return OverSeeds(n, mean, None, None)
    error = float(scipy.stats.sem(values))
    # If all runs score the same, SciPy's interval would be NaN.
    low, high = scipy.stats.t.interval(CONFIDENCE, n - 1, mean, error) if error else (mean, mean)
    return OverSeeds(n, mean, float(np.std(values, ddof=1)), (float(low), float(high)))


def compare(correct: np.ndarray, other: np.ndarray) -> Comparison:
    """Test whether two methods differ in accuracy, over seeds and examples at once.

    McNemar's test compares one run with one run, so it attributes the luck of two seeds to the
    methods. A t-test over seeds ignores that other test examples could have been drawn. Studies of
    many readers and many cases have both problems, and this is their analysis of variance for
    readers who each use one method (Obuchowski and Rockette 1995, doi:10.1080/03610919508813243;
    Hillis 2014, doi:10.1002/sim.5926). Readers are seeds, cases are examples. The variance of the
    difference in mean accuracy has two parts:

    - seeds: the variance of each method's accuracy over its runs, divided by their number;
    - examples: what the runs of a method have in common on an example beyond what both methods
      have in common: Cov2 - Cov3 there. It is estimated without bias, and is at least 0.

    The difference is referred to Student's t, with Satterthwaite's degrees of freedom (1946,
    doi:10.2307/3002019), as Hillis does. Each method keeps the variance of its own seeds, as in
    Welch's test, since their numbers of runs may differ.

    The Multi-Bootstrap (Sellam et al. 2022, arXiv:2106.16163) has the same aim, but does not hold
    its level with five seeds. At 5% it rejected true hypotheses in 0.4% to 11.7% of simulated
    data sets, and this test in 3.1% to 7.5% (results/LOG.md, 2026-11-28).

    With one run of each method, the p-value is that of McNemar's exact test (McNemar 1947,
    doi:10.1007/BF02295996), which also holds if the runs differ on only a few examples.

    A method with one run adds no variance for seeds. That is right for a method without randomness,
    such as a linear SVM. For a network, the test then says nothing about the luck of its seed.

    Args:
      correct: bool[runs, examples], which examples each run of the one method labels right.
      other: bool[runs, examples], the same of the other method, on the same examples. The number of
        runs may differ.

    Returns:
      The difference in accuracy, `correct` minus `other`; its 95% interval; the two-sided p-value.

    Raises:
      ValueError: the numbers of examples differ.
    """
    if correct.ndim != 2 or other.ndim != 2 or correct.shape[1] != other.shape[1]:
        raise ValueError(
            "expected two arrays of shape (runs, examples) of the same examples, received "
            f"{correct.shape} and {other.shape}; compare runs on the same split"
        )
    several = [runs for runs in (correct, other) if len(runs) > 1]
    examples = correct.shape[1]
    per_example = correct.mean(axis=0) - other.mean(axis=0)
    # A mean over runs still varies with what each run does on its own. That is in the seeds' part.
    of_runs = sum(
        (runs.var(axis=1, ddof=1).mean() - runs.mean(axis=0).var(ddof=1)) / (len(runs) - 1)
        for runs in several
    )
    parts = [(max(per_example.var(ddof=1) - of_runs, 0) / examples, examples - 1)]
    parts += [(scipy.stats.sem(runs.mean(axis=1)) ** 2, len(runs) - 1) for runs in several]
    variance = sum(part for part, _ in parts)
    difference = float(per_example.mean())
    if variance == 0:  # every example gives the same difference
        return Comparison(difference, (difference, difference), float(difference == 0))
    freedom = variance**2 / sum(part**2 / n for part, n in parts)
    error = math.sqrt(variance)
    low, high = scipy.stats.t.interval(CONFIDENCE, freedom, difference, error)
    p_value = 2 * scipy.stats.t.sf(abs(difference) / error, freedom)
    if not several:
        from statsmodels.stats.contingency_tables import mcnemar  # lazily: it takes a second

        p_value = mcnemar(confusion(correct[0].astype(int), other[0].astype(int), 2)).pvalue
    return Comparison(difference, (float(low), float(high)), float(p_value))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the p-values corrected for their number by Holm's method.

    Controls the family-wise error rate: with the threshold 0.05, the probability of one false
    difference or more is at most 5%. Source: Holm 1979, https://www.jstor.org/stable/4615733.
    """
    if not p_values:
        return []
    from statsmodels.stats.multitest import multipletests  # lazily: it takes a second

    return [float(p) for p in multipletests(p_values, method="holm")[1]]


def groups_differ(groups: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Test whether scores differ more between groups than within them.

    Returns:
      The p-values of one-way analysis of variance, and of the Kruskal-Wallis test, which does not
      assume a normal distribution.

    Raises:
      ValueError: there are fewer than two groups, or a group has fewer than two scores.
    """
    if len(groups) < 2 or min(map(len, groups)) < 2:
        raise ValueError(
            "expected at least two groups of at least two scores, received groups of "
            f"{[len(group) for group in groups]}; run more seeds"
        )
    return float(scipy.stats.f_oneway(*groups).pvalue), float(scipy.stats.kruskal(*groups).pvalue)
