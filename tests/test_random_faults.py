"""Damaged run folders: each ends in the right answer, or in one line that says what is wrong."""

import json
import random
import shutil

import numpy as np
import pytest

import research
from research import train
from research.config import Config
from research.evaluation import records
from research.serving import metadata, model_card
from research.serving.classifier import Classifier
from research.training import checkpoints

pytestmark = pytest.mark.faults

FAULTS = 10_000
SUFFIXES = {".json", ".npz", ".txt"}


@pytest.fixture(scope="module")
def runs(tiny, tmp_path_factory):
    """Two finished runs of the same size, with other seeds, names of classes and lengths."""
    folder = tmp_path_factory.mktemp("runs")
    corpus = shutil.copytree(tiny["corpus_path"], folder / "corpus")
    (corpus / "space").rename(corpus / "stars")
    one = train.train("tiny", Config(**tiny), folder / "one")
    changed = {"corpus_path": corpus, "seed": 1, "epochs": 1, "sequence_length": 151}
    return one, train.train("tiny", Config(**tiny | changed), folder / "other")


def parts(run):
    """Return the paths of what a run is made of, relative to its folder."""
    return sorted(
        path.relative_to(run)
        for path in run.rglob("*")
        if path.suffix in SUFFIXES and path.name != "history.jsonl"
    )


def damage(generator, run, other):
    """Do one random damage to a run folder; return what was done."""
    name = generator.choice(parts(run))
    path, content = run / name, bytearray((run / name).read_bytes())
    kind = generator.choice(("flip", "cut", "swap", "field", "remove", "arrays"))
    match kind:
        case "flip":
            for _ in range(generator.choice((1, 1, 8))):
                content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
            path.write_bytes(content)
        case "cut":
            path.write_bytes(content[: generator.randrange(len(content))])
        case "swap" | "arrays":
            theirs = [p for p in parts(other) if p.suffix == name.suffix]
            same = other / name if (other / name).exists() else other / generator.choice(theirs)
            shutil.copy(same, path)
            if kind == "arrays":  # the whole checkpoint of the other run, with its index
                shutil.rmtree(run / "checkpoint")
                shutil.copytree(other / "checkpoint", run / "checkpoint")
        case "field":
            if name.suffix == ".json":
                change_field(generator, path)
            else:
                path.write_bytes(bytes(generator.randrange(256) for _ in range(50)))
        case "remove":
            path.unlink()
    return f"{kind} of {name}"


def change_field(generator, path):
    """Remove a field of a JSON file, or exchange its value for another."""
    value = json.loads(path.read_text())
    inside = value[0] if isinstance(value, list) else value
    while True:
        key = generator.choice(sorted(inside))
        if not isinstance(inside[key], dict) or not inside[key] or generator.random() < 0.5:
            break
        inside = inside[key]
    if generator.random() < 0.3:
        del inside[key]
    elif isinstance(inside[key], list) and generator.random() < 0.5:
        generator.shuffle(inside[key])
    else:
        inside[key] = generator.choice(
            (None, 0, -1, 10**9, "", "x", [], {}, True, 1.5, [[]], ["a"])
        )
    path.write_text(json.dumps(value))


@pytest.fixture(scope="module")
def networks():
    """Models by their options, since building one takes most of the time of loading a run."""
    return {}


def answer(run, which, networks, monkeypatch):
    """Return everything that a run gives: classes, words, weights, record, card."""
    build = research.models.registry.build

    def build_once(name, embeddings, length, classes, options):
        key = (name, embeddings.shape, length, classes, options)
        if key not in networks:
            networks[key] = build(name, embeddings, length, classes, options)
        return networks[key]

    monkeypatch.setattr(research.models.registry, "build", build_once)
    with checkpoints.opened(run, which) as checkpoint:
        classifier = Classifier.of(checkpoint)
        about = metadata.collect(checkpoint, classifier)
        return {
            "classifier": (classifier.config, classifier.classes, classifier.vocabulary),
            "weights": [np.asarray(w).tobytes() for w in classifier.model.get_weights()],
            "record": records.of_run(checkpoint, {}),
            "about": about,
            "scores": model_card.scores(checkpoint, about["origin"]),
        }


def test_a_damaged_run_gives_the_right_answer_or_one_line(runs, networks, tmp_path, monkeypatch):
    whole, other = runs
    right = {which: answer(whole, which, networks, monkeypatch) for which in ("best", "last")}
    generator = random.Random(0)
    run, outcomes = tmp_path / "run", {"right": 0, "refused": 0}
    contents = {path: (whole / path).read_bytes() for path in parts(whole)}
    for fault in range(FAULTS):
        shutil.rmtree(run, ignore_errors=True)
        for path, content in contents.items():
            (run / path).parent.mkdir(parents=True, exist_ok=True)
            (run / path).write_bytes(content)
        which = generator.choice(("best", "last"))
        what = f"fault {fault}, {which}: {damage(generator, run, other)}"
        try:
            received = answer(run, which, networks, monkeypatch)
        except (ValueError, OSError) as error:
            assert str(run) in str(error), f"{what}: {error}"
            assert len(str(error)) < 1_000, what
            outcomes["refused"] += 1
        else:
            assert received == right[which], what
            outcomes["right"] += 1
    assert min(outcomes.values()) > FAULTS // 50, outcomes
