"""How documents are divided into splits, and which ones stay together."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from research.data import splits


@st.composite
def labelled_groups(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    examples = draw(st.integers(1, 200))
    labels = draw(st.lists(st.integers(0, 4), min_size=examples, max_size=examples))
    groups = draw(st.lists(st.integers(0, 2 * examples), min_size=examples, max_size=examples))
    return np.array(labels), np.array(groups)


@given(labelled_groups(), st.floats(0.05, 0.5))
@settings(deadline=None)
def test_a_group_is_never_divided(corpus: tuple[np.ndarray, np.ndarray], share: float) -> None:
    labels, groups = corpus
    held_out = splits.hold_out(labels, groups, share)
    assert held_out.shape == labels.shape
    assert held_out.dtype == bool
    assert not set(groups[held_out]) & set(groups[~held_out])


def test_each_class_gives_its_share() -> None:
    labels = np.repeat([0, 1, 2, 3], [100, 30, 2, 1])
    held_out = splits.hold_out(labels, np.arange(len(labels)), 0.1)
    assert np.bincount(labels[held_out], minlength=4).tolist() == [10, 3, 1, 0]


def test_a_class_in_one_group_stays_in_train() -> None:
    labels, groups = np.array([0, 0, 1, 1]), np.array([0, 0, 1, 2])
    assert not splits.hold_out(labels, groups, 0.2)[:2].any()


def test_the_split_is_seeded_and_neither_the_beginning_nor_the_end() -> None:
    labels, groups = np.zeros(100, dtype=int), np.arange(100)
    held_out = np.flatnonzero(splits.hold_out(labels, groups, 0.2))
    assert held_out.tolist() == sorted(np.random.default_rng(20).permutation(100)[:20])
    assert held_out.tolist() not in (list(range(20)), list(range(80, 100)))


def test_documents_are_linked_through_others() -> None:
    bodies, ids = ["a", "a", "b", "c", "d"], ["1", "2", "2", "3", "a"]
    # 0-1 share a body and 1-2 an id; 4 has the id "a", which is not the body "a"
    groups = splits.linked(bodies, ids)
    assert groups[0] == groups[1] == groups[2]
    assert len(set(groups)) == 3


def test_missing_splits_are_taken_out_of_train() -> None:
    labels, groups = np.arange(100) % 2, np.arange(100)
    complete = splits.complete("letters", labels, ["train"] * 100, groups)
    assert [complete.count(split) for split in splits.SPLITS] == [72, 8, 20]
    given = ["train"] * 90 + ["test"] * 10
    complete = splits.complete("letters", labels, given, groups)
    assert complete[90:] == given[90:]
    assert [complete.count(split) for split in splits.SPLITS] == [82, 8, 10]


def test_too_few_different_documents() -> None:
    labels = np.repeat([0, 1], 5)
    with pytest.raises(
        ValueError, match="enough different documents in 'letters' for a test split, received 10"
    ):
        splits.complete("letters", labels, ["train"] * 10, np.zeros(10, int))


@pytest.mark.parametrize("count", [10, 50, 333, 1_000])
def test_a_draw_has_the_same_share_of_each_class(count: int) -> None:
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [500, 300, 200]))
    drawn = splits.draw(labels, count, seed=0)
    assert len(set(drawn)) == len(drawn) == count
    assert sorted(drawn) == list(drawn)
    expected = count * np.array([0.5, 0.3, 0.2])
    assert (abs(np.bincount(labels[drawn], minlength=3) - expected) <= 1).all()


def test_a_smaller_draw_is_part_of_a_larger_one_and_seeds_differ() -> None:
    labels = np.arange(1_000) % 7
    small, large = (set(splits.draw(labels, count, seed=3)) for count in (50, 200))
    assert small < large
    assert small != set(splits.draw(labels, 50, seed=4))


def test_no_more_examples_are_drawn_than_there_are() -> None:
    with pytest.raises(ValueError, match="--train-examples of up to 10, which there are, received"):
        splits.draw(np.arange(10) % 2, 11, seed=0)
