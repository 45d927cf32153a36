"""docs/limits.md holds: what it bounds gets no more address space than it says."""

import hashlib
import io
import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Answer, arrays_of, assert_refused, python

from research import train
from research.config import Config
from research.files import atomic, sealed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="Linux counts address space"),
]

LIMITED = """
import resource

pages = int(open("/proc/self/statm").read().split()[0])
resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + {megabytes} * 10**6,) * 2)
"""

# All that a command needs is loaded before the limit counts, and has been used once.
LOAD = """
import sys
from pathlib import Path

import research
from research.processes import command
from research.processes.memory import keep_freed_memory

keep_freed_memory()
run = research.load(Path(sys.argv[1]))
"""
LABEL = LOAD + 'run.predict(["the moon"])\n'


def limited(before: str, megabytes: int, after: str, *arguments: object) -> Answer:
    """Run Python code, the second part of it with so many megabytes more than the first took."""
    return python("-c", before + LIMITED.format(megabytes=megabytes) + after, *arguments)


@pytest.fixture(scope="module")
def run(tiny, tmp_path_factory):
    return train.train("tiny", Config(**tiny), tmp_path_factory.mktemp("limits") / "run")


# --- reading -------------------------------------------------------------------------------------

READ = """
import sys
from pathlib import Path

import pyarrow.csv
from research.data import readers
from research.processes import command
"""


@pytest.fixture(scope="module")
def wide_table(tmp_path_factory):
    """A CSV of 50 MB: 13 MB of texts, and 100 columns that nobody asked for."""
    path = tmp_path_factory.mktemp("table") / "wide.csv"
    others = [f"column{number}" for number in range(100)]
    filler = ",".join(["some"] * 100)
    with path.open("w") as file:
        file.write(f"text,label,{','.join(others)}\n")
        for row in range(70_000):
            file.write(f"{'orbit moon rocket launch shuttle ' * 6},class{row % 5},{filler}\n")
    return path


def test_a_table_takes_the_memory_of_its_texts(wide_table):
    work = "print(len(readers.read('csv', Path(sys.argv[1]))[0]))"
    answer = limited(READ, 30, work, wide_table)
    assert answer.out == "70000\n", answer.err


def test_a_text_that_does_not_fit_is_one_line(tmp_path):
    path = tmp_path / "long.csv"
    path.write_text("text,label\n" + "moon " * 16_000_000 + ",space\n")  # one text of 80 MB
    work = "command.guard(lambda: readers.read('csv', Path(sys.argv[1])))"
    assert_refused(limited(READ, 60, work, path), "expected enough memory")


# --- run folders of others -----------------------------------------------------------------------


def forge(run, change):
    """Change the index of a checkpoint and seal it again, as a stranger could."""
    path = run / "checkpoint" / "index.json"
    index = json.loads(path.read_text())
    del index["sha256"]
    change(index)
    atomic.write_json(path, sealed.seal(index))


def arrays_of_eight_gigabytes(run):
    """An archive in order, but for a header that promises more numbers than there are."""
    array, archive = io.BytesIO(), io.BytesIO()
    header = {"descr": "<f8", "fortran_order": False, "shape": (10**9,)}
    np.lib.format.write_array_header_1_0(array, header)
    with zipfile.ZipFile(archive, "w") as file:
        for name in arrays_of(run, "best"):
            file.writestr(f"{name}.npy", array.getvalue() + bytes(8))
    content = archive.getvalue()
    name = f"{hashlib.sha256(content).hexdigest()}.npz"
    (run / "checkpoint" / name).write_bytes(content)
    forge(run, lambda index: index["files"].update(best=name))


def word_of_twenty_megabytes(run):
    content = (run / "vocabulary.txt").read_bytes() + b"a" * 20_000_000 + b"\n"
    (run / "vocabulary.txt").write_bytes(content)
    digest = hashlib.sha256(content).hexdigest()
    forge(run, lambda index: index["inputs"].update({"vocabulary.txt": [digest]}))


def endless_arrays(run):
    name = f"{'0' * 64}.npz"
    (run / "checkpoint" / name).symlink_to("/dev/zero")
    forge(run, lambda index: index["files"].update(best=name))


