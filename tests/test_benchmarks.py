"""The benchmark suite: peers compute the same, what a step is, and what a table says."""

import dataclasses
import json
import os
import sys

import numpy as np
import pytest
from conftest import options, python
from suite_records import ABOUT

from benchmarks import arithmetic, machine, peers, run, scale, serving, subjects, table, workload
from benchmarks import record as records
from benchmarks.effort import EFFORTS
from benchmarks.points import BASE, DESIGN, Point
from benchmarks.tables import scale as scale_table
from benchmarks.tables import serving as serving_table
from benchmarks.tables import step_times
from research import train
from research.data import tokens
from research.models import registry
from research.processes import backends, hardware
from research.serving import runtimes

BACKEND = backends.select()
TINY = workload.load(Point(embedding_dim=8), is_tiny=True)
TINY_KIM = workload.load(Point(model="kim", embedding_dim=8), is_tiny=True)
# Without torch.compile, which would take most of the time. The benchmark itself checks it.
MODES = {"tensorflow": ["function", "xla"], "jax": ["jit", "scan"], "torch": ["eager"]}


def unit_times(*ms):
    return {
        "median": ms[1],
        "first_quartile": ms[0],
        "third_quartile": ms[2],
        "minimum": ms[0],
        "n": 3,
        "medians_of_processes": list(ms),
    }


def row(framework, name, kind, times, **more):
    training = {"precision": "float32", "jit": "XLA", "check": None, "matmul_gflops": [90.0, 100.0]}
    training |= {"units_per_round": 4, "gflop_per_round": 8.0, "first_call_s": [3.0, 1.0, 2.0]}
    of_row = {"framework": framework, "backend": framework, "name": name, "kind": kind}
    return of_row | training | {"unit_time_ms": unit_times(*times)} | more


RECORD = {
    "about": ABOUT,
    "method": {"processes": 3},
    "machine": {
        "processor": "Some CPU",
        "threads": 2,
        "devices": {"jax": "cpu: cpu"},
        "commit": "c0ffee",
    },
    "doubts": [],
    "left_out": [{"subject": "torch", "reason": "not installed"}],
    "rows": [
        row("jax", "model.fit", "fit", (70, 80, 90)),
        row("jax", "our step", "ours", (39.96, 40, 41.04)),
        row("jax", "native, jit", "peer", (49, 50, 51), check={"loss": 1e-7, "step": 2e-6}),
        row(
            "numpy",
            "vectors_from the cache",
            "inference",
            (0.25, 0.5, 1),
            units_per_round=2000,
            gflop_per_round=None,
            matmul_gflops=[None],
        ),
    ],
}

TRAINING_TABLE = """\
## Some CPU, 2 threads, 50 dimensions, batch 128

| framework | what | precision | jit | ms/step [quartiles] | n | first call (s) | of the limit \
| against model.fit | against the best native |
|---|---|---|---|---:|---:|---:|---:|---:|---:|
| jax | our step | float32 | XLA | 40.0 [40.0, 41.0] | 3 | 2.0 | 50% | 2.00x | 1.25x |
| jax | native, jit | float32 | XLA | 50.0 [49.0, 51.0] | 3 | 2.0 | 40% | 1.60x | 1.00x |
| jax | model.fit | float32 | XLA | 80.0 [70.0, 90.0] | 3 | 2.0 | 25% | 1.00x | 0.62x |

| framework | what | items | ms [quartiles] | n | items/s | against the reference |
|---|---|---:|---:|---:|---:|---:|
| numpy | vectors_from the cache | 2,000 | 1000.0 [500.0, 2000.0] | 3 | 2,000 | – |
"""  # noqa: RUF001


@pytest.mark.backend
@pytest.mark.parametrize("mode", MODES[BACKEND])
@pytest.mark.parametrize("data", [TINY, TINY_KIM], ids=["tutorial", "kim"])
@pytest.mark.slow
def test_a_native_peer_computes_what_our_model_computes(data, mode):
    from benchmarks import equality

    differences = equality.differences(data, mode)
    assert differences.keys() == {"loss", "gradients", "step"}
    assert max(differences.values()) <= equality.TOLERANCE


