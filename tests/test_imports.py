"""Which module may import what, and that JAX and PyTorch need no TensorFlow."""

import ast
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

from research.data import corpora, tokens
from research.processes import backends

PACKAGE = Path(tokens.__file__).parent

COMMANDS = {"train", "evaluate", "predict", "export", "sweep", "report", "parity", "baselines"}
# Whoever imports these has settled the backend.
KERAS_AT_THE_TOP = {"models", "layers", "loop", "classifier"}
KERAS_IN_FUNCTIONS = COMMANDS | {"tokens", "formats", "artefacts"}
ASKS_FOR_THE_BACKEND = {"loop", "layers"}  # layers only for the quickest form of a computation
BACKENDS_IN_FUNCTIONS = {
    "loop": {"jax", "torch", "tensorflow"},
    "tokens": {"tensorflow"},
    "formats": {"torch", "tensorflow"},  # what a format is made of, and what it runs on
    "artefacts": {"torch", "tensorflow"},
}

# A stage takes and returns plain values; below it are only these, and its own parts.
BELOW_STAGES = {"assets", "names"}
PARTS = {
    "corpora": {"own_texts", "news20", "corpus_report"},
    "tokens": set(),
    "embeddings": set(),
    "linear": set(),
    "models": {"layers"},
    "metrics": set(),
    "runs": set(),
}
# `python -m research.corpora` is a command of one line, and so may use what commands do.
MAY_ALSO = {"corpora": {"cli"}}

STAGE_OF = {part: stage for stage, parts in PARTS.items() for part in {stage, *parts}}


class Import(NamedTuple):
    name: str  # with dots, as `research.loop` or `keras.src.backend`
    is_lazy: bool  # within a function, or where a module runs as a command


def imports(source: str) -> list[Import]:
    found: list[Import] = []

    def visit(node: ast.AST, is_lazy: bool) -> None:
        match node:
            case ast.Import(names=names):
                found.extend(Import(alias.name, is_lazy) for alias in names)
            case ast.ImportFrom(module=module, names=names, level=level):
                module = ".".join(part for part in ("research" if level else "", module) if part)
                found.extend(Import(f"{module}.{alias.name}", is_lazy) for alias in names)
            case ast.If(test=test) if "TYPE_CHECKING" in ast.unparse(test):
                return  # for the type checker alone
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if ast.unparse(
                func
            ).endswith(("import_module", "__import__")):
                found.append(Import(name, is_lazy))
        is_lazy |= isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        is_lazy |= isinstance(node, ast.If) and "__main__" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            visit(child, is_lazy)

    visit(ast.parse(source), False)
    return found


def violations(module: str, source: str) -> list[str]:
    """Says in what the source of `research/<module>.py` breaks the rules."""
    broken = []
    for name, is_lazy in imports(source):
        top, inner = (*name.split("."), "")[:2]
        if name.startswith("keras.src"):
            broken.append(f"{name} is no public part of Keras")
        elif top == "keras" and module not in KERAS_AT_THE_TOP:
            if module not in KERAS_IN_FUNCTIONS:
                broken.append(f"{module} does not work with Keras")
            elif not is_lazy:
                broken.append(f"{module} imports Keras before the backend is settled")
        elif top in {"jax", "jaxlib", "torch", "tensorflow"}:
            if top not in BACKENDS_IN_FUNCTIONS.get(module, set()):
                broken.append(f"{module} imports {top}, which is left to loop")
            elif not is_lazy:
                broken.append(f"{module} imports {top} on every backend")
        elif top == "benchmarks":
            broken.append(f"{module} imports benchmarks, which are built on this package")
        elif top == "research":
            stage = STAGE_OF.get(module)
            allowed = BELOW_STAGES | MAY_ALSO.get(module, set()) | {stage}
            if inner in COMMANDS:
                broken.append(f"{module} imports the command {inner}")
            if stage and inner not in allowed | PARTS[stage]:
                broken.append(f"{module} is a stage and imports {inner or 'the package'}")
            if inner in KERAS_AT_THE_TOP and not is_lazy and module not in KERAS_AT_THE_TOP:
                broken.append(f"{module} imports {inner} before the backend is settled")
    if module not in ASKS_FOR_THE_BACKEND and "keras.backend.backend(" in ast.unparse(
        ast.parse(source)
    ):
        broken.append(f"{module} asks which backend runs, which is left to loop and layers")
    return broken


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*.py")), ids=lambda path: path.stem)
def test_a_module_imports_only_what_it_may(path):
    assert violations(path.stem, path.read_text()) == []


