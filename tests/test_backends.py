"""Which backend a process settles on."""

import importlib.util
import json
import os
import subprocess
import sys

import pytest

from research.processes import backends


@pytest.fixture
def installed(monkeypatch):
    """Pretends that only these are installed, and forgets what the environment asks for."""
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
def test_without_a_wish_it_is_the_first_that_is_installed(names, first, installed):
    installed(*names)
    assert backends.select() == first == os.environ["KERAS_BACKEND"]
    assert backends.installed() == [name for name in backends.BACKENDS if name in names]


@pytest.mark.parametrize("wish", backends.BACKENDS)
def test_a_wish_is_honoured(wish, installed, monkeypatch):
    installed(*backends.BACKENDS)
    monkeypatch.setenv("KERAS_BACKEND", wish)
    assert backends.select() == wish == os.environ["KERAS_BACKEND"]


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
    for wish in ("numpy", "openvino", "JAX"):
        monkeypatch.setenv("KERAS_BACKEND", wish)
        with pytest.raises(ValueError, match=rf"received '{wish}'; set KERAS_BACKEND=tensorflow$"):
            backends.select()


def test_a_backend_that_is_not_installed_comes_with_how_to_install_it(installed, monkeypatch):
    installed("tensorflow")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(
        ValueError,
        match=r"\(tensorflow\), received 'jax'; set KERAS_BACKEND=tensorflow, or pip install jax$",
    ):
        backends.select()
    installed()
    with pytest.raises(ValueError, match=r"\(none is\), received 'jax'; .*, or pip install jax$"):
        backends.select()
    monkeypatch.setenv("KERAS_BACKEND", "")
    with pytest.raises(ValueError, match=r"received 'none'; pip install tensorflow$"):
        backends.select()


def test_what_a_user_wants_tensorflow_to_log_is_left_alone(installed, monkeypatch):
    installed("jax")
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "0")
    backends.select()
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "0"


SELECT = """
import sys

sys.modules["tensorflow"] = None  # Python's way to say that there is none
# LAZY IMPORTS

backends.select()
import keras

print(keras.backend.backend())
"""


def test_keras_own_settings_file_does_not_decide(tmp_path):
    if not {"jax", "torch"} <= set(backends.installed()):
        pytest.skip("needs two backends")
    (tmp_path / "keras.json").write_text(json.dumps({"backend": "torch"}))
    environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
    finished = subprocess.run(
        [sys.executable, "-c", SELECT],
        env=environment | {"KERAS_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert finished.stdout == "jax\n"
