"""`research.TextClassifier`: what scikit-learn does with it, what it takes, refuses and saves."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from conftest import TOPICS, assert_refused, python
from sklearn.base import clone, is_classifier
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_checks
from sklearn.utils.validation import check_is_fitted
from test_classifier import examples

import research
from research import TextClassifier, evaluate, experiments, predict
from research.data import corpora, in_memory, splits, word_vectors
from research.data.corpora import CorpusSource
from research.processes import backends
from research.serving import self_check

BACKEND = backends.select()
TEXTS = [*TOPICS.values(), ""]


@pytest.fixture(scope="module")
def own(tiny):
    """Return 129 texts, and their labels as an array of strings."""
    of_corpus = corpora.load(CorpusSource("folder", tiny["corpus_path"])).splits["train"]
    return of_corpus.texts, np.array(sorted(TOPICS))[of_corpus.labels]


@pytest.fixture(scope="module")
def small(tiny):
    """Return options with which a fit takes a second or two."""
    of_corpus = ("corpus", "corpus_path")
    options = {name: value for name, value in tiny.items() if name not in of_corpus}
    more = {"learning_rate": 0.003, "batch_size": 16, "epochs": 8, "monitor": "loss"}
    return {"experiment": "newsgroups", **options, **more}


@pytest.fixture(scope="module")
def model(own, small):
    return TextClassifier(**small).fit(*own)


# --- fit and predict -----------------------------------------------------------------------------


@pytest.mark.backend
def test_it_learns(model, own):
    texts, labels = own
    assert model.classes_.tolist() == sorted(TOPICS)
    probabilities = model.predict_proba(texts)
    assert (probabilities.shape, probabilities.dtype) == ((len(texts), 3), np.float32)
    np.testing.assert_array_equal(
        model.predict(texts), model.classes_[probabilities.argmax(axis=1)]
    )
    assert model.score(texts, labels) > 0.9
    assert model.predict(TEXTS[:3]).tolist() == list(TOPICS)
    assert model.predict([]).shape == (0,)


@pytest.mark.backend
def test_it_trains_as_the_command_does(model, own, small):
    again = TextClassifier(**small, seed=0).fit((text for text in own[0]), pd.Series(own[1]))
    np.testing.assert_array_equal(again.predict_proba(own[0]), model.predict_proba(own[0]))
    other = TextClassifier(**small, seed=1).fit(*own)
    assert (other.predict_proba(own[0]) != model.predict_proba(own[0])).any()
    options = json.loads(model.run_["config.json"])
    assert options["corpus"] == "memory"
    assert options["learning_rate"] == 0.003
    assert options["model"] == experiments.get("newsgroups").model


def test_a_tenth_is_held_out_and_duplicates_stay_together():
    texts = [f"text {number // 2} " + " " * (number % 2) for number in range(200)]
    corpus, classes = in_memory.corpus(texts, np.arange(200) // 2 % 2)
    assert list(corpus.splits) == ["train", "validation"]
    train, validation = corpus.splits.values()
    assert (train.name, validation.name) == ("train", "validation")
    assert len(validation.texts) == 20
    assert len({*train.texts, *validation.texts}) == 200
    seen = {splits.normalised(text) for text in train.texts}
    assert not seen & {splits.normalised(text) for text in validation.texts}
    assert classes.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("labels", "classes", "kind"),
    [
        (["b", "a", "b", "a"], ["a", "b"], "U"),
        (pd.Series(["b", "a", "b", "a"]), ["a", "b"], "U"),
        (pd.Categorical(["b", "a", "b", "a"]), ["a", "b"], "U"),
        (np.array(["b", "a", "b", "a"], object), ["a", "b"], "U"),
        ([10, 9, 10, 9], [9, 10], "i"),
        (np.array([10, 9, 10, 9], np.int32), [9, 10], "i"),
        (pd.Series([10, 9, 10, 9], dtype="Int64"), [9, 10], "i"),
        ([True, False, True, False], [False, True], "b"),
        (iter([10, 9, 10, 9]), [9, 10], "i"),
    ],
)
def test_classes_keep_the_type_of_the_labels(labels, classes, kind):
    corpus, found = in_memory.corpus(["some", "more", "and", "other"], labels)
    assert (found.tolist(), found.dtype.kind) == (classes, kind)
    assert corpus.class_names == [str(name) for name in classes]  # 9 before 10, as in `found`
    counts = [np.bincount(split.labels, minlength=2).tolist() for split in corpus.splits.values()]
    assert counts == [[1, 1], [1, 1]]
    if isinstance(labels, np.ndarray) and kind == "i":
        assert found.dtype == labels.dtype


@pytest.mark.backend
def test_columns_of_integers_are_in_their_order(own, small):
    numbers = {"cooking": 10, "hockey": 9, "space": -1}
    labels = pd.Series([numbers[label] for label in own[1]])
    model = TextClassifier(**small).fit(np.array(own[0]), labels)
    assert model.classes_.tolist() == [-1, 9, 10]
    assert model.predict(TEXTS[:3]).tolist() == [numbers[topic] for topic in TOPICS]
    assert model.score(own[0], labels) > 0.9


@pytest.mark.parametrize(
    ("texts", "labels", "message"),
    [
        (["a", "b"], ["x"], "a label for each of 2 texts, received 1 labels; give as many"),
        (["a", "b"], ["x", "x"], "two classes, received only the label 'x'; add texts of"),
        (["a", "b"], [7, 7], "two classes, received only the label 7;"),
        ([], [], "two classes, received none;"),
        ("ab", ["x", "y"], "a list of strings, received 'ab';"),
        (["a", None], ["x", "y"], "only strings, received None of type NoneType as element 1"),
        ([1, 2], ["x", "y"], "only strings, received 1 of type int as element 0"),
        (pd.DataFrame({"text": ["a", "b"]}), ["x", "y"], "received DataFrame; give the texts"),
        (["a", " \n"], ["x", "y"], r"besides white space, received ' \\n' as element 1; fill"),
        (["a", "b"], None, "a Series of labels, received NoneType; give the labels alone"),
        (["a", "b"], "xy", "a Series of labels, received str;"),
        (["a", "b"], [["x"], ["y"]], r"received \['x'\] of type list as label 0"),
        (["a", "b"], pd.DataFrame({"label": ["x", "y"]}), "received DataFrame; give the labels"),
        (["a", "b"], [0.5, 1.0], "received 0.5 of type float as label 0; correct or remove it"),
        (["a", "b"], pd.Series(["x", None]), "received nan of type float as label 1"),
        (["a", "b"], ["x", 1], "all strings, all integers or all booleans.* received 1 of"),
        (["a", "b"], [1, True], "received True of type bool as label 1"),
        (["a", "b"], ["x", " "], "not blank, received ' ' of type str as label 1"),
        (["a", "b"], ["x", "y"], "one can be held out for validation, received 2 texts without"),
        (["a", "A"] * 2, ["x", "y"] * 2, "two different texts or more of some class"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_one_line(texts, labels, message):
    with pytest.raises(ValueError, match=message) as raised:
        TextClassifier().fit(texts, labels)
    assert "\n" not in str(raised.value)


def test_before_fit_there_is_nothing_to_ask():
    for method in ("predict", "predict_proba", "save"):
        with pytest.raises(NotFittedError):
            getattr(TextClassifier(), method)(["text"])


# --- options -------------------------------------------------------------------------------------


def test_options_are_parameters():
    model = TextClassifier(epochs=3, seed=1)
    assert model.get_params() == {"experiment": "best", "epochs": 3, "seed": 1}
    assert repr(model) == "TextClassifier(epochs=3, seed=1)"
    assert model.set_params(experiment="kim", dropout=0.1, seed=2) is model
    expected = {"experiment": "kim", "epochs": 3, "seed": 2, "dropout": 0.1}
    assert model.get_params() == clone(model).get_params() == expected
    assert "TextClassifier" in model._repr_html_()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("epoch", "received 'epoch'; did you mean 'epochs'?"),
        ("corpus", "received 'corpus'"),  # the texts are those that `fit` gets
        ("text_column", "received 'text_column'"),
    ],
)
def test_unknown_options_are_refused(name, message):
    with pytest.raises(ValueError, match=r"^expected the option to be one of experiment, ") as one:
        TextClassifier(**{name: 3})
    with pytest.raises(
        ValueError, match=r"^expected the option to be one of experiment, "
    ) as other:
        TextClassifier().set_params(**{name: 3})
    assert message in str(one.value)
    assert str(other.value) == str(one.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"experiment": "bset"}, "the experiment .* received 'bset'; did you mean 'best'?"),
        ({"epochs": 0}, "expected --epochs to be at least 1, received 0; change it"),
        ({"epochs": np.int64(0)}, "expected --epochs to be at least 1, received 0; change it"),
        ({"epochs": "three"}, "a valid option epochs, received 'three': Input should be a valid"),
        ({"epochs": True}, "a valid option epochs, received True"),
        ({"monitor": "los"}, "a valid option monitor, received 'los': Input should be 'accuracy'"),
        ({"dropout": float("nan")}, r"expected --dropout to be in \[0, 1\), received nan"),
    ],
)
def test_wrong_values_are_refused_when_it_is_fitted(options, message, own):
    with pytest.raises(ValueError, match=message) as raised:
        TextClassifier(**options).fit(*own)
    assert "\n" not in str(raised.value)


# --- scikit-learn --------------------------------------------------------------------------------


@pytest.mark.backend
def test_it_takes_part_in_cross_validation(own, small):
    scores = cross_val_score(TextClassifier(**small), *own, cv=2)
    assert scores.min() > 0.8


@pytest.mark.slow
def test_it_takes_part_in_a_search_at_the_end_of_a_pipeline(own, small):
    shortened = FunctionTransformer(lambda texts: [text[:200] for text in texts])
    pipeline = make_pipeline(shortened, TextClassifier(**small))
    grid = {"textclassifier__epochs": np.array([1, 8]), "textclassifier__dropout": [0.2]}
    search = GridSearchCV(pipeline, grid, cv=2, scoring="neg_log_loss").fit(
        pd.Series(own[0]), own[1]
    )
    assert search.best_params_ == {"textclassifier__epochs": 8, "textclassifier__dropout": 0.2}
    assert (search.predict(own[0]) == own[1]).mean() > 0.9
    options = json.loads(search.best_estimator_[-1].run_["config.json"])
    assert (options["epochs"], options["dropout"]) == (8, 0.2)


class OfNumbers(TextClassifier):
    """Takes rows of numbers, as scikit-learn's checks give them, as texts with a word for each."""

    def fit(self, X, y):  # noqa: N803
        return super().fit(_as_texts(X), y)

    def predict_proba(self, X):  # noqa: N803
        return super().predict_proba(_as_texts(X))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.string = tags.input_tags.one_d_array = False
        tags.input_tags.two_d_array = True
        return tags


