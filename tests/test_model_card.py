"""Model cards: whose scores they give, and what they say about rounding."""

import numpy as np
import pytest
from conftest import HOSTILE
from markdown_it import MarkdownIt

from research.files import atomic, sealed
from research.processes import escape
from research.serving import model_card
from research.training import checkpoints, run_folder
from research.training.checkpoints import Position, Saver

ORIGIN = {
    "epoch": 2,
    "checkpoint": "last",
    "examples": {"validation": 18},
    "options": {"corpus": "r8"},
}
HISTORY = [{"epoch": 1, "validation_accuracy": 0.5}, {"epoch": 2, "validation_accuracy": 0.875}]


def saved(run, history=HISTORY):
    """Return the open checkpoint of a run of two epochs, with what a card reads from it."""
    saver = Saver(run, dict.fromkeys(run_folder.INPUTS, b"{}"))
    saver.write_inputs()
    saver.save(Position(epoch=2, best_epoch=2, history=history), {}, {})
    return checkpoints.opened(run, "last")


@pytest.fixture
def checkpoint(tmp_path):
    with saved(tmp_path) as opened:
        yield opened


def test_a_card_gives_validation_scores_until_the_weights_are_evaluated(checkpoint):
    scores = model_card.scores(checkpoint, ORIGIN)
    assert scores.startswith("Not evaluated yet. ")
    assert "- validation accuracy: 0.8750 (95% interval 0." in scores
    assert "chosen" not in scores
    best = model_card.scores(checkpoint, ORIGIN | {"checkpoint": "best"})
    assert "The epoch was chosen by this accuracy" in best
    assert "accuracy: 0.5000 " in model_card.scores(checkpoint, ORIGIN | {"epoch": 1})


def test_a_card_gives_the_scores_of_its_own_weights_only(checkpoint):
    scores = {"split": "test", "epoch": 2, "examples": 7528, "accuracy": 0.75, "macro_f1": 0.5}
    scores |= {"accuracy_interval": [0.7, 0.8], "macro_f1_interval": [0.4, 0.6]}
    path = checkpoint.run / "metrics.json"
    atomic.write_json(path, sealed.seal(scores | {"weights": checkpoint.digest}))
    assert model_card.scores(checkpoint, ORIGIN).splitlines() == [
        "- test accuracy: 0.7500 (95% interval 0.7000 to 0.8000)",
        "- test macro-F1: 0.5000 (95% interval 0.4000 to 0.6000)",
        "- 7,528 examples",
    ]
    path.write_bytes(path.read_bytes().replace(b"0.75", b"0.95"))
    with pytest.raises(ValueError, match=r"metrics\.json to match the digest inside it"):
        model_card.scores(checkpoint, ORIGIN)
    for other in (sealed.seal(scores | {"weights": "of another epoch"}), scores):
        atomic.write_json(path, other)
        assert "0.7500" not in model_card.scores(checkpoint, ORIGIN)


def test_a_run_without_validation_has_no_scores_yet(tmp_path):
    with saved(tmp_path, [{"epoch": 1}, {"epoch": 2}]) as checkpoint:
        assert len(model_card.scores(checkpoint, ORIGIN).splitlines()) == 1


def test_rounding_counts_other_labels_and_gives_the_largest_difference():
    as_trained = np.array([[0.5, 0.5], [0.25, 0.75], [0.9, 0.1]], np.float32)
    probabilities = np.array([[0.375, 0.625], [0.25, 0.75], [0.9, 0.1]], np.float32)
    sentences = model_card.rounding("mixed_bfloat16", as_trained, probabilities)
    assert "computed in mixed_bfloat16;" in sentences
    assert "labels of 1 of 3 texts, and no probability by more than 1.2e-01." in sentences


def card(name):
    """Return a card on which everything from a run folder has this name."""
    options = {"corpus": "csv", "vectors": name, "model": name, "seed": 0, "epochs": 1}
    options |= {"train_on": "train", "train_examples": 50}
    origin = {"options": options, "corpus": name, "corpus_digest": name, "examples": {name: 1}}
    origin |= {"parameters": 1, "checkpoint": "best", "epoch": 1, "backend": name}
    origin |= {"started": name, "commit": name}
    metadata = {
        "classes": [name, f"-{name}"],
        "vocabulary": [name],
        "tokenizer": {"sequence_length": 150},
        "licences": {"code": "Apache-2.0", "vectors": f"those of {name}"},
        "origin": origin,
    }
    scores = model_card._score(name, "accuracy", 0.5, [0.4, 0.6])
    return model_card.card("onnx", f"{name}.onnx", metadata, scores, "", [(1, 2.0)], 3)


def outline(markdown):
    """Return the structure of a page: its blocks, and the kinds of text in them."""
    page = MarkdownIt("commonmark").parse(markdown)
    return [(block.type, {part.type for part in block.children or []}) for block in page]


@pytest.mark.parametrize(
    "name", [HOSTILE, "# h", "\n# h\n", "- x", "1. x", "> x", "```", "=", "<b>"]
)
def test_names_cannot_change_the_structure_of_a_card(name):
    hostile = card(name)
    assert outline(hostile) == outline(card("plain"))
    assert "".join(hostile.split("\n")).isprintable()
    page = MarkdownIt("commonmark").parse(hostile)
    shown = "".join(part.content for block in page for part in block.children or [])
    assert shown.count(escape.terminal(name).strip()) >= 12


def test_common_names_stay_readable_on_a_card():
    text = card("comp.os_x.misc")
    assert "fits none: comp.os_x.misc, -comp.os_x.misc. It reads" in text
    assert "word vectors `comp.os_x.misc`, 1 words." in text
    assert "trained on 50 texts of train." in text
