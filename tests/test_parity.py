"""The comparison of the backends: that it passes here, and that it notices a difference."""

import dataclasses

import numpy as np
import pytest

from research import parity
from research.processes import backends
from research.training.quantities import Task, relative_difference

TASK = Task(
    precision="float64",
    models=("tutorial", "kim"),
    steps=2,
    batch_size=4,
    sequence_length=149,
    vocabulary_size=50,
    embedding_dim=8,
    classes=4,
)
ARRAYS = {
    "tutorial|logits|logits": np.array([[1.0, -4.0]]),
    "tutorial|gradients|bias": np.zeros(3),
    "tutorial|gradients|kernel": np.array([0.5, 0.25]),
}


@pytest.fixture(scope="module")
def computed():
    """What the installed backends compute in float64, where there is next to no rounding."""
    if len(backends.installed()) < 2:
        pytest.skip("needs two backends")
    return parity.compute_on_all(TASK)


@pytest.mark.slow
def test_all_backends_compute_the_same(computed):
    comparisons = parity.compare(computed)
    quantities = ["logits", "logits, dropout", "loss", "gradients"]
    quantities += ["rmsprop training", "adam training", "weighted training"]
    assert [(comparison.model, comparison.quantity) for comparison in comparisons] == [
        *[(model, quantity) for model in TASK.models for quantity in quantities],
        ("any", "rmsprop"),
        ("any", "adam"),
    ]
    tolerance = parity.TOLERANCES["float64"]
    assert [comparison for comparison in comparisons if not comparison.agrees(tolerance)] == []


@pytest.mark.slow
def test_what_is_compared_is_not_trivial(computed):
    arrays = computed[backends.installed()[0]]
    for model in TASK.models:
        logits = arrays[f"{model}|logits|logits"]
        assert not np.allclose(logits, 0)
        assert not np.allclose(arrays[f"{model}|logits, dropout|logits"], logits, rtol=1e-3)
        name = "embedding/embeddings"
        trained = [arrays[f"{model}|{kind} training|{name}"] for kind in ("rmsprop", "weighted")]
        assert not np.allclose(*trained, rtol=1e-6)
        gradients = {key: v for key, v in arrays.items() if key.startswith(f"{model}|gradients|")}
        assert f"{model}|gradients|embedding/embeddings" in gradients
        assert all(np.abs(gradient).max() > 0 for gradient in gradients.values())


@pytest.mark.slow
def test_an_optimizer_with_another_epsilon_is_noticed(computed):
    *_, last = computed
    # Keras's optimizers use 1e-7 on every backend, PyTorch's own use 1e-8.
    other = parity.compute(last, dataclasses.replace(TASK, models=("kim",), epsilon=1e-8))
    arrays = {
        name: {key: values[key] for key in other}
        for name, values in (computed | {last: other}).items()
    }
    tolerance = max(parity.TOLERANCES.values())
    failed = [
        comparison for comparison in parity.compare(arrays) if not comparison.agrees(tolerance)
    ]
    assert [comparison.quantity for comparison in failed] == [
        "rmsprop training",
        "adam training",
        "weighted training",
        "rmsprop",
        "adam",
    ]


@pytest.mark.slow
def test_a_process_that_fails_is_named_and_its_traceback_is_shown(capfd):
    with pytest.raises(ValueError, match=r"run on nonesuch in float64.*KERAS_BACKEND.*above"):
        parity.compute("nonesuch", TASK)
    assert "Traceback" in capfd.readouterr().err


def test_the_largest_difference_is_reported_with_its_array():
    other = ARRAYS | {"tutorial|gradients|kernel": np.array([0.5, 0.26])}
    first, second = parity.compare({"tensorflow": ARRAYS, "jax": ARRAYS, "torch": other})
    assert (first.quantity, first.differences) == ("logits", {"jax": 0, "torch": 0})
    assert (second.quantity, second.worst) == ("gradients", "kernel")
    assert second.differences == {"jax": 0, "torch": pytest.approx(0.02)}
    assert second.agrees(0.021)
    assert not second.agrees(0.019)


@pytest.mark.parametrize(
    ("value", "reference", "expected"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0),
        ([1.0, 2.0], [1.0, 4.0], 0.5),
        ([0.0, 4.0], [1e-9, 4.0], 2.5e-10),
        ([0.0, 0.0], [0.0, 0.0], 0),
        ([1e-9, 0.0], [0.0, 0.0], np.inf),
        ([np.nan, 1.0], [np.nan, 1.0], np.inf),
        ([np.inf, 1.0], [1.0, 1.0], np.inf),
    ],
)
def test_relative_difference(value, reference, expected):
    difference = relative_difference(np.array(value), np.array(reference))
    assert difference == pytest.approx(expected)


def test_the_difference_of_float32_arrays_is_not_itself_rounded():
    value = np.float32([1 + 2**-23])
    assert relative_difference(value, np.float32([1])) == 2**-23


def test_the_command_shows_a_table_and_fails_by_name(monkeypatch, capsys):
    other = ARRAYS | {"tutorial|logits|logits": np.array([[1.0, -4.0001]])}
    monkeypatch.setattr(backends, "installed", lambda: ["tensorflow", "torch"])
    monkeypatch.setattr(parity, "compute", lambda *_: ARRAYS)
    parity.main()
    printed = capsys.readouterr().out
    assert "left out, since not installed: jax" in printed
    assert "FAIL" not in printed

    monkeypatch.setattr(
        parity, "compute", lambda backend, *_: other if backend == "torch" else ARRAYS
    )
    with pytest.raises(ValueError, match="in 2 quantities, first tutorial logits in float32"):
        parity.main()
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line for line in lines if "float64" in line and "FAIL" in line)
    assert " ".join(line.split()) == "tutorial float64 logits 2.5e-05 1e-10 FAIL logits"


def test_one_backend_is_nothing_to_compare(monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda: ["jax"])
    with pytest.raises(
        ValueError, match="two or more installed backends to compare, received jax; install"
    ):
        parity.main()


def test_a_wrong_model_or_number_of_steps_is_refused():
    with pytest.raises(ValueError, match="received 'tutoral'; did you mean 'tutorial'"):
        parity.main(("tutoral",))
    with pytest.raises(ValueError, match="--steps of 1 or more, received 0"):
        parity.main(steps=0)