def test_a_run_folder_of_others_is_refused_within_30_megabytes(run, tmp_path):
    folders = []
    for harm in (arrays_of_eight_gigabytes, word_of_twenty_megabytes, endless_arrays):
        folders.append(shutil.copytree(run, tmp_path / harm.__name__))
        harm(folders[-1])
    answer = limited(LOAD, 30, LOAD_EACH, run, *folders)
    assert answer.code == 0, answer.err
    causes = ("instead of 8,000,000,", "of up to 1,000 bytes", "is a device")
    for folder, cause, line in zip(folders, causes, answer.out.splitlines(), strict=True):
        assert line.startswith("expected "), line
        assert str(folder) in line
        assert cause in line


LOAD_EACH = """
for folder in sys.argv[2:]:
    try:
        research.load(Path(folder))
    except (ValueError, OSError) as error:
        print(error)
"""


# --- labelling -----------------------------------------------------------------------------------


def test_labelling_takes_the_memory_of_a_thousand_lines(run, tmp_path):
    source = LABEL + LIMITED.format(megabytes=30) + PREDICT
    lines = ("orbit moon rocket launch shuttle " * 30 + "\n") * 20_000  # 20 MB
    answer = python("-c", source, run, stdin=lines)
    assert answer.code == 0, answer.err
    assert answer.out.count("\n") == 20_000


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_labelling_a_file_takes_the_memory_of_a_thousand_rows(run, tmp_path, suffix):
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    text = "orbit moon rocket launch shuttle " * 30
    if suffix == ".csv":
        source.write_text("text\n" + f"{text}\n" * 40_000)  # 40 MB
    else:
        source.write_text((json.dumps({"text": text}) + "\n") * 40_000)
    imports = "from research import predict\nfrom research.data import labelled_tables\n"
    imports += "import pyarrow.parquet\n"
    code = LABEL + imports + LIMITED.format(megabytes=30) + PREDICT_FILE
    answer = python("-c", code, run, source, target)
    assert answer.code == 0, answer.err
    assert answer.out.endswith(": 40,000 rows\n")


PREDICT_FILE = """
files = ["--input", sys.argv[2], "--output", sys.argv[3]]
sys.argv = ["research/predict.py", sys.argv[1], *files]
command.run(predict.main, prints_only=True)
"""


def test_a_line_without_end_is_refused(run):
    source = LABEL + LIMITED.format(megabytes=250) + PREDICT
    with Path("/dev/zero").open() as endless:
        process = subprocess.run(
            [sys.executable, "-c", source, str(run)],
            stdin=endless,
            capture_output=True,
            text=True,
            check=False,
            cwd=ROOT,
        )
    answer = Answer(process.returncode, process.stdout, process.stderr)
    assert_refused(answer, "at most 100,000,000 bytes in a line of standard input")


PREDICT = """
from research import predict

sys.argv = ["research/predict.py", sys.argv[1]]
command.run(predict.main, prints_only=True)
"""


# --- pictures ------------------------------------------------------------------------------------

DRAW = """
import sys
from pathlib import Path

import numpy as np
from research.evaluation import figures

folder = Path(sys.argv[1])


def draw(classes):
    labels = np.repeat(np.arange(classes), 3)
    names = [f"class {number}" for number in range(classes)]
    figures.confusion_matrix(labels, labels[::-1], names, folder / f"of {classes}")


draw(3)
"""


def test_a_confusion_matrix_of_many_classes_takes_little(tmp_path):
    answer = limited(DRAW, 300, "draw(3_000)", tmp_path)
    assert answer.code == 0, answer.err
    assert (tmp_path / "of 3000.png").stat().st_size < 10_000_000


# --- artefacts -----------------------------------------------------------------------------------

ARTEFACT = """
import sys

import numpy as np
import onnxruntime

options = onnxruntime.SessionOptions()
options.intra_op_num_threads = options.inter_op_num_threads = 1
session = onnxruntime.InferenceSession(sys.argv[1], options)


def label(texts):
    return session.run(["label"], {"texts": np.array(texts, object)})[0]


label(["the moon"])
"""


def test_an_onnx_artefact_takes_the_memory_of_its_longest_text(run, tmp_path):
    pytest.importorskip("onnxscript")
    output = tmp_path / "model.onnx"
    answer = python("-m", "research.export", run, "--format", "onnx", "--output", output)
    assert answer.code == 0, answer.err
    work = "print(len(label(['moon ' * 200_000] + ['the moon'] * 999)))"
    answer = limited(ARTEFACT, 200, work, output)
    assert answer.out == "1000\n", answer.err
