"""The warning where bfloat16 is slower than float32. All times are made up."""

from types import SimpleNamespace

import pytest
from conftest import options

from research import train
from research.evaluation import figures
from research.training import precision


def times(monkeypatch, **ms):
    """Let a convolution take these milliseconds, by the type that it computes in."""
    monkeypatch.setattr(precision, "convolution_ms", lambda dtype, embedding_dim: ms[dtype])


def test_a_slow_bfloat16_is_named_with_its_factor(monkeypatch):
    times(monkeypatch, float32=1.5, bfloat16=15.6)
    assert precision.warning(embedding_dim=50) == (
        "a convolution takes 10.4 times as long in bfloat16 as in float32 here (15.6 and 1.5 ms); "
        "--precision float32 is quicker"
    )


@pytest.mark.parametrize("bfloat16_ms", [0.3, 1.0, 1.4])
def test_a_bfloat16_that_is_about_as_quick_is_not(bfloat16_ms, monkeypatch):
    times(monkeypatch, float32=1.0, bfloat16=bfloat16_ms)
    assert precision.warning(embedding_dim=50) is None


@pytest.mark.parametrize(("step_s", "calls"), [(0.001, 6), (0.2, 3), (9.0, 2)])
@pytest.mark.backend
def test_the_quickest_repetition_counts_and_slow_ones_are_few(step_s, calls, monkeypatch):
    seconds = iter(step_s * number for number in range(100))
    begun = []

    def clock():
        begun.append(1)
        return next(seconds)

    monkeypatch.setattr(precision, "time", SimpleNamespace(perf_counter=clock))
    assert precision.convolution_ms("bfloat16", embedding_dim=4) == pytest.approx(1000 * step_s)
    assert len(begun) == 2 * calls  # the first compiles


@pytest.mark.backend
@pytest.mark.slow
def test_a_run_warns_only_if_it_computes_in_bfloat16(tiny, call, tmp_path, monkeypatch):
    times(monkeypatch, float32=1.0, bfloat16=9.0)
    monkeypatch.setattr(figures, "learning_curves", lambda history, stem: None)  # takes long
    for name, is_slow in (("float32", False), ("mixed_bfloat16", True)):
        arguments = *options(tiny), "--precision", name, "--epochs", 1
        answer = call(train, "newsgroups", *arguments, "--run-dir", tmp_path / name)
        assert answer.code == 0, answer.err
        assert answer.out.count("warning: a convolution takes 9.0 times as long") == is_slow
    again = call(train, "--run-dir", tmp_path / "mixed_bfloat16", "--resume")
    assert "a convolution" not in again.out  # it is complete
