"""Options: their ranges, their documentation, and the file that keeps them."""

import ast
import dataclasses
import inspect
import json
import re
from pathlib import Path

import pytest
from conftest import assert_refused

from research import experiments, train
from research.config import Config
from research.data.corpora import CorpusSource
from research.files import atomic
from research.models.options import ModelOptions

FIELDS = [field.name for field in dataclasses.fields(Config)]
NAN = float("nan")


def save(run: Path, options: object) -> Path:
    atomic.write_json(run / "config.json", options)
    return run


@pytest.mark.parametrize(
    ("option", "fitting", "others"),
    [
        ("vocabulary_size", [3], [2, 0, -1]),
        ("sequence_length", [1], [0, -200]),
        ("dropout", [0.0, 0.999], [-0.1, 1.0, 50, NAN]),
        ("deep_vocabulary_size", [3], [2, -1]),
        ("deep_sequence_length", [1], [0, -1]),
        ("word_dropout", [0.0, 0.999], [-0.1, 1.0, NAN]),
        ("learning_rate", [1e-9, 10], [0, -0.001, float("inf"), NAN]),
        ("batch_size", [1], [0, -1]),
        ("epochs", [1], [0, -1]),
        ("seed", [0, 2**31 - 1], [-1, 2**31]),
    ],
)
def test_an_option_out_of_its_range_is_refused_by_the_name_it_is_typed_with(
    option, fitting, others
):
    for value in fitting:
        assert getattr(Config(**{option: value}), option) == value
    typed = "--" + option.replace("_", "-")
    for value in others:
        with pytest.raises(ValueError, match=rf"^expected {typed} to be .*, received {value}; "):
            Config(**{option: value})


@pytest.mark.parametrize("name", experiments.EXPERIMENTS)
def test_every_experiment_reads_as_it_was_saved(name, tmp_path):
    saved = experiments.get(name)
    assert Config.read(save(tmp_path, saved.to_json())) == saved


def test_options_of_every_type_read_as_they_were_saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    saved = Config(
        corpus="csv",
        corpus_path=Path("posts.csv"),
        split_column="split",
        vectors="ä/vectors.vec",
        trainable_embeddings=True,
        missing_vectors="random",
        optimizer="adam",
        dropout=0,  # an integer where a float is meant
        learning_rate=0.02,
    )
    read = Config.read(save(tmp_path / "run", saved.to_json()))
    # The command may go on from another folder, so the paths became absolute.
    vectors = str(tmp_path / "ä" / "vectors.vec")
    assert read == dataclasses.replace(saved, corpus_path=tmp_path / "posts.csv", vectors=vectors)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("epochs", "20"),
        ("epochs", 2.0),
        ("epochs", True),
        ("epochs", None),
        ("learning_rate", "0.1"),
        ("learning_rate", False),
        ("trainable_embeddings", 1),
        ("optimizer", "sgd"),
        ("missing_vectors", None),
        ("corpus", None),
        ("corpus_path", 3),
        ("split_column", []),
    ],
)
def test_a_value_of_another_type_is_refused_by_name(option, value, tmp_path):
    run = save(tmp_path, Config().to_json() | {option: value})
    with pytest.raises(ValueError, match=rf"in .*config\.json, received {option}: .*; restore"):
        Config.read(run)


def test_a_value_out_of_its_range_is_refused_by_name(tmp_path):
    run = save(tmp_path, Config().to_json() | {"dropout": 1.5})
    with pytest.raises(ValueError, match=r"--dropout .* received 1\.5"):
        Config.read(run)


@pytest.mark.parametrize(
    ("options", "received"),
    [
        (Config().to_json() | {"momentum": 0.9}, "momentum: Unexpected"),
        ([], "the file: Input should be"),
        ("text", "the file: Input should be"),
    ],
)
def test_unknown_options_are_refused(options, received, tmp_path):
    with pytest.raises(ValueError, match=rf"options of a run in .*, received {received}"):
        Config.read(save(tmp_path, options))


def test_an_option_younger_than_the_run_has_its_default(tmp_path):
    saved = Config(model="wide-deep", epochs=3)
    younger = ("deep_vocabulary_size", "deep_sequence_length", "word_dropout")
    options = {name: value for name, value in saved.to_json().items() if name not in younger}
    assert Config.read(save(tmp_path, options)) == saved