@pytest.mark.backend
@pytest.mark.slow
def test_a_peer_that_computes_something_else_is_found(monkeypatch):
    from benchmarks import equality

    native = peers.native(BACKEND)
    monkeypatch.setattr(native, "_EPSILON", 1e-8)  # that of PyTorch
    differences = equality.differences(TINY, MODES[BACKEND][0])
    assert differences["step"] > 10 * equality.TOLERANCE
    assert differences["gradients"] <= equality.TOLERANCE

    # Another network: a kernel that is reversed in time.
    kernel = "convolution_2/kernel"

    class Turned(native.Peer):
        def __init__(self, weights, dropout, mode):
            super().__init__(weights | {kernel: weights[kernel][::-1].copy()}, dropout, mode)

    monkeypatch.setattr(native, "Peer", Turned)
    differences = equality.differences(TINY, MODES[BACKEND][0])
    assert min(differences["loss"], differences["gradients"]) > 10 * equality.TOLERANCE


@pytest.mark.backend
def test_a_peer_trains():
    from benchmarks import equality

    peer = equality.peer(TINY, MODES[BACKEND][0])
    batches = peer.put(TINY.token_ids[None, :16], TINY.labels[None, :16])
    first = peer.train(batches)
    assert min(peer.train(batches) for _ in range(20)) < first / 2


@pytest.mark.backend
def test_the_products_of_the_tutorials_step():
    model = registry.build("tutorial", workload.random_vectors(50, 100), 200, 20)
    # Multiplications: 196, 35 and 3 positions of three convolutions, and two dense layers.
    first = 196 * 5 * 100 * 128
    others = (35 + 3) * 5 * 128 * 128 + 128 * 128 + 128 * 20
    # Each with an addition, forward and backward. The first layer has no gradient of its input.
    assert arithmetic.training_flop(model, 200) == 2 * (2 * first + 3 * others)
    assert 128 * arithmetic.training_flop(model, 200) == pytest.approx(8.8e9, rel=5e-3)


def test_random_vectors_are_zero_for_padding():
    vectors = workload.random_vectors(10, 4)
    assert (vectors[:2] == 0).all()
    assert (vectors[2:] != 0).all()
    with pytest.raises(ValueError, match="embedding_dim of 1 or more, received 0; use 50"):
        workload.load(Point(embedding_dim=0), is_tiny=True)


def test_random_texts_have_their_token_ids():
    token_ids = tokens.encode(TINY.texts, TINY.vocabulary, TINY.token_ids.shape[1])
    assert (token_ids == TINY.token_ids).all()


def test_a_warm_up_ends_when_three_rounds_agree(monkeypatch):
    from benchmarks import timing

    seconds = iter([9.0, 2.0, 1.0, 1.04, 1.0])
    monkeypatch.setattr(timing, "timed", lambda call: next(seconds))
    assert timing.warm_up(lambda: None, limit_s=100) == [9.0, 2.0, 1.0, 1.04, 1.0]
    seconds = iter([9.0, 2.0, 1.0])
    assert timing.warm_up(lambda: None, limit_s=10) == [9.0, 2.0]
    assert not timing.is_steady([1.0, 1.0])
    assert not timing.is_steady([1.0, 1.06, 1.0])


def test_how_long_and_how_many_rounds_are(monkeypatch):
    from benchmarks import timing

    counts = {
        name: [timing.round_count(s, e) for s in (10, 0.5, 0.001)] for name, e in EFFORTS.items()
    }
    quick = {"point": [4, 4, 10], "quick": [5, 5, 10], "tiny": [2, 2, 2]}
    assert counts == {"full": [3, 4, 20]} | quick
    for step_s, steps in ((4, 1), (0.1, 5), (0.001, 8)):
        seconds = iter([30.0, step_s])
        monkeypatch.setattr(timing, "timed", lambda call, seconds=seconds: next(seconds))
        assert timing.steps_in_a_round(lambda count: None, most=8) == (steps, 30.0)


