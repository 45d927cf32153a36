"""Training as an estimator of scikit-learn: `research.TextClassifier`.

A fitted estimator holds the files of its run as bytes. They are what is pickled and saved, so a
copy works in another process, and on another backend.
"""

import dataclasses
import json
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from pydantic import TypeAdapter, ValidationError
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.validation import check_is_fitted

from research import experiments
from research.config import Config
from research.data import in_memory
from research.data.corpora import IN_MEMORY, CorpusSource
from research.files import moves
from research.processes import backends
from research.processes.choices import choose
from research.train import train

if TYPE_CHECKING:
    from research.serving.classifier import Classifier

_OF_CORPUS = {"corpus", "corpus_path", *(field.name for field in dataclasses.fields(CorpusSource))}
_PARAMETERS = [
    "experiment",
    *(f.name for f in dataclasses.fields(Config) if f.name not in _OF_CORPUS),
]


class TextClassifier(ClassifierMixin, BaseEstimator):
    """A text classifier with the methods of scikit-learn.

    It takes part in `cross_val_score`, `GridSearchCV` and, at the end, in a `Pipeline` whose other
    steps turn texts into texts. `fit` prints what `python -m research.train` prints.

    Example:
      model = research.TextClassifier(epochs=3, seed=1)
      model.fit(texts, labels)
      model.predict(["the shuttle reached its orbit"])  # array(["space"])
      model.classifier_.explain("the shuttle reached its orbit")[:3]  # the words that told

    Attributes:
      classes_: the classes, sorted, as strings, integers or booleans like the labels.
      classifier_: the run as one object, as `research.load` returns it; its classes are strings.
      run_: the files of the run folder, bytes by name.
    """

    def __init__(self, experiment: str = "best", **options: Any) -> None:
        """Take the options of an experiment, and others in place of some of them.

        Args:
          experiment: one of `research.experiments`.
          options: fields of `research.config.Config`, except those that name a corpus.

        Raises:
          ValueError: there is no such option; the message suggests the nearest one.
        """
        self.experiment = experiment
        self.set_params(**options)

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """Return `experiment`, and the options that were given; `deep` changes nothing."""
        return {name: value for name, value in self.__dict__.items() if name in _PARAMETERS}

    def set_params(self, **params: Any) -> Self:
        """Set `experiment` or any option, also one that was not given before.

        Raises:
          ValueError: there is no such option; the message suggests the nearest one.
        """
        for name, value in params.items():
            setattr(self, choose("the option", name, _PARAMETERS), value)
        return self

    def fit(self, X: Iterable[str], y: Iterable[Any]) -> Self:  # noqa: N803  (scikit-learn's name)
        """Train on texts, and keep the epoch that is best on a tenth of them.

        Texts that are equal except for case and white space stay together, in that tenth or out of
        it. Nothing is held out as a test split.

        Args:
          X: the texts: a list, an array, a Series or a generator of strings that are not blank.
          y: the label of each: strings, integers or booleans.

        Raises:
          ValueError: a text, a label or an option is not as it must be.
          OSError: the word vectors could not be fetched or read.
        """
        config = self._config()
        corpus, classes = in_memory.corpus(X, y)
        backends.select()
        import keras  # noqa: F401  (all of it, which `train` would not: the caller may use it too)

        with tempfile.TemporaryDirectory() as folder:
            run = train(self.experiment, config, Path(folder, "run"), corpus=corpus)
            self.run_ = _read(run)
        self.classes_ = classes
        self.classifier_ = _classifier(self.run_)
        return self

    def predict(self, X: Iterable[str]) -> np.ndarray:  # noqa: N803
        """Return the most probable class of each text, with the dtype of `classes_`.

        Args:
          X: as in `fit`; blank texts are labelled too.

        Raises:
          ValueError: `X` holds something other than strings.
          NotFittedError: `fit` was not called.
        """
        labels = self.predict_proba(X).argmax(axis=1)
        predictions: np.ndarray = self.classes_[labels]
        return predictions

    def predict_proba(self, X: Iterable[str]) -> np.ndarray:  # noqa: N803
        """Return the probability of each class, float32[texts, classes], as `classes_` has them.

        Args:
          X: as in `predict`.

        Raises:
          ValueError: `X` holds something other than strings.
          NotFittedError: `fit` was not called.
        """
        check_is_fitted(self)
        return self.classifier_.predict(X)

    def save(self, path: Path | str) -> None:
        """Write a run folder, for `research.load` and the commands `predict` and `export`.

        The run does not keep its texts. So `python -m research.evaluate` cannot score it, and
        `export` checks on texts that are made of its words.

        Args:
          path: the new folder.

        Raises:
          ValueError: something is at `path`.
          OSError: it cannot be written.
          NotFittedError: `fit` was not called.
        """
        check_is_fitted(self)
        path = Path(path)
        if path.exists():
            raise ValueError(
                f"expected a new folder to save to, received {path}, which exists; give another"
            )
        moves.make_folder(path.parent)
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            made = Path(folder, "run")
            _write(self.run_, made)
            moves.move(made, path)

    def _config(self) -> Config:
        """Return all options, checked.

        Raises:
          ValueError: there is no such experiment, or an option is of another type or out of range.
        """
        # A search draws from arrays and distributions, whose numbers are NumPy's.
        given = {
            name: value.item() if isinstance(value, np.generic) else value
            for name, value in self.get_params().items()
            if name != "experiment"
        }
        of_name = experiments.get(self.experiment)
        if self.experiment == "best":
            of_name = experiments.recommended()
        options = dataclasses.asdict(of_name) | given
        content = json.dumps(options | {"corpus": IN_MEMORY}, default=str)
        try:  # strict: neither the text "20" nor true is a number
            return TypeAdapter(Config).validate_json(content, strict=True)
        except ValidationError as error:
            first = error.errors()[0]
        if first["type"] == "value_error":  # of `Config` itself, which says all
            raise ValueError(str(first["ctx"]["error"]))
        raise ValueError(
            f"expected a valid option {first['loc'][0]}, received {first['input']!r:.80}: "
            f"{first['msg']}; change it"
        )

    def __getstate__(self) -> dict[str, Any]:
        # A Keras model is of one backend, so it is made again from the run.
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "classifier_"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        if "run_" in state:
            self.classifier_ = _classifier(self.run_)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        tags.input_tags.string = True
        return tags


def _classifier(files: Mapping[str, bytes]) -> "Classifier":
    """Return a run as one object, from its files."""
    backends.select()
    from research.serving.classifier import Classifier  # imports Keras

    with tempfile.TemporaryDirectory() as folder:
        _write(files, Path(folder))
        return Classifier.load(Path(folder), "best")


def _read(run: Path) -> dict[str, bytes]:
    """Return the files of a run folder by name, without its lock."""
    files = [path for path in run.rglob("*") if path.is_file() and path.name != ".lock"]
    return {path.relative_to(run).as_posix(): path.read_bytes() for path in files}


def _write(files: Mapping[str, bytes], folder: Path) -> None:
    """Write files by name into a folder."""
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