def test_the_tables_above_name_modules_that_exist():
    modules = {path.stem for path in PACKAGE.glob("*.py")}
    assert STAGE_OF.keys() | KERAS_AT_THE_TOP | {"tokens", "train", "evaluate"} <= modules
    with_a_main = {path.stem for path in PACKAGE.glob("*.py") if "__main__" in path.read_text()}
    assert with_a_main - {"corpora", "artefacts"} <= COMMANDS  # the second runs without the package


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("metrics", "import keras", "does not work with Keras"),
        ("metrics", "def f():\n  from keras import ops", "does not work with Keras"),
        ("config", "import keras.ops as ops", "does not work with Keras"),
        ("train", "import keras", "before the backend is settled"),
        ("tokens", "from keras import layers", "before the backend is settled"),
        ("train", "from research import loop", "before the backend is settled"),
        ("figures", "from research.classifier import Classifier", "before the backend"),
        ("loop", "import keras.src", "no public part"),
        ("models", "from keras.src import backend", "no public part"),
        ("train", "def f():\n  from keras.src.backend import jax", "no public part"),
        ("train", "def f():\n  import jax", "imports jax, which is left to loop"),
        ("models", "import torch", "imports torch, which is left to loop"),
        ("metrics", "def f():\n  import tensorflow.data", "imports tensorflow, which is left"),
        ("tokens", "def f():\n  import torch.nn", "imports torch, which is left to loop"),
        ("evaluate", "import importlib\nimportlib.import_module('jax')", "imports jax"),
        ("tokens", "import tensorflow as tf", "on every backend"),
        ("loop", "try:\n  import jax\nexcept ImportError: pass", "on every backend"),
        ("classifier", "import keras\nx = keras.backend.backend() == 'jax'", "asks which backend"),
        ("corpora", "from research.config import Config", "is a stage and imports config"),
        ("metrics", "import research", "is a stage and imports the package"),
        ("tokens", "def f():\n  from . import corpora", "is a stage and imports corpora"),
        ("own_texts", "from research import tokens", "is a stage and imports tokens"),
        ("embeddings", "from research import own_texts", "is a stage and imports own_texts"),
        ("runs", "from .config import Config", "is a stage and imports config"),
        ("evaluate", "from research import train", "imports the command train"),
        ("sweep", "def f():\n  from research.train import train", "imports the command train"),
        ("classifier", "from research import predict", "imports the command predict"),
        ("report", "from benchmarks import peers", "imports benchmarks"),
    ],
)
def test_the_check_notices(module, source, complaint):
    assert any(complaint in broken for broken in violations(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("models", "import keras\nfrom keras import ops\nfrom research.names import choose"),
        ("train", "from research import runs\ndef f():\n  from research import loop, models"),
        ("tokens", "def f():\n  import keras\n  import tensorflow as tf"),
        ("classifier", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  import jax"),
        ("corpora", "if __name__ == '__main__':\n  from research import cli, corpus_report"),
    ],
)
def test_the_check_lets_pass(module, source):
    assert violations(module, source) == []


def run(code: str, *arguments: object, **environment: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    return finished.stdout


def test_importing_a_command_imports_no_backend_yet():
    commands = [f"research.{name}" for name in COMMANDS if (PACKAGE / f"{name}.py").exists()]
    code = """
        import importlib, sys

        for command in sys.argv[1:]:
            importlib.import_module(command)
        print({"keras", "jax", "torch", "tensorflow", "numpy"} & sys.modules.keys())
    """
    assert run(code, *commands) == "{'numpy'}\n"


WITHOUT_TENSORFLOW = """
    import os, sys
    from pathlib import Path

    sys.modules["tensorflow"] = None  # Python's way to say that there is none

    from research import train
    from research.config import Config

    config = Config(
        corpus="folder",
        corpus_path=Path(sys.argv[1]),
        vectors=sys.argv[2],
        vocabulary_size=200,
        sequence_length=12,
        model="kim",
        epochs=1,
    )
    run = train.train("tiny", config, Path(sys.argv[3]) / "warm")
    assert not any(name.startswith("tensorflow.") for name in sys.modules)
    import keras

    print(f"{keras.backend.backend()} wrote {(run / 'checkpoint' / 'index.json').exists()}")

    os.environ["RESEARCH_CACHE"] = sys.argv[3]
    try:
        train.train("tiny", config, Path(sys.argv[3]) / "cold")
    except ModuleNotFoundError as error:
        print(error)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_training_from_a_warm_cache_needs_no_tensorflow(backend, tiny, tmp_path):
    if backend not in backends.installed():
        pytest.skip(f"{backend} is not installed")
    splits = corpora.load("folder", tiny["corpus_path"]).splits
    vocabulary = tokens.learn_vocabulary(splits["train"].texts, 200)
    for split in splits.values():
        tokens.encode_cached(split.texts, vocabulary, 12)

    arguments = tiny["corpus_path"], tiny["vectors"], tmp_path
    printed = run(WITHOUT_TENSORFLOW, *arguments, KERAS_BACKEND=backend).splitlines()
    assert f"{backend} wrote True" in printed
    assert printed[-1].startswith("expected TensorFlow, which splits texts into words")
    assert "pip install tensorflow" in printed[-1]