@pytest.mark.parametrize(
    ("step_s", "steps_of"),
    [
        (0.05, {"full": 40, "quick": 30}),
        (0.7, {"full": 11, "quick": 2}),
        (20.0, {"full": 1, "quick": 1}),
    ],
)
def test_a_slow_step_makes_epochs_shorter_but_rounds_no_fewer(monkeypatch, step_s, steps_of):
    from benchmarks import timing

    trained = []
    monkeypatch.setattr(timing, "timed", lambda call: call() or trained[-1] * step_s)
    for name, steps in steps_of.items():
        effort = EFFORTS[name]
        assert timing.steps_in_an_epoch(trained.append, 40, effort) == (steps, step_s)
        assert trained[-2:] == [1, 8]
        rounds = timing.round_count(steps * step_s, effort)
        assert rounds >= effort.least_rounds
        if step_s < 1:  # a minute in each process, with the probe and a round to warm up
            assert step_s * (1 + 8 + steps * (1 + rounds)) < {"full": 60, "quick": 20}[name]


def test_all_processes_together_have_rounds_for_quartiles():
    assert EFFORTS["full"].least_rounds * 2 >= 5
    assert EFFORTS["quick"].least_rounds >= 5


def test_a_busy_or_changing_machine_is_doubtful():
    rows = [{"backend": "jax", "matmul_gflops": [100, None]}]
    rows += [{"backend": "torch", "matmul_gflops": [180]}]  # another library, no doubt
    assert machine.doubts(1.0, 2, rows) == []
    assert machine.doubts(None, 2, rows) == []
    assert machine.doubts(1.1, 2, rows) == [
        "the machine was busy before the first process: load average 1.10 on 2 cores"
    ]
    rows += [{"backend": "jax", "matmul_gflops": [116]}]
    (doubt,) = machine.doubts(0, 2, rows)
    assert "on jax went from 100 to 116 GFLOP/s" in doubt


def test_it_waits_for_a_machine_that_is_still_busy(monkeypatch):
    loads, waits = iter([3.0, 1.5, 0.9, 0.8]), []
    monkeypatch.setattr(machine, "load_average", lambda: next(loads))
    monkeypatch.setattr(machine.time, "sleep", waits.append)
    assert machine.wait_until_quiet(cores=2) == 0.8
    assert waits == [5, 5]
    monkeypatch.setattr(machine, "load_average", lambda: 9.0)
    assert machine.wait_until_quiet(cores=2) == 9.0
    assert sum(waits[2:]) == 120


def test_every_library_gets_the_same_threads():
    settings = machine.settings(3)
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    assert [settings[name] for name in names] == ["3", "3", "3"]
    assert settings["NVIDIA_TF32_OVERRIDE"] == "0"


def test_a_process_that_fails_says_why(tmp_path):
    with pytest.raises(ValueError, match=r"exit code 1 \(no peer\); run it alone: KERAS_BACK"):
        run._python(["-c", "raise SystemExit('no peer')"], BACKEND, {})
    # A test's reason is on stdout, whatever a library prints to stderr.
    test = (
        "import sys\ndef test():\n  sys.__stderr__.write('a warning')\n  assert 1 == 2, 'not equal'"
    )
    (tmp_path / "test_it.py").write_text(test)
    arguments = ["-m", "pytest", "-q", "-s", "--tb=short", "-p", "no:cacheprovider", tmp_path]
    with pytest.raises(ValueError, match=r"^AssertionError: not equal assert 1 == 2: a child"):
        run._python(arguments, BACKEND, {})


def test_what_is_not_installed_or_not_asked_for_is_named():
    devices = {"jax": "cpu: cpu"}
    planned, left_out = subjects.select(subjects.on_backends(devices), devices, "")
    reasons = {left["subject"]: left["reason"] for left in left_out}
    assert reasons["tensorflow"] == reasons["torch"] == "not installed"
    assert "TensorFlow, which is not installed" in reasons["jax: strings to labels, ours"]
    assert "for a CPU" in reasons["jax: native, scan"]
    assert planned
    assert not any(subject.reads_strings for subject in planned)
    devices = {"jax": "gpu: some GPU"}
    planned, _ = subjects.select(subjects.on_backends(devices), devices, "native")
    names = [subject.name for subject in planned]
    assert names == ["native, jit", "native, scan"]
    with pytest.raises(
        ValueError, match="match something, received 'nonesuch'; match one of jax: our"
    ):
        subjects.select(subjects.on_backends(devices), devices, "nonesuch")


