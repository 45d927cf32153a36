"""Datasets in the form of the Hugging Face Hub, from folders that are written here."""

import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet
import pytest
from conftest import assert_refused

from research import corpora as command
from research.config import Config
from research.data import corpora, hub
from research.data.corpora import Corpus, CorpusSource

datasets = pytest.importorskip("datasets")

TEXTS = [f"text {number}" for number in range(20)]
CLASS_LABEL = """
dataset_info:
- config_name: plain
  features:
  - name: text
    dtype: string
  - name: label
    dtype:
      class_label:
        names:
          '0': neg
          '1': pos
"""


def write(folder: Path, splits: dict[str, list[Any]], about_features: str = "") -> Path:
    """Write a dataset with one configuration, `plain`; each split has these labels."""
    (folder / "data").mkdir(parents=True)
    files = ""
    for split, labels in splits.items():
        table = pa.table({"text": [f"{split} {text}" for text in TEXTS], "label": labels})
        pyarrow.parquet.write_table(table, folder / "data" / f"{split}.parquet")
        files += f"  - split: {split}\n    path: data/{split}.parquet\n"
    configs = f"configs:\n- config_name: plain\n  data_files:\n{files}"
    (folder / "README.md").write_text(f"---\n{configs}{about_features.strip()}\n---\n")
    return folder


def load(path: Path, **columns: str) -> Corpus:
    return corpora.load(CorpusSource("hub", path, **columns), splits=None)


def test_splits_and_class_names_are_taken_over(tmp_path: Path) -> None:
    splits = {"training": [0, 1] * 10, "dev": [1, 0] * 10, "test": [1, 1] * 10}
    corpus = load(write(tmp_path / "reviews", splits, CLASS_LABEL))
    assert (corpus.name, corpus.class_names, corpus.notes) == ("reviews", ["neg", "pos"], [])
    for name, split in zip(splits, corpus.splits.values(), strict=True):
        assert split.texts == [f"{name} {text}" for text in TEXTS]
        assert split.labels.tolist() == splits[name]


@pytest.mark.parametrize("labels", [["ham", "spam"], [3, 7]])
def test_without_class_names_the_values_are_the_classes(labels: list[Any], tmp_path: Path) -> None:
    corpus = load(write(tmp_path / "mail", {"train": labels * 10}))
    assert corpus.class_names == [str(label) for label in labels]
    assert {name: len(split.texts) for name, split in corpus.splits.items()} == {
        "train": 14,
        "validation": 2,
        "test": 4,
    }


def test_splits_without_labels_or_with_other_names_are_left_out_and_said(tmp_path: Path) -> None:
    splits = {"train": [0, 1] * 10, "test": [-1] * 20, "unsupervised": [-1] * 20}
    path = write(tmp_path / "reviews", splits, CLASS_LABEL)
    corpus = load(path)
    assert corpus.notes == [
        f"left out: split 'test' of '{path}', whose texts have no labels",
        f"left out: split 'unsupervised' of '{path}', which is not called train, validation or "
        "test",
    ]
    assert not any("test" in text for split in corpus.splits.values() for text in split.texts[:1])
    assert sum(len(split.texts) for split in corpus.splits.values()) == 20


def test_a_text_without_a_label_is_refused_by_its_place(tmp_path: Path) -> None:
    splits = {"train": [0, 1] * 10, "validation": [0, -1] * 10}
    path = write(tmp_path / "reviews", splits, CLASS_LABEL)
    with pytest.raises(
        ValueError, match=r"received None in row 2 of split 'validation' of .* \(10 such rows\)"
    ):
        load(path)


def test_a_label_beyond_the_class_names_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews", {"train": [0, 7] * 10}, CLASS_LABEL)
    with pytest.raises(ValueError, match="label"):
        load(path)


def test_a_dataset_with_a_script_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "reviews").mkdir()
    (tmp_path / "reviews" / "reviews.py").write_text("raise SystemExit('this code was run')")
    with pytest.raises(ValueError, match="expected a dataset of the Hub, or a folder in its form"):
        load(tmp_path / "reviews")


def test_a_folder_that_has_changed_is_read_anew(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews", {"train": ["a", "b"] * 10})
    assert load(path).class_names == ["a", "b"]
    table = pa.table({"text": TEXTS, "label": ["b", "c"] * 10})
    pyarrow.parquet.write_table(table, path / "data" / "train.parquet")
    assert load(path).class_names == ["b", "c"]


def test_a_configuration_is_named_behind_a_colon(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews", {"train": ["a", "b"] * 10})
    assert load(Path(f"{path}:plain")).name == "reviews-plain"
    with pytest.raises(ValueError, match=r"received .*Available: \['plain'\].*NAME:CONFIG"):
        load(Path(f"{path}:other"))


def test_missing_columns_are_listed(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews", {"train": ["a", "b"] * 10})
    with pytest.raises(
        ValueError,
        match=r"one column 'txt' in split 'train' of .*received 'text', 'label'; did you mean",
    ):
        load(path, text_column="txt")


def test_a_folder_without_data(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(OSError, match=r"expected a dataset of the Hub.*contain any data files"):
        load(tmp_path / "empty")


@pytest.mark.parametrize("path", ["/no/such/folder", "./a/b/c", "two words"])
def test_what_is_neither_a_folder_nor_a_name(path: str) -> None:
    with pytest.raises(FileNotFoundError, match=f"name of a dataset.*received '.*{path[-5:]}'"):
        load(Path(path))


def test_a_file_is_no_dataset(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n")
    with pytest.raises(ValueError, match=r"received the file .*a\.csv'; choose csv"):
        load(tmp_path / "a.csv")


def test_without_a_network(monkeypatch: pytest.MonkeyPatch, call: Any) -> None:
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    answer = call(command, "hub", "--corpus-path", "org/imdb:plain")
    assert_refused(answer, "'org/imdb:plain'", "check the name (NAME or NAME:CONFIG)", "network")


def test_without_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: Any) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # so Python finds no such package
    assert_refused(
        call(command, "hub", "--corpus-path", tmp_path),
        "pip install 'keras-text-research[hub]'",
    )


def test_a_name_is_kept_and_a_folder_becomes_absolute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "reviews").mkdir()
    kept = {
        path: Config(corpus="hub", corpus_path=Path(path)).to_json()["corpus_path"]
        for path in ("org/imdb:plain", "imdb", "reviews", "reviews:plain")
    }
    assert kept == {
        "org/imdb:plain": "org/imdb:plain",
        "imdb": "imdb",
        "reviews": str(tmp_path / "reviews"),
        "reviews:plain": str(tmp_path / "reviews:plain"),
    }
    assert hub.is_folder(Path(kept["reviews:plain"]))
