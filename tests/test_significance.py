"""Statistics of several runs, against hand-made numbers, SciPy and simulation."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar

from research.evaluation import significance


def test_over_seeds_by_hand():
    scores = significance.over_seeds([0.5, 0.6, 0.7])
    assert (scores.n, scores.mean) == (3, pytest.approx(0.6))
    assert scores.deviation == pytest.approx(0.1)
    # t of 2 degrees of freedom, 0.975: 4.3027
    assert scores.interval == pytest.approx((0.6 - 4.3027 * 0.1 / 3**0.5, 0.6 + 0.24842), abs=1e-4)
    assert significance.over_seeds([0.5]) == (1, 0.5, None, None)
    assert significance.over_seeds([0.5, 0.5]) == (2, 0.5, 0, (0.5, 0.5))
    with pytest.raises(ValueError, match="received none; pass one for each seed"):
        significance.over_seeds([])


def draw_runs(generator, runs, examples, accuracy=0.8, deviation=0.0):
    """Runs that are right on each example by chance, with an accuracy of its own each."""
    difficulty = generator.normal(0, 0.05, examples)
    shares = accuracy + generator.normal(0, deviation, (runs, 1)) + difficulty
    return generator.random((runs, examples)) < shares


def test_one_run_each_is_mcnemars_test():
    generator = np.random.default_rng(3)
    one, other = draw_runs(generator, 1, 500, 0.8), draw_runs(generator, 1, 500, 0.85)
    compared = significance.compare(one, other)
    assert compared.difference == pytest.approx(one.mean() - other.mean())
    table = [[(one & other).sum(), (one & ~other).sum()], [(~one & other).sum(), 0]]
    assert compared.p_value == pytest.approx(mcnemar(table, exact=True).pvalue)
    paired = stats.ttest_rel(one[0].astype(float), other[0].astype(float)).confidence_interval()
    np.testing.assert_allclose(compared.interval, paired)


def test_four_examples_are_too_few_to_tell():
    one, other = np.ones((1, 2000), bool), np.ones((1, 2000), bool)
    other[0, :4] = False
    assert significance.compare(one, other).p_value == pytest.approx(2 * 0.5**4)


def test_seeds_and_examples_both_add_to_the_doubt():
    generator = np.random.default_rng(6)
    one = draw_runs(generator, 4, 400, 0.85, 0.02)
    other = draw_runs(generator, 3, 400, 0.80, 0.02)
    welch = stats.ttest_ind(one.mean(axis=1), other.mean(axis=1), equal_var=False)
    paired = stats.ttest_rel(one.mean(axis=0), other.mean(axis=0))
    compared = significance.compare(one, other)
    error = np.hypot(compared.difference / welch.statistic, compared.difference / paired.statistic)
    freedom = stats.t(_freedom(one, other))
    assert compared.p_value == pytest.approx(2 * freedom.sf(compared.difference / error))
    assert compared.p_value > max(welch.pvalue, paired.pvalue)


def _freedom(one, other):
    """Satterthwaite's formula, from the three variances of means and their degrees of freedom."""
    parts = [
        ((one.mean(axis=0) - other.mean(axis=0)).var(ddof=1) / 400, 399),
        (one.mean(axis=1).var(ddof=1) / 4, 3),
        (other.mean(axis=1).var(ddof=1) / 3, 2),
    ]
    return sum(v for v, _ in parts) ** 2 / sum(v**2 / n for v, n in parts)


@pytest.mark.parametrize(("runs", "deviation"), [(5, 0.0), (5, 0.03), (3, 0.01)])
def test_equal_methods_are_called_different_no_more_often_than_promised(runs, deviation):
    generator = np.random.default_rng(4)
    p_values = [
        significance.compare(
            draw_runs(generator, runs, 800, 0.8, deviation),
            draw_runs(generator, runs, 800, 0.8, deviation),
        ).p_value
        for _ in range(400)
    ]
    assert np.mean(np.array(p_values) < 0.05) < 0.085  # 0.05 and three standard errors


def test_a_difference_is_found():
    generator = np.random.default_rng(5)
    one, other = (
        draw_runs(generator, 5, 2000, 0.85, 0.01),
        draw_runs(generator, 5, 2000, 0.80, 0.01),
    )
    compared = significance.compare(one, other)
    assert compared.p_value < 0.01
    assert 0 < compared.interval[0] < compared.difference < compared.interval[1] < 0.1
    mirrored = significance.compare(other, one)
    assert mirrored.difference == -compared.difference
    assert mirrored.p_value == pytest.approx(compared.p_value)


def test_equal_and_opposite_runs_leave_no_doubt():
    right = np.ones((2, 10), bool)
    assert significance.compare(right, right) == (0, (0, 0), 1)
    assert significance.compare(right, ~right) == (1, (1, 1), 0)


def test_other_examples_are_not_compared():
    with pytest.raises(ValueError, match=r"received \(1, 3\) and \(1, 4\)"):
        significance.compare(np.ones((1, 3), bool), np.ones((1, 4), bool))


def test_holm_by_hand():
    assert significance.holm([0.01, 0.04, 0.03, 0.9]) == pytest.approx([0.04, 0.09, 0.09, 0.9])
    assert significance.holm([]) == []


def test_groups_differ():
    same = significance.groups_differ([[0.60, 0.62, 0.64], [0.61, 0.62, 0.63]])
    assert min(same) > 0.5
    other = significance.groups_differ([[0.60, 0.61, 0.62], [0.70, 0.71, 0.72]])
    assert other[0] < 0.001
    assert other[1] == pytest.approx(0.0495, abs=1e-4)  # the least that six ranks can give
    for groups in ([[0.6, 0.7]], [[0.6, 0.7], [0.6]]):
        with pytest.raises(ValueError, match="run more seeds"):
            significance.groups_differ(groups)