def test_a_process_times_one_subject_or_few_in_a_random_order():
    planned = subjects.on_backends(["jax", "torch"])
    jobs = run._jobs(planned, 3, seed=0, effort="full", threads=2)
    timed = [subject for job in jobs for subject in job.subjects]
    assert all(timed.count(subject) == 3 for subject in planned)
    assert len(timed) == 3 * len(planned)
    assert all(len({subject.process for subject in job.subjects}) == 1 for job in jobs)
    assert jobs == run._jobs(planned, 3, seed=0, effort="full", threads=2)
    assert jobs != run._jobs(planned, 3, seed=1, effort="full", threads=2)
    quick = run._jobs(planned, 1, seed=0, effort="quick", threads=2)
    assert sorted(job.subjects[0].backend for job in quick) == ["jax", "tensorflow", "torch"]
    first = [job.subjects[0] for job in quick if job.subjects[0].backend != "tensorflow"]
    assert [subject.name for subject in first] == 2 * ["model.fit"]


def test_each_point_is_timed_once_on_each_backend_in_a_process_of_its_own():
    planned = subjects.at_points(["jax", "torch"])
    jobs = run._jobs(planned, 3, seed=0, effort="full", threads=2)
    assert len(jobs) == 2 * len(DESIGN)
    assert {job.effort for job in jobs} == {"point"}
    for job in jobs:
        (point,) = {subject.point for subject in job.subjects}
        assert job.threads == (point.threads or 2)
        kinds = [subject.kind for subject in job.subjects]
        # A network without a peer has two rows. What keeps freed memory comes after what does not.
        assert kinds == ["fit", "ours"] if point.model == "wide-deep" else ["fit", "peer", "ours"]
    (job,) = (job for job in jobs if job.title.startswith("jax: model.fit (batch size 32);"))
    assert job.subjects[0].point == Point(batch_size=32)


def test_the_design_changes_one_size_of_the_base_or_says_that_it_changes_two():
    for point, axes in DESIGN.items():
        changed = [
            name
            for name, value in dataclasses.asdict(point).items()
            if value != getattr(BASE, name)
        ]
        if axes == ("interaction",):
            assert len(changed) == 2
        elif point != BASE:
            assert tuple(changed) == axes
    assert set(DESIGN[BASE]) == set(dataclasses.asdict(BASE))


@pytest.mark.backend
@pytest.mark.parametrize("model", registry.MODELS)
def test_the_arithmetic_of_each_model_is_that_of_its_layers(model):
    point = Point(model=model, embedding_dim=8)
    network = workload.network(workload.load(point, is_tiny=True))
    flop = arithmetic.training_flop(network, 150)
    products = {  # multiplications of a forward pass: above word vectors, and above other layers
        "tutorial": (146 * 5 * 8 * 128, (25 + 1) * 5 * 128 * 128 + 128 * 128 + 128 * 3),
        "kim": (150 * (3 + 4 + 5) * 8 * 100, 300 * 3),
        "wide-deep": (0, 150 * (1 + 3) * (8 + 3) * 128 + 4 * 128 * 3),  # vectors are fine-tuned
    }[model]
    assert flop == 2 * (2 * products[0] + 3 * products[1])
    float32 = arithmetic.training_bytes(network, 150, 16)
    weights = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert float32 > 4 * 7 * weights
    bfloat16 = arithmetic.training_bytes(network, 150, 16, activation_bytes=2)
    assert 2 * (bfloat16 - 28 * weights) == float32 - 28 * weights


def test_a_quick_run_times_the_main_rows_on_each_backend():
    devices = {"tensorflow": "cpu: cpu", "jax": "cpu: cpu", "torch": "cpu: cpu"}
    planned, _ = subjects.select(subjects.on_backends(devices), devices, subjects.MAIN)
    assert [subject.name.split(",")[0] for subject in planned] == 3 * [
        "our step",
        "our epoch",
        "model.fit",
        "native",
    ]


