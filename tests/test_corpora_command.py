"""`python -m research.corpora`: what it prints about a corpus."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import Answer, assert_refused, python

from research import corpora as command
from research.data import newsgroups

Call = Callable[..., Answer]


def write_jsonl(path: Path, documents: list[tuple[str, str]]) -> Path:
    lines = (json.dumps({"text": text, "label": label}) for text, label in documents)
    path.write_text("\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("option", ["--path", "--corpus-path"])
def test_it_prints_plain_lines(option: str, tmp_path: Path, call: Call) -> None:
    documents = [(f"text {number} {'long ' * 300}", "ab"[number % 2]) for number in range(40)]
    documents += documents[:4]
    path = write_jsonl(tmp_path / "a.jsonl", documents)
    answer = call(command, "jsonl", option, path)
    assert (answer.code, answer.err) == (0, "")
    assert f"; from {path}\n" in answer.out
    assert "44 documents in 2 classes, 32/4/8 in train/validation/test\n" in answer.out
    assert "from 302 to 302" in answer.out
    assert "keeps 0.0% of the documents whole and 66.2% of all words" in answer.out
    assert "8 documents equal another one, except for case and white space" in answer.out
    assert "0 of validation are in train; 0 of test are in train" in answer.out
    assert all(letter.isprintable() or letter == "\n" for letter in answer.out)
    assert "─" not in answer.out


def test_columns_and_length_are_options(tmp_path: Path, call: Call) -> None:
    rows = [{"body": f"text {number}", "folder": "ab"[number % 2]} for number in range(40)]
    path = tmp_path / "a.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))
    columns = "--text-column", "body", "--label-column", "folder"
    answer = call(command, "jsonl", "--path", path, *columns, "--sequence-length", "1")
    assert answer.code == 0
    assert "a sequence length of 1 keeps 0.0% of the documents whole and 50.0%" in answer.out


def test_it_runs_as_a_process(tmp_path: Path) -> None:
    path = write_jsonl(tmp_path / "a.jsonl", [(f"text {n}", "ab"[n % 2]) for n in range(40)])
    answer = python("-m", "research.corpora", "jsonl", "--path", path)
    assert (answer.code, answer.err) == (0, "")
    assert "40 documents in 2 classes" in answer.out
    answer = python("-m", "research.corpora", "jsnol", "--path", path)
    assert_refused(answer, "expected the corpus to be one of", "did you mean 'jsonl'?")
    assert answer.err.count("\n") == 1


def test_its_help_lists_the_corpora_within_80_columns() -> None:
    answer = python("-m", "research.corpora", "--help", environment={"COLUMNS": "80"})
    assert answer.code == 0
    assert answer.out.startswith("usage: python -m research.corpora [-h] [OPTIONS] NAME\n")
    assert "--path PATH, --corpus-path PATH" in answer.out
    assert "news20-bydate: 20 Newsgroups" in answer.out
    boxed = [line for line in answer.out.splitlines() if line.startswith(("│", "╭", "╰"))]
    assert boxed
    assert {len(line) for line in boxed} == {80}


def test_cross_posts_are_shown(monkeypatch: pytest.MonkeyPatch, call: Call) -> None:
    posts = [f"Message-ID: <{n % 9}>\n\n" + f"line {n}\n" * 12 for n in range(10)]
    monkeypatch.setattr(newsgroups, "read_posts", lambda _: (["a", "b"] * 5, posts))
    answer = call(command, "news20")
    assert "1 Message-IDs are in two classes or more (2 posts)" in answer.out


def test_a_path_cannot_control_the_terminal(tmp_path: Path, call: Call) -> None:
    path = write_jsonl(
        tmp_path / "\x1b[31m\udcff.jsonl", [(f"text {n}", "ab"[n % 2]) for n in range(40)]
    )
    answer = call(command, "jsonl", "--path", path)
    assert r"; from " + str(tmp_path) + r"/\x1b[31m\udcff.jsonl" in answer.out
    assert "\x1b" not in answer.out


def test_a_corpus_cannot_control_the_terminal(tmp_path: Path, call: Call) -> None:
    strange = "\x1b[31m[bold]red[/bold] \0 :car:"
    documents = [(f"{strange} {number}", f"{strange} {number % 2}") for number in range(40)]
    printed = call(command, "jsonl", "--path", write_jsonl(tmp_path / "a.jsonl", documents)).out
    shown = r"\x1b[31m[bold]red[/bold] \x00 :car: "
    assert printed.count(shown) == 4  # two classes, and an example
    assert "\x1b" not in printed
