"""Where a result comes from, above all the commit of the code that made it."""

import subprocess
from pathlib import Path

import pytest

from research.processes import hardware, provenance


def git(folder: Path, *arguments: str) -> str:
    author = ["-c", "user.name=nobody", "-c", "user.email=nobody@example.org"]
    return subprocess.run(
        ["git", "-C", str(folder), *author, *arguments], capture_output=True, text=True, check=True
    ).stdout.strip()


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a package, which stands for this project and its own."""
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    folder = tmp_path / "project"
    (folder / "research").mkdir(parents=True)
    (folder / "research" / "train.py").write_text("epochs = 20\n")
    (folder / "README.md").write_text("text\n")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "--message", "first")
    monkeypatch.setattr(provenance, "_PACKAGE", folder / "research")
    return folder


def copy_package(project: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the package into another folder, as an installation does."""
    folder.mkdir(parents=True, exist_ok=True)
    (project / "research").rename(folder / "research")
    monkeypatch.setattr(provenance, "_PACKAGE", folder / "research")


def test_the_commit_of_unchanged_files(project: Path) -> None:
    assert provenance.commit() == git(project, "rev-parse", "HEAD")
    (project / "README.md").write_text("other text\n")  # no code
    assert provenance.commit() == git(project, "rev-parse", "HEAD")


@pytest.mark.parametrize("name", ["train.py", "new.py"])
def test_changed_and_new_files_are_marked(name: str, project: Path) -> None:
    (project / "research" / name).write_text("epochs = 1\n")
    assert provenance.commit() == git(project, "rev-parse", "HEAD") + "+changes"


def test_outside_git_there_is_no_commit(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy_package(project, tmp_path / "elsewhere", monkeypatch)
    assert provenance.commit() is None


def test_the_repository_of_another_project_is_not_asked(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for place in ("vendored", ".venv/lib/python3/site-packages"):
        copy_package(provenance._PACKAGE.parent, project / place, monkeypatch)
        assert provenance.commit() is None


def test_a_repository_without_a_commit(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy_package(project, project / "new", monkeypatch)
    git(project / "new", "init", "--quiet")
    assert provenance.commit() is None


def test_without_git_there_is_no_commit(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(project))
    assert provenance.commit() is None


def test_versions_of_missing_packages_are_left_out() -> None:
    versions = provenance.versions(["numpy", "no-such-package"])
    assert versions.keys() == {"numpy"}


def test_an_environment_is_complete(project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["/somewhere/research/train.py", "r8", "--run-dir", "a b"])
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    environment = provenance.environment("jax", "cpu", ["numpy"])
    assert environment["command"] == "python -m research.train r8 --run-dir 'a b'"
    assert environment["commit"] == git(project, "rev-parse", "HEAD")
    assert (environment["backend"], environment["device"]) == ("jax", "cpu")
    assert environment["versions"].keys() == {"numpy"}
    assert environment["settings"]["OMP_NUM_THREADS"] == "2"
    assert all(environment[name] for name in ("started", "python", "system", "processor"))
    assert environment["cpu"] == hardware.describe()["cpu"]
    assert environment["memory_gib"] == hardware.describe()["memory_gib"]