def _as_texts(rows):
    rows = np.round(2 * np.asarray(rows)).astype(int)
    return [" ".join(f"c{i}n{abs(n)}" for i, n in enumerate(row)) for row in rows]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_its_tags_say_that_it_takes_texts():
    """Then scikit-learn runs no check of its own accord, since all of them give numbers."""
    tags = TextClassifier().__sklearn_tags__().input_tags
    assert (tags.string, tags.one_d_array, tags.two_d_array) == (True, True, False)
    assert is_classifier(TextClassifier())
    checks = list(estimator_checks.estimator_checks_generator(TextClassifier()))
    assert len(checks) == 1  # that it can be cloned


CHECKS = [
    estimator_checks.check_estimator_cloneable,
    estimator_checks.check_estimator_repr,
    estimator_checks.check_estimator_tags_renamed,
    estimator_checks.check_estimators_unfitted,
    estimator_checks.check_get_params_invariance,
    estimator_checks.check_mixin_order,
    estimator_checks.check_no_attributes_set_in_init,
    estimator_checks.check_parameters_default_constructible,
    estimator_checks.check_set_params,
    estimator_checks.check_valid_tag_types,
]
CHECKS_THAT_FIT = [
    estimator_checks.check_dict_unchanged,
    estimator_checks.check_dont_overwrite_parameters,
    estimator_checks.check_estimators_fit_returns_self,
    estimator_checks.check_estimators_overwrite_params,
    estimator_checks.check_estimators_pickle,
    estimator_checks.check_fit_check_is_fitted,
    estimator_checks.check_fit_idempotent,
    estimator_checks.check_fit_score_takes_y,
    estimator_checks.check_methods_sample_order_invariance,
    estimator_checks.check_methods_subset_invariance,
    estimator_checks.check_supervised_y_no_nan,
]
REFUSED = {
    "check_classifier_multioutput": "a text has one label",
    "check_classifiers_one_label": "its labels are floats, which are refused",
    "check_do_not_raise_errors_in_init_or_set_params": "an unknown option is refused at once",
    "check_requires_y_none": "the message is ours, not scikit-learn's",
    "check_supervised_y_2d": "labels in a column of two dimensions are refused, not flattened",
}


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_scikit_learns_checks(check):
    check("TextClassifier", TextClassifier())


