"""Records of the benchmark suite with made-up times, for the tests of what is made from them."""

BASE = {
    "model": "tutorial",
    "batch_size": 128,
    "sequence_length": 200,
    "embedding_dim": 50,
    "threads": 2,
}
ONE_FACTOR = ["batch_size", "sequence_length", "embedding_dim", "model", "threads"]
NATIVE = {"tensorflow": "native, tf.function", "jax": "native, jit", "torch": "native, eager"}
# Times of our epoch in ms; the others take twice as long and half as long.
BASE_MS = {"jax": 60, "tensorflow": 40, "torch": 50}
KINDS = (("ours", "our epoch", 1), ("fit", "model.fit", 2), ("peer", None, 0.5))


def times(ms, spread=0.02, processes=1):
    return {
        "median": ms,
        "first_quartile": ms * (1 - spread),
        "third_quartile": ms * (1 + spread),
        "minimum": ms * (1 - spread),
        "n": 6,
        "medians_of_processes": [ms] * processes,
    }


def row(backend, kind, name, ms, **more):
    return {
        "framework": backend,
        "backend": backend,
        "kind": kind,
        "name": name or NATIVE[backend],
        "precision": "float32",
        "jit": "none",
        "check": None,
        "device": "cpu: cpu",
        "units_per_round": 10,
        "gflop_per_round": 50.0,
        "gbyte_per_round": 2.0,
        "unit_time_ms": times(ms),
        "first_call_s": [1.0],
        "matmul_gflops": [200.0],
        "load_average": [0.1],
        **more,
    }


def point(axes, ms, memory_mb=100.0, **sizes):
    """Return the rows of a point, given the time of our epoch on each backend."""
    return [
        row(
            backend,
            kind,
            name,
            factor * of_backend,
            point=BASE | sizes,
            axis=axes,
            peak_memory_mb=[memory_mb + of_backend],
        )
        for backend, of_backend in ms.items()
        for kind, name, factor in KINDS
        if kind != "peer" or sizes.get("model") != "wide-deep"
    ]


def points():
    """Return points of every axis; with 512 texts two backends are as good as equal."""
    return [
        *point(ONE_FACTOR, BASE_MS),
        *point(["batch_size"], {"jax": 200, "tensorflow": 150, "torch": 153}, batch_size=512),
        *point(["batch_size"], {"jax": 10, "tensorflow": 20, "torch": 15}, batch_size=32),
        *point(
            ["sequence_length"],
            {"jax": 240, "tensorflow": 160, "torch": 200},
            300.0,
            sequence_length=800,
        ),
        *point(["embedding_dim"], {"jax": 120, "tensorflow": 80, "torch": 100}, embedding_dim=300),
        *point(["model"], {"jax": 30, "tensorflow": 60, "torch": 45}, model="wide-deep"),
        *point(["threads"], {"jax": 100, "tensorflow": 75, "torch": 90}, threads=1),
        *point(
            ["interaction"],
            {"jax": 30, "tensorflow": 20, "torch": 25},
            batch_size=32,
            sequence_length=800,
        ),
    ]


ABOUT = {
    "corpus": "news20-bydate",
    "training_examples": 10164,
    "epoch_examples": 5120,
    "sequence_length": 200,
    "vocabulary_size": 20000,
    "vectors": "glove.6B.50d",
    "embedding_dim": 50,
    "batch_size": 128,
    "slice_texts": 2000,
}
"""What a record says of the data."""


def record(**more):
    """Return a record with all points, of which parts can be replaced."""
    bfloat16 = {"precision": "mixed_bfloat16", "bfloat16_gflops": [380.0, 400.0]}
    content = {
        "about": ABOUT,
        "method": {"processes": 2, "effort": "full", "finished": "2026-01-01"},
        "machine": {
            "processor": "Some CPU",
            "threads": 2,
            "devices": dict.fromkeys(BASE_MS, "cpu: cpu"),
            "commit": "c0ffee",
            "memory_gb_s": 20.0,
        },
        "doubts": ["the machine was busy"],
        "left_out": [],
        "rows": [
            *(row(b, kind, name, f * ms) for b, ms in BASE_MS.items() for kind, name, f in KINDS),
            row("torch", "ours", "our epoch, bfloat16", 25.0, **bfloat16),
        ],
        "points": points(),
    }
    return content | more
