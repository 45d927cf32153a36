"""Which backend a process chooses."""

import importlib.util
import json
import os

import pytest
from conftest import python

from research.processes import backends


@pytest.fixture
def installed(monkeypatch):
    """Return a function that pretends that only these backends are installed."""
    monkeypatch.setenv("KERAS_BACKEND", "")

    def pretend(*names):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: name in names or None)

    return pretend


@pytest.mark.parametrize(
    ("names", "first"),
    [
        (("torch", "jax", "tensorflow"), "tensorflow"),
        (("torch", "jax"), "jax"),
        (("torch",), "torch"),
    ],
)
def test_the_default_is_the_first_that_is_installed(names, first, installed):
    installed(*names)
    assert backends.select() == first == os.environ["KERAS_BACKEND"]
    assert backends.installed() == [name for name in backends.BACKENDS if name in names]


@pytest.mark.parametrize("wanted", backends.BACKENDS)
def test_keras_backend_chooses_among_the_installed_ones(wanted, installed, monkeypatch):
    installed(*backends.BACKENDS)
    monkeypatch.setenv("KERAS_BACKEND", wanted)
    assert backends.select() == wanted == os.environ["KERAS_BACKEND"]


def test_a_misspelt_backend_gets_a_suggestion_and_changes_nothing(installed, monkeypatch):
    installed("jax", "torch")
    monkeypatch.setenv("KERAS_BACKEND", "troch")
    with pytest.raises(
        ValueError,
        match=r"installed backend \(jax, torch\), received 'troch'; set KERAS_BACKEND=torch$",
    ):
        backends.select()
    assert os.environ["KERAS_BACKEND"] == "troch"


def test_a_backend_of_keras_that_we_do_not_support_is_refused(installed, monkeypatch):
    installed("tensorflow", "numpy", "openvino")
    for wanted in ("numpy", "openvino", "JAX"):
        monkeypatch.setenv("KERAS_BACKEND", wanted)
        with pytest.raises(
            ValueError, match=rf"received '{wanted}'; set KERAS_BACKEND=tensorflow$"
        ):
            backends.select()


def test_the_refusal_of_a_missing_backend_says_how_to_install_it(installed, monkeypatch):
    installed("tensorflow")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(
        ValueError,
        match=r"\(tensorflow\), received 'jax'; set KERAS_BACKEND=tensorflow, or pip install jax$",
    ):
        backends.select()


@pytest.mark.parametrize(
    ("wanted", "advice"), [("", "tensorflow"), ("jax", "jax"), ("numpy", "tensorflow")]
)
def test_without_any_backend_the_error_says_what_to_install(wanted, advice, installed, monkeypatch):
    installed()
    monkeypatch.setenv("KERAS_BACKEND", wanted)
    with pytest.raises(ValueError, match=rf"found none of them; pip install {advice}$"):
        backends.select()


@pytest.mark.parametrize(
    ("variable", "default"), [("TF_CPP_MIN_LOG_LEVEL", "3"), ("MKL_CBWR", "AUTO")]
)
def test_settings_of_the_backends_are_those_of_the_user_or_ours(
    variable, default, installed, monkeypatch
):
    installed("jax")
    monkeypatch.delenv(variable, raising=False)
    backends.select()
    assert os.environ[variable] == default
    monkeypatch.setenv(variable, "0")
    backends.select()
    assert os.environ[variable] == "0"


SELECT = """
import sys

sys.modules["tensorflow"] = None  # Python's way to say that it is not installed
from research.processes import backends

backends.select()
import keras

print(keras.backend.backend())
"""


def test_the_settings_file_of_keras_does_not_decide(tmp_path):
    if not {"jax", "torch"} <= set(backends.installed()):
        pytest.skip("needs two backends")
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
    answer = python("-c", SELECT, environment={"KERAS_BACKEND": "", "KERAS_HOME": str(tmp_path)})
    assert answer.out == "jax\n", answer.err