@pytest.mark.slow
@pytest.mark.parametrize(
    "check",
    [
        *CHECKS_THAT_FIT,
        *(
            pytest.param(
                getattr(estimator_checks, name), marks=pytest.mark.xfail(reason=why, strict=True)
            )
            for name, why in REFUSED.items()
        ),
    ],
    ids=lambda check: check.__name__,
)
def test_scikit_learns_checks_that_fit(check):
    """Those of its checks that say something about texts; the others are about kinds of numbers."""
    options = {"vectors": "random.50d", "sequence_length": 150, "epochs": 1}
    check("OfNumbers", OfNumbers("newsgroups", **options))


# --- kept ----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("saved") / "new" / "run"
    model.save(folder)
    return folder


@pytest.mark.backend
def test_it_can_be_pickled(model):
    content = pickle.dumps(model)
    assert len(content) < 1.1 * sum(map(len, model.run_.values()))
    copy = pickle.loads(content)
    np.testing.assert_array_equal(copy.predict_proba(TEXTS), model.predict_proba(TEXTS))
    np.testing.assert_array_equal(copy.classes_, model.classes_)
    assert copy.get_params() == model.get_params()
    unfitted = pickle.loads(pickle.dumps(clone(model)))
    with pytest.raises(NotFittedError):
        check_is_fitted(unfitted)


