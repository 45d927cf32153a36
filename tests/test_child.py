"""Child processes: what they print comes back, and how they fail is told in one line."""

from pathlib import Path

import pytest

from research.processes.child import ChildFailed, run_python


def test_stdout_comes_back() -> None:
    assert run_python(["-c", "import sys; print(sys.argv[1])", 3]) == "3\n"


def test_variables_are_added_to_those_of_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HERE", "1")
    monkeypatch.setenv("BOTH", "1")
    code = "import os; print(*(os.environ[name] for name in ('HERE', 'BOTH', 'THERE')))"
    assert run_python(["-c", code], {"BOTH": "2", "THERE": "3"}) == "1 2 3\n"


def test_the_working_folder(tmp_path: Path) -> None:
    printed = run_python(["-c", "import os; print(os.getcwd())"], folder=tmp_path)
    assert Path(printed.strip()).samefile(tmp_path)


@pytest.mark.parametrize(
    ("code", "reason", "output"),
    [
        ("import sys; print('out'); sys.exit('error: expected x')", "expected x", "error: exp"),
        ("raise ValueError('expected x')", "ValueError: expected x", "Traceback"),
        ("print('out'); raise SystemExit(3)", "out", "out\n"),
        ("raise SystemExit(3)", "no output", ""),
    ],
)
def test_a_failure_says_why(code: str, reason: str, output: str) -> None:
    with pytest.raises(ChildFailed) as raised:
        run_python(["-c", code])
    assert raised.value.reason == reason
    assert raised.value.output.startswith(output)
    assert f"({reason})" in str(raised.value)
    assert "\n" not in str(raised.value)


def test_a_failure_says_how_to_repeat_it() -> None:
    with pytest.raises(ChildFailed, match=r"exit code 1 .*; run it alone: python -c '1 / 0'$"):
        run_python(["-c", "1 / 0"])
    with pytest.raises(ChildFailed, match=r"run it alone: KERAS_BACKEND=jax python -c '1 / 0'$"):
        run_python(["-c", "1 / 0"], {"KERAS_BACKEND": "jax", "OTHER": "1"})


def test_a_process_that_does_not_end_is_killed() -> None:
    code = "import sys, time; print('started', file=sys.stderr, flush=True); time.sleep(3600)"
    with pytest.raises(ChildFailed, match=r"not finished after 1 s; run it alone: ") as raised:
        run_python(["-c", code], timeout_s=1)
    assert raised.value.reason == "not finished after 1 s"
    assert raised.value.output in ("started\n", "")  # "" if it took longer than that to start
