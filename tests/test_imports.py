"""Who may import whom, when Keras may be imported and with what, and who needs no TensorFlow."""

import ast
import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

import research
from research import train
from research.config import Config
from research.data import corpora, tokens
from research.data.corpora import CorpusSource
from research.processes import backends, lean_keras

PACKAGE = Path(research.__file__).parent
ROOT = PACKAGE.parent
COMMANDS = sorted(path.stem for path in PACKAGE.glob("*.py") if "__main__" in path.read_text())

# Whoever imports these has settled the backend, so they may import Keras at the top.
KERAS_AT_THE_TOP = {
    "models.expert_layers",
    "models.kim",
    "models.layers",
    "models.randomness",
    "models.tutorial",
    "models.variables",
    "models.wide_deep",
    "serving.classifier",
    "training.devices",
    "training.experts",
    "training.gradients",
    "training.inference",
    "training.precision",
    "training.trainer",
}
# The others import it in functions, after `backends.select()`.
KERAS_IN_FUNCTIONS = {
    "data.tokens",
    "estimator",
    "models.registry",
    "processes.lean_keras",
    "serving.formats",
    "training.quantities",
}
# Layers ask only where the quickest form of a computation differs.
ASKS_FOR_THE_BACKEND = {"models.layers", *(m for m in KERAS_AT_THE_TOP if "training" in m)}
BACKENDS_IN_FUNCTIONS = {
    "training.devices": {"jax", "torch", "tensorflow"},
    "training.inference": {"jax", "torch", "tensorflow"},
    "training.trainer": {"jax", "torch", "tensorflow"},
    "data.tokens": {"tensorflow"},
    "processes.lean_keras": {"torch"},
    "serving.formats": {"torch", "tensorflow"},  # what a format is made of
    "serving.runtimes": {"torch", "tensorflow", "keras"},  # what it runs on
}


class Import(NamedTuple):
    name: str  # with dots, as `research.training.trainer` or `keras.src.backend`
    is_lazy: bool  # within a function, or only where a module runs as a command


def imports(source: str) -> list[Import]:
    found: list[Import] = []

    def visit(node: ast.AST, is_lazy: bool) -> None:
        match node:
            case ast.Import(names=names):
                found.extend(Import(alias.name, is_lazy) for alias in names)
            case ast.ImportFrom(module=module, names=names):
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


def holds_keras(name: str) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in KERAS_AT_THE_TOP)


def violations(module: str, source: str) -> list[str]:
    """Say how the source of `research.<module>` breaks the rules about Keras and backends."""
    broken = []
    may_import_keras = KERAS_IN_FUNCTIONS | KERAS_AT_THE_TOP | set(COMMANDS)
    for name, is_lazy in imports(source):
        top = name.partition(".")[0]
        inner = name.removeprefix("research.")
        if name.startswith("keras.src"):
            broken.append(f"{name} is no public part of Keras")
        elif top in {"keras", "jax", "jaxlib", "torch", "tensorflow"}:
            allowed = BACKENDS_IN_FUNCTIONS.get(module, set())
            if top not in allowed | ({"keras"} if module in may_import_keras else set()):
                broken.append(f"{module} must not import {top}")
            elif not is_lazy and not (top == "keras" and module in KERAS_AT_THE_TOP):
                broken.append(f"{module} imports {top} before the backend is settled")
        elif not is_lazy and module not in KERAS_AT_THE_TOP and holds_keras(inner):
            broken.append(f"{module} imports {inner} before the backend is settled")
    asks = "keras.backend.backend(" in ast.unparse(ast.parse(source))
    if asks and module not in ASKS_FOR_THE_BACKEND:
        broken.append(f"{module} asks which backend runs, which is left to training")
    return broken


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts)


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("*.py")), ids=module_name)
def test_keras_and_backends_are_imported_only_where_they_may_be(path):
    assert violations(module_name(path), path.read_text()) == []


