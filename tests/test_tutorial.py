"""The notebook docs/tutorial.ipynb on a few posts, and the outputs that all notebooks have."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import COMMON, ROOT, TOPICS, write_vectors

from research.data import newsgroups
from research.training import run_folder

NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
NOTEBOOKS = sorted((ROOT / "docs").glob("*.ipynb"))
TOPIC_OF = {"comp.graphics": "cooking", "rec.sport.hockey": "hockey", "sci.space": "space"}
POSTS_PER_CLASS = 60
SMALL = {"VOCABULARY_SIZE": 80, "SEQUENCE_LENGTH": 150, "EPOCHS": 3}


def code_cells(notebook: Path = NOTEBOOK) -> list[dict[str, Any]]:
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in cells if cell["cell_type"] == "code"]


def write_posts(folder: Path) -> str:
    """Write posts with headers of 8, 10 or 12 lines; return what takes them for the real ones.

    One post of each class has no text, and the first ones share a Message-ID.
    """
    generator = np.random.default_rng(0)
    digest = hashlib.sha256()
    for newsgroup, topic in TOPIC_OF.items():
        (folder / newsgroup).mkdir(parents=True)
        for number in range(POSTS_PER_CLASS):
            unique = "everywhere" if number == 0 else f"{number}.{newsgroup}"
            fields = [f"X-Field: {i}" for i in range((7, 9, 11)[number % 3])]
            words = [*generator.choice(TOPICS[topic].split(), 20), *generator.choice(COMMON, 20)]
            body = "" if number == 30 else " ".join([*words, *["the"] * 20])
            lines = [f"Message-ID: <{unique}>", *fields, "", "", "", body]
            content = "\n".join(lines).encode()
            (folder / newsgroup / f"{number:03}").write_bytes(content)
            digest.update(f"{newsgroup}/{number:03} {len(content)}\n".encode() + content)
    return digest.hexdigest()


@pytest.mark.backend
def test_every_cell_runs_on_a_few_posts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "20_newsgroup"
    monkeypatch.setattr(newsgroups, "_SHA256", write_posts(folder))
    monkeypatch.setenv("RESEARCH_NEWS20", str(folder))
    monkeypatch.chdir(tmp_path)  # the run folder goes below it
    small = SMALL | {"VECTORS": str(write_vectors(tmp_path / "vectors.txt"))}

    parameters, *cells = code_cells()
    assert parameters["metadata"]["tags"] == ["parameters"]
    names: dict[str, Any] = {}
    exec("".join(parameters["source"]), names)
    assert {name for name in names if name.isupper()} == small.keys() | {"SOURCE"}
    names |= small
    for number, cell in enumerate(cells, start=2):
        exec(compile("".join(cell["source"]), f"code cell {number}", "exec"), names)

    check_data(names)
    check_model_and_run(names)


def check_data(names: dict[str, Any]) -> None:
    assert len(names["posts"]) == 3 * POSTS_PER_CLASS
    assert sorted(set(names["header_lines"])) == [8, 10, 12]
    assert len(names["train_split"].texts) == 144
    assert len(names["validation_split"].texts) == 36
    assert names["empty"] == 3
    assert (names["message_ids"], names["cross_posted"]) == (1, 3)

    vocabulary = names["vocabulary"]
    assert vocabulary[:3] == ["", "[UNK]", "the"]
    # In "the cat sat on the mat" only "the" is a word of these posts.
    assert names["token_ids"].shape == (1, SMALL["SEQUENCE_LENGTH"])
    assert list(names["token_ids"][0, :7]) == [2, 1, 1, 1, 2, 1, 0]

    words = [word for topic in TOPIC_OF.values() for word in TOPICS[topic].split()]
    assert not set(words) & set(names["missing"])
    row = names["embeddings"][vocabulary.index("orbit")]
    np.testing.assert_array_equal(
        row, names["vectors"].matrix[names["vectors"].words.index("orbit")]
    )
    assert not names["embeddings"][:2].any()


def check_model_and_run(names: dict[str, Any]) -> None:
    words, dimensions, classes = len(names["vocabulary"]), 8, 3
    convolutions = (5 * dimensions + 1) * 128 + 2 * (5 * 128 + 1) * 128
    dense = 128 * 128 + 128 + 128 * classes + classes
    expected = (words + 2) * dimensions + convolutions + dense
    assert names["model"].count_params() == expected
    assert names["published"].count_params() == 2_247_516
    assert names["frozen"] == 2_000_200

    run = names["run"]
    assert run_folder.read_json(run / "config.json")["corpus_path"] == str(names["SOURCE"].path)
    history = [json.loads(line) for line in (run / "history.jsonl").read_text().splitlines()]
    assert len(history) == SMALL["EPOCHS"]
    assert history[-1]["loss"] < history[0]["loss"]

    probabilities = names["probabilities"]
    assert probabilities.shape == (1, 3)
    assert probabilities.sum() == pytest.approx(1, abs=1e-5)
    assert names["classifier"].classes == sorted(TOPIC_OF)


def printed(cell: dict[str, Any]) -> str:
    """Return what is stored below a cell, except pictures."""
    texts: list[str] = []
    for output in cell["outputs"]:
        by_type = output.get("data", {}) | {"text": output.get("text", "")}
        texts += ["".join(text) for name, text in by_type.items() if name != "image/png"]
    return "\n".join(texts)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_the_stored_outputs_are_of_one_run_without_errors(notebook: Path) -> None:
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] != "error"
            assert output.get("name") != "stderr", output["text"]
    assert any(cell["outputs"] for cell in cells)
    assert notebook.stat().st_size < 300_000


def test_the_stored_outputs_have_a_picture() -> None:
    outputs = [output for cell in code_cells() for output in cell["outputs"]]
    assert any("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_the_stored_outputs_name_no_folder_of_a_machine(notebook: Path) -> None:
    absolute = re.compile(r"""(?:^|[\s"'(=])(?:/\w|~/|[A-Za-z]:\\)""", re.MULTILINE)
    assert absolute.search("the run is in /home/somebody/runs"), "the pattern must find paths"
    for cell in code_cells(notebook):
        assert not absolute.search(printed(cell)), printed(cell)
        assert "execution" not in cell["metadata"]  # the times of day at which it ran
    kernel = json.loads(notebook.read_text(encoding="utf-8"))["metadata"]["kernelspec"]
    assert kernel["name"] == "python3"


@pytest.mark.parametrize(
    "text",
    [
        "19,997 posts in 20 newsgroups",
        " 997  soc.religion.christian",
        "train: 15,998 posts, validation: 3,999 posts",
        "['', '[UNK]', 'the', 'to', 'of']",
        "2,247,516 parameters, 2,000,200 of them frozen",
    ],
)
def test_the_stored_outputs_have_the_numbers_of_the_tutorial(text: str) -> None:
    assert any(text in printed(cell) for cell in code_cells())