def test_a_record_is_named_after_what_tells_machines_apart(monkeypatch):
    cpu = {"family": "25", "model": "17", "stepping": "1", "instructions": ["AVX512-BF16"]}
    monkeypatch.setattr(
        records.hardware, "describe", lambda: {"processor": "AMD EPYC", "cpu": cpu, "memory_gib": 8}
    )
    name = "amd-epyc-family-25-model-17-stepping-1-avx512-bf16-50d.json"
    on_cpu = {"torch": "cpu: cpu"}
    assert records.path(on_cpu, 50, is_full=True).as_posix() == f"results/benchmarks/{name}"
    assert records.path(on_cpu, 50, is_full=False).as_posix() == f"runs/benchmarks/{name}"
    on_gpu = {"torch": "gpu: NVIDIA H100"}
    assert records.path(on_gpu, 50, is_full=True).name == "nvidia-h100-50d.json"


def test_a_table_says_what_the_record_says():
    text = step_times.markdown_section(RECORD, "some-cpu-50d.json")
    assert text.startswith(TRAINING_TABLE)
    assert "2.00 GFLOP take 20.0 ms at 100 GFLOP/s, the best rate" in text
    assert "without dropout: jax native, jit 2e-06." in text
    assert "- Left out: torch: not installed." in text
    assert "Doubtful" not in text
    assert "It names the processor without family and model." in text
    assert "fewer steps, since steps are slow: jax model.fit 4." in text
    assert "**Doubtful:** busy." in step_times.markdown_section(RECORD | {"doubts": ["busy"]}, "")


def test_a_table_says_which_of_the_processors_of_a_name_it_was():
    cpu = {"vendor": "AuthenticAMD", "family": "25", "model": "17", "instructions": ["AVX2"]}
    known = RECORD | {"machine": RECORD["machine"] | {"cpu": cpu}}
    text = step_times.markdown_section(known, "some-cpu-50d.json")
    assert text.startswith("## Some CPU (family 25, model 17, AVX2), 2 threads, 50 dimensions")
    assert "without family and model" not in text


def test_times_are_printed_without_a_table():
    heading, first, *_ = step_times.plain(RECORD).splitlines()
    assert heading == "Some CPU, 2 threads, 50 dimensions, batch 128"
    assert " ".join(first.split()) == "jax our step 40.0 [40.0, 41.0] ms/step n = 3"


def test_latex_has_the_same_cells_escaped():
    text = step_times.latex_section(RECORD, "some-cpu-50d.json")
    cells = r"our step & jax & 40.0 [40.0, 41.0] & 3 & 2.0 & 50\% & 2.00x & 1.25x \\"
    assert cells in text
    assert r"vectors\_from the cache & numpy & 2,000" in text
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 2
    for label in ("training-some-cpu-50d", "inference-some-cpu-50d"):
        assert rf"\label{{tab:{label}}}" in text
    assert text.count(r"\caption{") == 2


def test_the_command_makes_tables_and_a_figure_of_all_records(tmp_path, capsys):
    with pytest.raises(ValueError, match=r"expected a record in .*; python -m benchmarks.run"):
        table.main(tmp_path, tmp_path)
    slow = row("torch", "native, eager", "peer", (900, 999, 1000))
    other = RECORD | {"machine": RECORD["machine"] | {"processor": "Another CPU"}}
    both = ("a", RECORD), ("c", RECORD | {"rows": [*RECORD["rows"], slow]})
    for name, record in (*both, ("b", other)):
        (tmp_path / f"{name}.json").write_text(json.dumps(record))
    table.main(tmp_path, tmp_path)
    text = (tmp_path / "tables" / "step_time.md").read_text()
    headings = [line.partition(",")[0] for line in text.splitlines() if line.startswith("## ")]
    assert headings == ["## Another CPU", "## Some CPU", "## Some CPU"]
    assert "| native, eager | float32 | XLA | 999.0 [900.0, 1000.0] | 3 | 2.0 | 2% |" in text
    svg = (tmp_path / "figures" / "step_time.svg").read_text()
    assert svg.count("<!-- jax: our step -->") == 3
    assert (tmp_path / "figures" / "step_time.png").read_bytes().startswith(b"\x89PNG")
    table.main(tmp_path, tmp_path)
    assert (tmp_path / "figures" / "step_time.svg").read_text() == svg