@pytest.mark.slow
def test_a_pickle_works_on_another_backend(model, tmp_path):
    others = [name for name in backends.installed() if name != BACKEND]
    if not others:
        pytest.skip("only one backend is installed")
    (tmp_path / "model.pickle").write_bytes(pickle.dumps(model))
    code = f"""
import pickle
with open("model.pickle", "rb") as file:
    model = pickle.load(file)
import keras
print(keras.backend.backend(), *model.predict({TEXTS[:3]!r}))
"""
    answer = python("-c", code, folder=tmp_path, environment={"KERAS_BACKEND": others[-1]})
    assert answer.out.split() == [others[-1], *TOPICS], answer.err


@pytest.mark.backend
def test_a_saved_run_is_one_like_those_of_the_commands(model, run, call):
    classifier = research.load(run)
    np.testing.assert_array_equal(classifier.predict(TEXTS), model.predict_proba(TEXTS))
    assert classifier.classes == model.classes_.tolist()
    assert sorted(path.name for path in run.parent.iterdir()) == ["run"]
    answer = call(predict, run, *TEXTS[:3])
    assert answer.code == 0
    assert [line.split("\t")[0] for line in answer.out.splitlines()] == list(TOPICS)


def test_what_is_there_is_not_replaced(model, tmp_path):
    with pytest.raises(ValueError, match=f"expected a new folder to save to, received {tmp_path}"):
        model.save(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_evaluate_says_that_the_texts_are_gone(run, call):
    assert_refused(call(evaluate, run), "received 'memory'", "score it in Python")


@pytest.mark.slow
def test_it_is_exported_and_checked_on_texts_made_of_its_words(run, tmp_path):
    output = tmp_path / "own.onnx"
    answer = python("-m", "research.export", run, "--format", "onnx", "--output", output)
    assert answer.code == 0, answer.err
    assert "checked on 1,012 texts made of its words in a process of its own" in answer.out
    card = " ".join((tmp_path / "own.onnx.md").read_text().split())
    assert "Corpus `memory`: own texts, from a Python program." in card
    assert "No test split: the run does not keep its texts." in card
    assert "Checked on texts made of the run's words and on edge cases" in card


def test_texts_are_made_of_the_words_of_a_run():
    words = ["", "[UNK]", "moon", "puck"]
    source = CorpusSource(corpora.IN_MEMORY)
    *made, _ = [set(text.split()) for text in self_check.texts_to_check(source, words)[:1_001]]
    assert len(made) == 1_000
    assert set.union(*made) == {"moon", "puck"}
    assert all(made)


def test_a_corpus_in_memory_cannot_be_read_again():
    with pytest.raises(ValueError, match="the run does not keep them") as raised:
        corpora.load(CorpusSource(corpora.IN_MEMORY))
    assert "\n" not in str(raised.value)


# --- from the front door -------------------------------------------------------------------------


def test_it_is_imported_when_it_is_asked_for():
    code = """
import sys
import research
assert not {"keras", "sklearn", "numpy"} & sys.modules.keys()
research.TextClassifier(epochs=3)
assert "sklearn" in sys.modules and "keras" not in sys.modules
research.TextClasifier
"""
    answer = python("-c", code)
    assert answer.err.splitlines()[-1].startswith(
        "AttributeError: module 'research' has no attribute 'TextClasifier'"
    )


@pytest.mark.slow
def test_the_example_of_its_docstring_runs(own, tiny, monkeypatch):
    load = word_vectors.load_vectors
    monkeypatch.setattr(word_vectors, "load_vectors", lambda name: load(tiny["vectors"]))
    [code] = examples(TextClassifier)
    names = {"research": research, "texts": own[0], "labels": own[1]}
    exec(code, names)
    assert names["model"].predict(["orbit moon rocket launch"]).tolist() == ["space"]
