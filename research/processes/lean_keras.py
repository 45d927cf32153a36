"""Imports Keras without the packages that this project's models do not need.

`import keras` imports scikit-learn, Matplotlib, pandas and IPython where they are installed, and
JAX on the other backends. They serve its wrappers for scikit-learn, its galleries of images, data
frames as inputs, its file editor and its Orbax checkpoints, none of which a command uses. On
PyTorch it also imports the compiler of `torch.compile`, to keep two functions out of it. This takes
longer than all else that labelling a text takes.
"""

import contextlib
import functools
import importlib
import os
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, cast

_UNNEEDED = ("sklearn", "matplotlib", "pandas", "IPython")
_COMPILER = "torch._dynamo"


def load() -> None:
    """Import Keras, and with it little else; a Keras that has been imported stays as it is.

    Call it in commands only, after `backends.select()`. Keras would not know a data frame
    afterwards, which surprises whoever uses this project as a library. The packages themselves can
    be imported as always.
    """
    if "keras" in sys.modules:
        return
    backend = os.environ["KERAS_BACKEND"]
    unneeded = _UNNEEDED if backend == "jax" else (*_UNNEEDED, "jax")
    compiler = compiler_on_demand() if backend == "torch" else contextlib.nullcontext()
    with absent(*unneeded), compiler:
        import keras  # noqa: F401


@contextlib.contextmanager
def absent(*packages: str) -> Iterator[None]:
    """Let packages look as if they were not installed, except those already imported.

    None in `sys.modules` is Python's way to say so, after which libraries do without.

    Page: https://docs.python.org/3/reference/import.html#the-module-cache
    """
    hidden = [name for name in packages if name not in sys.modules]
    modules = cast("dict[str, ModuleType | None]", sys.modules)
    modules.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        for name in hidden:
            if modules[name] is None:
                del modules[name]


@contextlib.contextmanager
def compiler_on_demand() -> Iterator[None]:
    """Give whoever imports PyTorch's compiler a module that imports it when it is used."""
    import torch  # noqa: F401  (before, since it may look for its own parts)

    if _COMPILER in sys.modules:
        yield
        return
    on_demand = sys.modules[_COMPILER] = _CompilerOnDemand(_COMPILER)
    try:
        yield
    finally:
        if sys.modules[_COMPILER] is on_demand:
            del sys.modules[_COMPILER]


class _CompilerOnDemand(ModuleType):
    """Stands in for `torch._dynamo`, which takes more than a second to import.

    Keras decorates two functions with `@torch._dynamo.disable()`. PyTorch decorates its optimizers
    with a private function that does the same, and imports the compiler when one is called.
    """

    def disable(self) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Return what keeps a function out of the compiler, from its first call on."""

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            @functools.cache
            def disabled() -> Callable[..., Any]:
                decorated: Callable[..., Any] = self.__getattr__("disable")()(function)
                return decorated

            return functools.wraps(function)(lambda *args, **options: disabled()(*args, **options))

        return decorate

    def __getattr__(self, name: str) -> Any:
        """Return anything else from the compiler itself, for other releases of Keras."""
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)  # so that looking at all modules, as `inspect` does, is free
        if sys.modules.get(_COMPILER) is self:
            del sys.modules[_COMPILER]
        return getattr(importlib.import_module(_COMPILER), name)