def test_the_tables_above_name_modules_that_exist():
    modules = {module_name(path) for path in PACKAGE.rglob("*.py")}
    assert KERAS_AT_THE_TOP | KERAS_IN_FUNCTIONS | BACKENDS_IN_FUNCTIONS.keys() <= modules
    assert {"train", "evaluate", "predict"} <= set(COMMANDS)


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("evaluation.metrics", "import keras", "must not import keras"),
        ("evaluation.metrics", "def f():\n  from keras import ops", "must not import keras"),
        ("config", "import keras.ops as ops", "must not import keras"),
        ("train", "import keras", "before the backend is settled"),
        ("data.tokens", "from keras import layers", "before the backend is settled"),
        ("train", "from research.training.trainer import Trainer", "before the backend is settled"),
        ("train", "from research.training import trainer", "before the backend is settled"),
        ("models.registry", "from research.models.kim import KimCNN", "before the backend"),
        ("training.trainer", "import keras.src", "no public part"),
        ("models.kim", "from keras.src import backend", "no public part"),
        ("train", "def f():\n  import jax", "must not import jax"),
        ("models.kim", "import torch", "must not import torch"),
        ("data.tokens", "def f():\n  import torch.nn", "must not import torch"),
        ("evaluate", "import importlib\nimportlib.import_module('jax')", "must not import jax"),
        ("data.tokens", "import tensorflow as tf", "before the backend is settled"),
        ("training.trainer", "try:\n  import jax\nexcept ImportError: pass", "before the backend"),
        ("serving.classifier", "import keras\nx = keras.backend.backend()", "asks which backend"),
    ],
)
def test_the_check_notices(module, source, complaint):
    assert any(complaint in broken for broken in violations(module, source))


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("models.kim", "import keras\nfrom keras import ops"),
        ("train", "def f():\n  from research.training.trainer import Trainer"),
        ("data.tokens", "def f():\n  import keras\n  import tensorflow as tf"),
        ("evaluation.tables", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n  import jax"),
    ],
)
def test_the_check_lets_pass(module, source):
    assert violations(module, source) == []


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """Check the contracts of pyproject.toml on the packages in a folder."""
    code = "import sys; from importlinter.cli import lint_imports_command as c; sys.exit(c())"
    return subprocess.run(
        [sys.executable, "-c", code, "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_rooms_use_only_lower_rooms():
    answer = lint_imports(ROOT)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize(
    ("module", "line", "complaint"),
    [
        ("data/tokens.py", "from research.models import linear", "research.data is not allowed"),
        ("training/progress.py", "import research.config", "research.training is not allowed"),
        ("evaluate.py", "from research import predict", "research.evaluate is not allowed"),
        ("files/atomic.py", "from research.processes import child", "research.files is not"),
        ("sweep.py", "def f():\n  from benchmarks import run", "research.sweep is not allowed"),
    ],
)
def test_the_contracts_notice(module, line, complaint, tmp_path):
    for package in ("research", "benchmarks"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / package, tmp_path / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    with (tmp_path / "research" / module).open("a") as file:
        file.write(f"\n{line}\n")
    answer = lint_imports(tmp_path)
    assert answer.returncode == 1
    assert complaint in " ".join(answer.stdout.split())


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


@pytest.mark.slow
def test_importing_a_command_imports_no_backend_yet():
    code = """
        import importlib, sys

        for command in sys.argv[1:]:
            importlib.import_module(command)
        print({"keras", "jax", "torch", "tensorflow", "numpy"} & sys.modules.keys())
    """
    assert run(code, *(f"research.{name}" for name in COMMANDS)) == "{'numpy'}\n"


HELP = """
    import runpy, sys

    try:
        runpy.run_module(sys.argv.pop(), run_name="__main__")
    except SystemExit as stopped:
        assert stopped.code in (0, None)
    slow = {"keras", "jax", "torch", "tensorflow", "ray", "sklearn", "matplotlib", "pandas"}
    slow |= {"pyarrow", "statsmodels", "scipy.stats", "scipy.sparse", "scipy.optimize"}
    print(sorted(slow & sys.modules.keys()))
"""


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_slow(command):
    *shown, slow = run(HELP, "--help", f"research.{command}").splitlines()
    assert any("usage" in line.lower() for line in shown)
    assert slow == "[]"


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "run"
    return train.train("tiny", Config(**tiny | {"model": "wide-deep", "epochs": 1}), folder)


LABEL = """
    import contextlib, os, sys
    from pathlib import Path

    import numpy as np

    if sys.argv[3] == "all":
        from research.processes import backends

        backends.select()
        import keras

    from research import predict

    with contextlib.redirect_stdout(sys.stderr):
        predict.main(Path(sys.argv[1]), ("the rocket is in orbit",))
    optional = {"sklearn", "matplotlib", "pandas", "IPython", "torch._dynamo"}
    optional |= {"jax", "torch", "tensorflow"} - {os.environ["KERAS_BACKEND"]}
    print(*sorted(optional & sys.modules.keys()))

    import research, keras

    texts = ["the rocket is in orbit", "salt and butter", ""]
    drawn = keras.ops.convert_to_numpy(keras.random.normal((5,), seed=1))
    np.savez(sys.argv[2], labels=research.load(sys.argv[1]).predict(texts), drawn=drawn)

    import matplotlib.pyplot, pandas, sklearn.linear_model

    assert None not in sys.modules.values()
"""


@pytest.mark.parametrize("backend", backends.BACKENDS)
def test_labelling_imports_nothing_that_it_does_not_need(backend, trained, tmp_path):
    if backend not in backends.installed():
        pytest.skip(f"{backend} is not installed")

    def label(keras: str) -> tuple[str, dict[str, np.ndarray]]:
        imported = run(LABEL, trained, tmp_path / "answer.npz", keras, KERAS_BACKEND=backend)
        return imported, dict(np.load(tmp_path / "answer.npz"))

    imported, answers = label("lean")
    assert imported == "\n"
    imported, expected = label("all")
    assert "sklearn" in imported, "Keras imports less by itself: lean_keras may go"
    for name, values in expected.items():
        assert answers[name].tobytes() == values.tobytes()


def test_absent_packages_are_back_afterwards():
    sys.modules.pop("colorsys", None)
    with pytest.raises(ZeroDivisionError), lean_keras.absent("colorsys", "json"):
        import json  # was imported before

        assert json.loads("1") == 1
        with pytest.raises(ModuleNotFoundError):
            import colorsys
        raise ZeroDivisionError
    import colorsys

    assert colorsys.rgb_to_hsv(1, 0, 0) == (0, 1, 1)


def test_absent_leaves_what_is_imported_meanwhile():
    import colorsys

    del sys.modules["colorsys"]
    with lean_keras.absent("colorsys"):
        sys.modules["colorsys"] = colorsys
    assert sys.modules["colorsys"] is colorsys


COMPILER = """
    import sys

    import torch

    from research.processes import backends, lean_keras

    backends.select()
    with lean_keras.compiler_on_demand():
        import torch._dynamo as on_demand

        @on_demand.disable()
        def double(x):
            "Doubles."
            return x + x

        assert double.__doc__ == "Doubles."
        assert not hasattr(on_demand, "__file__")
        assert "torch._dynamo.eval_frame" not in sys.modules  # its first part
    assert "torch._dynamo" not in sys.modules

    assert double(torch.ones(())) == 2
    import torch._dynamo as compiler

    assert compiler is not on_demand
    assert compiler.__file__
    assert on_demand.config is compiler.config
    graphs = compiler.explain(lambda x: double(x + 1) - 1)(torch.ones(()))
    assert graphs.graph_break_count == 1  # the compiler leaves `double` alone
"""


@pytest.mark.skipif("torch" not in backends.installed(), reason="PyTorch is not installed")
def test_the_compiler_of_pytorch_is_imported_on_demand():
    run(COMPILER, KERAS_BACKEND="torch")


WITHOUT_TENSORFLOW = """
    import os, sys
    from pathlib import Path

    sys.modules["tensorflow"] = None  # Python's way to say that it is not installed

    from research import predict, train
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
    predict.main(run, ("some words", "others"))
    assert not any(name.startswith("tensorflow.") for name in sys.modules)
    assert not {"sklearn", "pandas", "IPython", "torch._dynamo"} & sys.modules.keys()
    import keras

    print(f"{keras.backend.backend()} wrote {(run / 'checkpoint' / 'index.json').exists()}")

    os.environ["RESEARCH_CACHE"] = sys.argv[3]
    try:
        train.train("tiny", config, Path(sys.argv[3]) / "cold")
    except ModuleNotFoundError as error:
        print(error)
"""


@pytest.mark.parametrize("backend", ["jax", "torch"])
@pytest.mark.slow
def test_training_from_a_warm_cache_and_labelling_need_no_tensorflow(backend, tiny, tmp_path):
    if backend not in backends.installed():
        pytest.skip(f"{backend} is not installed")
    splits = corpora.load(CorpusSource("folder", tiny["corpus_path"])).splits
    vocabulary = tokens.learn_vocabulary(splits["train"].texts, 200)
    for split in splits.values():
        tokens.encode_cached(split.texts, vocabulary, 12)

    arguments = tiny["corpus_path"], tiny["vectors"], tmp_path
    printed = run(WITHOUT_TENSORFLOW, *arguments, KERAS_BACKEND=backend).splitlines()
    assert f"{backend} wrote True" in printed
    assert [line.split("\t")[-1] for line in printed if "\t" in line] == ["some words", "others"]
    assert printed[-1].startswith("expected TensorFlow, which splits texts into words")
    assert "pip install tensorflow" in printed[-1]