def test_repeated_texts_are_as_many_as_asked_for_and_none_is_stored():
    texts = scale.Repeated(["a", "b", "c"], 1000)
    assert len(texts) == len(list(texts)) == 1000
    assert set(texts) == {"a", "b", "c"}
    assert [texts[i] for i in range(10)] == texts[:10] == list(texts)[:10]


PEAKS = """
import sys, time
import numpy as np
from benchmarks.peak_memory import PeakMemory

with PeakMemory() as of_array:
    array = np.ones(8_000_000)  # 61 MB
    time.sleep(0.1)
    del array
with PeakMemory() as of_file:
    mapped = np.lib.format.open_memmap(sys.argv[1], "w+", np.float64, (8_000_000,))
    mapped[:] = 1
    time.sleep(0.1)
print(of_array.over_start_mb, of_file.over_start_mb)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="private memory is read on Linux")
def test_peak_memory_is_that_of_arrays_and_not_of_mapped_files(tmp_path):
    # In a process of its own, which has no freed memory to use again.
    answer = python("-c", PEAKS, tmp_path / "a.npy")
    of_array, of_file = map(float, answer.out.split())
    assert 50 < of_array < 75
    assert of_file < 10


def test_the_table_of_scale_says_what_the_record_says():
    cost = {"us_per_document": 12.4, "peak_mb": 7.6}
    record = {
        "processor": "Some CPU",
        "threads": 2,
        "load_before": 0.125,
        "commit": "c0ffee",
        "rows": [{"documents": 20_000, "learn": cost, "encode": cost, "train": cost}],
        "tokenizing": {
            "documents": 15_998,
            "ours": [{"seconds": s, "peak_mb": 70 + s} for s in (1.0, 3.0, 2.0)],
            "tutorial": [{"seconds": 40.0, "peak_mb": 10_000.0}],
        },
    }
    text = scale_table.page(record)
    assert "| `research.data.tokens` | 2.0 [1.0, 3.0] | 73 |" in text
    assert "| the tutorial's way | 40.0 [40.0, 40.0] | 10,000 |" in text
    assert "Our code takes 0.050 of the tutorial's time" in text
    assert "| 20,000 | 12 | 8 | 12 | 8 | 12 | 8 |" in text
    assert "Some CPU, 2 threads, load average 0.12 before the first process, commit c0ffee." in text


def test_the_table_of_serving_says_what_the_record_says():
    latency = [[[1, 0.25], [256, 20.0]], [[1, 0.35], [256, 50.0]], [[1, 0.3], [256, 40.0]]]
    record = {
        "run": {"model": "tutorial", "corpus": "r8", "texts": 256},
        "machine": {"processor": "Some CPU", "threads": 2, "commit": "c0ffee"},
        "load_before": 0.125,
        "doubts": ["the machine was busy"],
        "processes": 3,
        "rows": [
            {"name": "model.predict", "takes": "token ids", "latency_ms": latency},
            {"name": "onnx", "takes": "texts", "size_mb": 4.56, "latency_ms": latency},
            {"name": "litert", "takes": "token ids", "latency_ms": [], "left_out": "no such"},
        ],
    }
    text = serving_table.page(record)
    assert "| what | takes | MB | ms, 1 text | ms, 256 texts | texts/s |" in text
    cells = "0.30 [0.25, 0.35] | 40.0 [20.0, 50.0] | 6,400 |"
    assert f"| model.predict | token ids |  | {cells}" in text
    assert f"| onnx | texts | 4.6 | {cells}" in text
    assert "Some CPU, 2 threads, load average 0.12 before the first process, commit c0ffee." in text
    assert text.endswith("Doubtful: the machine was busy.\n\nLeft out:\n\n- `litert`: no such\n")


def test_committed_tables_and_figures_are_those_of_the_records(tmp_path):
    results = run.ROOT / "results"
    for record in results.glob("*.json"):
        (tmp_path / record.name).write_bytes(record.read_bytes())
    table.main(results / "benchmarks", tmp_path)
    assert {path.name for path in (tmp_path / "tables").iterdir()} >= {"step_time.tex", "scale.md"}
    for name in (f"tables/{path.name}" for path in (tmp_path / "tables").iterdir()):
        assert (tmp_path / name).read_text() == (results / name).read_text(), f"run {name} again"
    for name in (f"figures/{path.name}" for path in (tmp_path / "figures").glob("*.svg")):
        assert (tmp_path / name).read_bytes() == (results / name).read_bytes(), f"run {name} again"


@pytest.mark.backend
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="private memory is read on Linux")
def test_the_cost_of_a_corpus_is_measured(monkeypatch):
    monkeypatch.setenv("RESEARCH_CACHE", "")  # so that it is restored afterwards
    point = dataclasses.replace(TINY.point, batch_size=2)
    monkeypatch.setattr(workload, "load", lambda: dataclasses.replace(TINY, point=point))
    monkeypatch.setattr(scale, "STEPS", 8)
    costs = scale.measure(40)
    assert costs.pop("documents") == 40
    assert list(costs) == ["learn", "encode", "train"]
    for cost in costs.values():
        assert cost["us_per_document"] > 0
        assert cost["peak_mb"] >= 0


@pytest.mark.skipif(BACKEND != "tensorflow", reason="the tutorial tokenizes with TensorFlow")
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="private memory is read on Linux")
@pytest.mark.parametrize("way", scale.WAYS)
def test_both_ways_to_tokenize_are_measured(way, monkeypatch):
    monkeypatch.setenv("RESEARCH_CACHE", "")  # so that it is restored afterwards
    monkeypatch.setattr(workload, "load", lambda: TINY)
    monkeypatch.setattr(scale, "TOKENIZED", 100)
    cost = scale.tokenize(way)
    assert cost["seconds"] > 0
    assert cost["peak_mb"] >= 0


@pytest.mark.backend
@pytest.mark.slow
def test_an_artefact_is_timed_and_what_it_is_compared_with(tiny, call, tmp_path, monkeypatch):
    folder = tmp_path / "run"
    answer = call(train, "newsgroups", *options(tiny), "--run-dir", folder)
    assert answer.code == 0, answer.err
    for name, value in machine.settings(2).items():  # so that they are restored afterwards
        monkeypatch.setenv(name, os.environ.get(name, value))
    monkeypatch.chdir(run.ROOT)
    monkeypatch.setattr(machine, "wait_until_quiet", lambda cores: 2.0 * cores)
    monkeypatch.setattr(machine, "use_cores", lambda cores: None)
    monkeypatch.setattr(backends, "installed", lambda: [BACKEND])
    formats = {name: runtimes.RUNTIMES[name] for name in ("saved_model", "torch")}
    formats["torch"] = formats["torch"]._replace(suffix=".wrong")  # so its export fails
    monkeypatch.setattr(runtimes, "RUNTIMES", formats)
    monkeypatch.setattr(serving, "PROCESSES", 1)
    serving.main(folder, record=tmp_path / "serving.json")

    record = json.loads((tmp_path / "serving.json").read_text())
    assert [row["name"] for row in record["rows"]] == [
        serving.SKLEARN,
        f"{serving.PREDICT}, {BACKEND}",
        f"{serving.MODEL_PREDICT}, {BACKEND}",
        "saved_model",
        "torch",
    ]
    *timed, left_out = record["rows"]
    assert left_out["left_out"].startswith("expected --output to end in .pt2")
    for row in timed:
        ((one, many),) = row["latency_ms"]
        assert one[0] == 1 < many[0] == record["run"]["texts"]
        assert one[1] > 0
    assert timed[-1]["size_mb"] > 0
    assert "the machine was busy" in record["doubts"][0]
    assert "| saved_model | texts | " in serving_table.page(record)


@pytest.mark.backend
@pytest.mark.slow
def test_the_suite_runs_from_processes_to_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(backends, "installed", lambda: [BACKEND])
    monkeypatch.delenv("PYTEST_XDIST_WORKER", raising=False)  # in parallel tests nothing is timed
    monkeypatch.setattr(run, "UNFINISHED", tmp_path / "unfinished")
    path = tmp_path / "records" / "record.json"
    only = "^(?!torch: native, torch.compile)"  # see MODES
    run.main(embedding_dim=8, tiny=True, only=only, record=path)
    assert not list((tmp_path / "unfinished").iterdir())

    record = json.loads(path.read_text())
    planned, _ = subjects.select(
        subjects.on_backends([BACKEND]), record["machine"]["devices"], only
    )
    names = {(row["framework"], row["name"]) for row in record["rows"]}
    assert names == {(subject.framework, subject.name) for subject in planned}
    assert len(record["rows"]) == len(planned)
    assert record["machine"]["memory_gb_s"] > 0
    kinds = {row["kind"] for row in record["rows"]}
    assert kinds == {"ours", "fit", "peer", "inference", "reference"}
    for row in record["rows"]:
        times = row["unit_time_ms"]
        assert 0 < times["minimum"] <= times["first_quartile"] <= times["median"]
        assert times["n"] == len(row["rounds_ms"][0]) == 2
        assert row["first_call_s"][0] > 0
        if sys.platform.startswith("linux"):
            assert row["peak_memory_mb"][0] >= 0
        has_rate = row.get("bfloat16_gflops", [0])[0] > 0
        assert has_rate == (row["precision"] == "mixed_bfloat16")
        if row["kind"] == "peer":
            assert max(row["check"].values()) <= 1e-4
    precisions = {row["precision"] for row in record["rows"] if row["kind"] == "ours"}
    assert precisions == {"float32", "mixed_bfloat16"}
    assert record["machine"]["versions"]["numpy"]
    assert [len(job) for job in record["method"]["order"]] == [len(planned)]
    assert record["method"]["effort"] == "tiny"
    assert record["machine"]["cpu"] == hardware.describe()["cpu"]
    table.main(path.parent, tmp_path)
    assert "| our step |" in (tmp_path / "tables" / "step_time.md").read_text()


def test_an_interrupted_run_goes_on_where_it_stopped(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(run, "UNFINISHED", tmp_path / "unfinished")
    monkeypatch.setattr(backends, "installed", lambda: ["jax", "torch"])
    monkeypatch.setattr(run, "_probe", lambda *_: {"device": "cpu: cpu", "memory_gb_s": 10.0})
    monkeypatch.setattr(machine, "use_cores", lambda cores: None)
    times = {"units": 1, "warm_up_s": [1.0], "first_call_s": 1.0, "matmul_gflops": None}
    times |= {"rounds_s": [1.0, 2.0], "device": "cpu: cpu", "load_average": 0.0}
    timed = []

    def time_of(failing, error):
        def fake(job):
            backend = job.subjects[0].backend
            if backend == failing:
                raise error
            timed.append(backend)
            return [times | {"gflop": 1.0} for _ in job.subjects]

        return fake

    record = tmp_path / "record.json"
    options = {"tiny": True, "only": "(jax|torch): our step", "record": record}
    devices = dict.fromkeys(["jax", "torch"], "cpu: cpu")
    planned, _ = subjects.select(subjects.on_backends(devices), devices, options["only"])
    _, last = run._jobs(planned, 1, seed=0, effort="tiny", threads=2)
    second = last.subjects[0].backend
    monkeypatch.setattr(run, "_time", time_of(second, KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        run.main(**options)
    assert not record.exists()

    # A process that fails makes the command fail, and the record says why.
    monkeypatch.setattr(run, "_time", time_of(second, ValueError("no memory")))
    with pytest.raises(ValueError, match="all 2 processes to end, 1 failed"):
        run.main(**options)
    assert "going on with a run of which 1 of 2 processes have ended" in capsys.readouterr().out
    content = json.loads(record.read_text())
    assert [row["backend"] for row in content["rows"]] == timed
    assert content["left_out"][-1]["reason"] == "no memory"

    monkeypatch.setattr(run, "_time", time_of(None, None))
    run.main(**options)
    assert sorted(timed) == ["jax", "torch"]
    assert len(json.loads(record.read_text())["rows"]) == 2
    run.main(**options)  # a new run, since the last one was complete
    assert sorted(timed) == ["jax", "jax", "torch", "torch"]
