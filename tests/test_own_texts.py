"""The notebook docs/own-texts.ipynb: every cell runs on a few texts."""

import ast
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from conftest import ROOT, TOPICS
from test_tutorial import code_cells

from research.data import corpora
from research.data.corpora import CorpusSource


@pytest.mark.slow
def test_every_cell_runs_on_a_few_texts(
    tiny: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("onnxruntime")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for the command that exports
    train = corpora.load(CorpusSource("folder", tiny["corpus_path"])).splits["train"]
    names: dict[str, Any] = {
        "frame": pd.DataFrame(
            {"text": train.texts, "label": [sorted(TOPICS)[label] for label in train.labels]}
        ),
        "OPTIONS": {"vectors": tiny["vectors"], "epochs": 3},
        "RUN": Path("runs/few-texts"),
    }

    imports, parameters, *cells = code_cells(ROOT / "docs" / "own-texts.ipynb")
    assert parameters["metadata"]["tags"] == ["parameters"]
    nodes = ast.parse("".join(parameters["source"])).body
    assigned = {target.id for node in nodes for target in node.targets}
    assert assigned == {"corpus", *names}
    for number, cell in enumerate([imports, *cells], start=1):
        exec(compile("".join(cell["source"]), f"code cell {number}", "exec"), names)

    assert len(names["train"]) + len(names["test"]) == len(train.texts)
    assert list(names["predictions"][:3]) == list(names["model"].predict(names["test"]["text"][:3]))
    assert names["right"].mean() > 0.9
    assert names["low"] <= names["difference"] <= names["high"]
    assert len(names["mistakes"]) == (~names["right"]).sum()
    assert names["classifier"].classes == sorted(TOPICS)
    assert Path("runs/few-texts.onnx").is_file()