def test_a_refusal_is_one_line(tmp_path, call):
    run = save(tmp_path, Config().to_json() | {"epochs": "20"})
    answer = call(train, "--run-dir", run, "--resume")
    assert_refused(answer, "received epochs: ", str(run / "config.json"))
    assert len(answer.err.splitlines()) == 1


def test_no_run_folder_and_no_json(tmp_path):
    with pytest.raises(FileNotFoundError, match=rf"expected a run folder .* received {tmp_path}"):
        Config.read(tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ValueError, match="received the file: Invalid JSON"):
        Config.read(tmp_path)


def test_saved_options_are_plain_json():
    options = Config(corpus_path=Path("/posts")).to_json()
    assert json.loads(json.dumps(options)) == options
    assert list(options) == FIELDS


def test_what_belongs_to_the_corpus_travels_together():
    path = Path("posts.csv")
    config = Config(
        corpus="csv", corpus_path=path, text_column="a", label_column="b", split_column="c"
    )
    assert config.corpus_source == CorpusSource("csv", path, "a", "b", "c")
    assert Config().corpus_source == CorpusSource("news20-bydate")


def test_what_belongs_to_the_model_travels_together():
    options = {
        "trainable_embeddings": True,
        "dropout": 0.1,
        "precision": "mixed_bfloat16",
        "seed": 7,
        "deep_vocabulary_size": 9,
        "deep_sequence_length": 8,
        "word_dropout": 0.2,
    }
    assert Config(**options).model_options == ModelOptions(**options)
    # The defaults are written down in both places, and must stay the same.
    assert Config().model_options == ModelOptions(precision="float32")


def documentation() -> dict[str, str]:
    """Return the string below each field, which Python does not keep."""
    (definition,) = ast.parse(inspect.getsource(Config)).body
    return {
        field.target.id: below.value.value
        for field, below in zip(definition.body, definition.body[1:], strict=False)
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr)
    }


def test_every_option_is_documented_and_in_the_help(monkeypatch, call):
    assert list(documentation()) == FIELDS
    monkeypatch.setenv("COLUMNS", "400")
    code, out, _ = call(train, "--help")
    assert code == 0
    shown = " ".join(re.sub(r"\x1b\[[0-9;]*m|│", " ", out).split())
    for option, text in documentation().items():
        assert f"--{option.replace('_', '-')}" in shown
        assert " ".join(text.split()) in shown
    assert "python -m research.train" in shown
    for part in (*experiments.PROTOCOLS, *experiments.VARIANTS, "best", "kim", "tutorial-50d"):
        assert part in shown


def test_a_misspelt_experiment_gets_a_suggestion():
    with pytest.raises(ValueError, match=r"received 'newsgroup'; did you mean 'newsgroups'\?"):
        experiments.get("newsgroup")
    with pytest.raises(ValueError, match="received 'xyz'; choose one of these"):
        experiments.get("xyz")


def test_variants_of_an_experiment_differ_by_their_vectors_alone():
    for name in ("newsgroups", "clean", "r8", "r52", "20ng", "ohsumed", "mr"):
        for infix, vectors in (("", "glove.6B.50d"), ("-100d", "glove.6B.100d-partial")):
            frozen, tuned, drawn = (
                experiments.get(name + infix + suffix) for suffix in ("", "-finetuned", "-random")
            )
            assert (frozen.vectors, frozen.trainable_embeddings) == (vectors, False)
            assert tuned == dataclasses.replace(frozen, trainable_embeddings=True)
            assert drawn.vectors in ("random.50d", "random.100d")
            assert drawn == dataclasses.replace(tuned, vectors=drawn.vectors)
    assert experiments.get("newsgroups") == Config()


def test_the_tutorial_is_reproduced_with_its_100_dimensions():
    tutorial = experiments.get("tutorial")
    assert tutorial == Config(corpus="news20", vectors="glove.6B.100d")
    assert experiments.get("tutorial-50d") == Config(corpus="news20")


def test_the_best_model_has_the_same_options_on_every_corpus():
    best = {name: experiments.get(name) for name in experiments.EXPERIMENTS if "best" in name}
    assert len(best) == len(experiments.PROTOCOLS) + 1
    same = {"corpus": "", "train_on": "train"}
    assert len({dataclasses.replace(config, **same) for config in best.values()}) == 1
    # The validation split of news20 is what is scored, so nothing may be chosen on it.
    on_train = {name for name in best if best[name].train_on == "nine-tenths-of-train"}
    assert on_train == {"tutorial-best"}
