"""What is said of a corpus."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from research.data import corpora, description, newsgroups


def test_words_are_what_white_space_parts() -> None:
    assert description.word_counts(["", " one ", "one two\n\tthree"]).tolist() == [0, 1, 3]


def test_the_share_kept() -> None:
    assert description.share_kept(np.array([0, 2, 4, 10]), 4) == (0.75, 10 / 16)
    with pytest.raises(ValueError, match="sequence length of 1 or more, received 0"):
        description.share_kept(np.array([1]), 0)


def test_duplicates_are_counted() -> None:
    splits = {
        "train": corpora.Split("train", ["A  b", "c", "d"], np.zeros(3, np.int32)),
        "test": corpora.Split("test", ["a b", "a\nB", "e"], np.zeros(3, np.int32)),
    }
    assert description.duplicates(corpora.Corpus("", "", [], splits, "")) == (3, {"test": 2})


def test_cross_posts_are_counted() -> None:
    posts = [f"From: x\nmessage-id: <{i}>\n\nMessage-ID: <9>" for i in (1, 1, 1, 2, 2, 3)]
    assert description.cross_posts(["a", "b", "a", "a", "a", "b"], posts) == (1, 3)


def write_jsonl(path: Path, documents: list[tuple[str, str]]) -> Path:
    lines = (json.dumps({"text": text, "label": label}) for text, label in documents)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


def test_the_command_prints_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    documents = [(f"text {number} {'long ' * 300}", "ab"[number % 2]) for number in range(40)]
    documents += documents[:4]
    description.main("jsonl", write_jsonl(tmp_path / "a.jsonl", documents))
    printed = capsys.readouterr().out
    assert f"; from {tmp_path / 'a.jsonl'}\n" in printed
    assert "44 documents in 2 classes, 32/4/8 in train/validation/test\n" in printed
    assert "from 302 to 302" in printed
    assert "keeps 0.0% of the documents whole and 66.2% of all words" in printed
    assert "8 documents are the same as another" in printed
    assert "0 of validation are in train; 0 of test are in train" in printed
    assert all(letter.isprintable() or letter == "\n" for letter in printed)
    assert "─" not in printed


def test_the_command_runs(tmp_path: Path) -> None:
    """As a process, where `research.corpora` is `__main__` and imported as well."""
    path = write_jsonl(tmp_path / "a.jsonl", [(f"text {n}", "ab"[n % 2]) for n in range(40)])
    for name, code, stdout, stderr in (
        ("jsonl", 0, "40 documents in 2 classes", ""),
        ("jsnol", 1, "", "error: expected the corpus to be one of"),
    ):
        command = [sys.executable, "-m", "research.corpora", name, "--path", str(path)]
        finished = subprocess.run(command, capture_output=True, text=True, check=False)
        assert finished.returncode == code
        assert stdout in finished.stdout
        assert finished.stderr.startswith(stderr)
        assert finished.stderr.count("\n") == code  # one line for a mistake, else none


def test_cross_posts_are_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    posts = [f"Message-ID: <{n % 9}>\n\n" + f"line {n}\n" * 12 for n in range(10)]
    monkeypatch.setattr(news20, "read_posts", lambda _: (["a", "b"] * 5, posts))
    description.main("news20")
    assert "1 Message-IDs are in two classes or more (2 posts)" in capsys.readouterr().out


def test_a_corpus_cannot_command_the_terminal(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strange = "\x1b[31m[bold]red[/bold] \0 :car:"
    documents = [(f"{strange} {number}", f"{strange} {number % 2}") for number in range(40)]
    description.main("jsonl", write_jsonl(tmp_path / "a.jsonl", documents))
    printed = capsys.readouterr().out
    assert printed.count("?[31m[bold]red[/bold] ? :car: ") == 4  # two classes, and an example
    assert "\x1b" not in printed


def test_what_leaks_in_the_real_posts() -> None:
    if "RESEARCH_NEWS20" not in os.environ:
        pytest.skip("RESEARCH_NEWS20 does not name a newsgroups.tar.gz")
    path = Path(os.environ["RESEARCH_NEWS20"])
    tutorial = corpora.load("news20", path)
    assert description.duplicates(tutorial) == (1_243, {"validation": 211})
    assert description.cross_posts(*newsgroups.read_posts(path)) == (520, 1_046)
    clean = corpora.load("news20-clean", path, splits=None)
    assert description.duplicates(clean) == (1_313, {"validation": 0, "test": 0})
