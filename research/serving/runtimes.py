"""How to load and run each artefact of `research.export`, with no more than its format needs.

    python -I artefacts.py FORMAT ARTEFACT INPUTS.json OUTPUTS.json

This file imports nothing of this package. Run as above, it hides the package and every framework
that the format can do without, and so shows that the artefact stands alone. A model card quotes the
function of its format as the example.
"""

import json
import os
import statistics
import sys
import time
import zipfile
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path
from typing import Any

import numpy as np

# From texts, or from token ids, int32[texts, sequence_length] with 0 for padding at the end, to
# labels and probabilities, float32[texts, classes].
Answer = tuple[list[str], np.ndarray]
Loaded = tuple[Callable[[Any], Answer], dict[str, Any]]


def saved_model(path: str) -> Loaded:
    """Texts in; TensorFlow."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]  # the signature "token_ids" takes token ids
    metadata = json.loads(Path(path, "assets.extra", "classifier.json").read_text("utf-8"))

    def run(texts: list[str]) -> Answer:
        out = serve(texts=tf.constant(texts))
        return [label.decode() for label in out["label"].numpy()], out["probabilities"].numpy()

    return run, metadata


def onnx(path: str) -> Loaded:
    """Texts in; ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["metadata"])

    def run(texts: list[str]) -> Answer:
        # U+FFFD is what the model was trained with instead of NUL.
        texts = [text.replace("\0", "\ufffd") for text in texts]
        inputs = {"texts": np.array(texts, object)}
        labels, probabilities = session.run(["label", "probabilities"], inputs)
        return list(labels), probabilities

    return run, metadata


def onnx_token_ids(path: str) -> Loaded:
    """Token ids in; ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["metadata"])

    def run(token_ids: np.ndarray) -> Answer:
        labels, probabilities = session.run(["label", "probabilities"], {"token_ids": token_ids})
        return list(labels), probabilities

    return run, metadata


def keras(path: str) -> Loaded:
    """Texts in; Keras with the TensorFlow backend."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(path)
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("classifier.json"))

    def run(texts: list[str]) -> Answer:
        # U+FFFD is what the model was trained with instead of NUL.
        out = model(tf.constant([text.replace("\0", "\ufffd") for text in texts]))
        return [label.decode() for label in out["label"].numpy()], out["probabilities"].numpy()

    return run, metadata


def keras_token_ids(path: str) -> Loaded:
    """Token ids in; Keras with any backend."""
    import keras

    model = keras.saving.load_model(path)
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("classifier.json"))

    def run(token_ids: np.ndarray) -> Answer:
        probabilities = keras.ops.convert_to_numpy(model(token_ids))
        return [metadata["classes"][i] for i in probabilities.argmax(axis=1)], probabilities

    return run, metadata


def openvino(path: str) -> Loaded:
    """Token ids in; OpenVINO."""
    import openvino

    core = openvino.Core()
    model = core.read_model(Path(path, "model.xml"))
    metadata = json.loads(model.get_rt_info("metadata").astype(str))
    # On some processors its default is a precision below float32.
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(token_ids: np.ndarray) -> Answer:
        probabilities = compiled(token_ids)[0]
        return [metadata["classes"][i] for i in probabilities.argmax(axis=1)], probabilities

    return run, metadata


def litert(path: str) -> Loaded:
    """Token ids in; LiteRT."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(path)
    (entry,) = interpreter.get_input_details()
    (out,) = interpreter.get_output_details()
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("classifier.json"))

    def run(token_ids: np.ndarray) -> Answer:
        interpreter.resize_tensor_input(entry["index"], token_ids.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], token_ids)
        interpreter.invoke()
        probabilities = interpreter.get_tensor(out["index"])
        return [metadata["classes"][i] for i in probabilities.argmax(axis=1)], probabilities

    return run, metadata


def torch(path: str) -> Loaded:
    """Token ids in; PyTorch."""
    import torch

    extra_files = {"classifier.json": ""}
    model = torch.export.load(path, extra_files=extra_files).module()
    metadata = json.loads(extra_files["classifier.json"])

    def run(token_ids: np.ndarray) -> Answer:
        with torch.inference_mode():
            probabilities = model(torch.from_numpy(token_ids)).numpy()
        return [metadata["classes"][i] for i in probabilities.argmax(axis=1)], probabilities

    return run, metadata


FORMATS: dict[str, tuple[Callable[[str], Loaded], tuple[str, ...]]] = {
    "saved_model": (saved_model, ("tensorflow",)),
    "onnx": (onnx, ("onnxruntime",)),
    "onnx-token-ids": (onnx_token_ids, ("onnxruntime",)),
    "keras": (keras, ("keras", "tensorflow")),
    "keras-token-ids": (keras_token_ids, ("keras",)),  # and the backend that is set
    "openvino": (openvino, ("openvino",)),
    "litert": (litert, ("ai_edge_litert",)),
    "torch": (torch, ("torch",)),
}
"""By name: the function that loads an artefact, and the packages that it needs."""

BATCH_SIZE = 256
_FEW = 32
_REPEATS = 20

_HIDDEN = {
    "research",
    "jax",
    *(package for _, packages in FORMATS.values() for package in packages),
}


def takes_texts(name: str) -> bool:
    """Returns whether an artefact of this format takes texts; otherwise it takes token ids."""
    return name in ("saved_model", "onnx", "keras")


def main(name: str, path: str, inputs: str, outputs: str) -> None:
    """Reads and writes JSON objects: what `run_alone` takes, and what it returns."""
    load, needed = FORMATS[name]
    if name == "keras-token-ids":
        needed = (*needed, os.environ["KERAS_BACKEND"])
    sys.meta_path[:] = [_Hide(_HIDDEN - set(needed), list(sys.meta_path))]
    run, metadata = load(path)
    request = json.loads(Path(inputs).read_text("utf-8"))
    given = request["given"]
    if not takes_texts(name):
        given = np.array(given, np.int32)
    # A few at a time: one very long text may cost memory for all in its batch.
    answers = [run(given[i : i + _FEW]) for i in range(0, len(given), _FEW)]
    result = {
        "labels": [label for labels, _ in answers for label in labels],
        "probabilities": [row.tolist() for _, rows in answers for row in rows],
        "metadata": metadata,
        "latency_ms": latency_ms(run, given[: request["timed"]]),
    }
    Path(outputs).write_text(json.dumps(result), "utf-8")


class _Hide(MetaPathFinder):
    """Finds what other finders find, but for some packages, as if those were not installed."""

    def __init__(self, packages: set[str], finders: list[Any]) -> None:
        self.packages, self.finders = packages, finders

    def find_spec(self, fullname: str, *place: Any) -> Any:
        if fullname.partition(".")[0] in self.packages:
            return None
        specs = (finder.find_spec(fullname, *place) for finder in self.finders)
        return next((spec for spec in specs if spec), None)

    def find_distributions(self, *context: Any) -> Any:
        found = (getattr(finder, "find_distributions", None) for finder in self.finders)
        return (package for find in found if find for package in find(*context))


def latency_ms(run: Callable[[Any], Any], given: Any) -> list[tuple[int, float]]:
    """Returns the median time of `run` in ms for the first text and for all.

    Each is beside the number of texts, and counts from the second call, since the first may
    compile.
    """
    latency = []
    for batch in (given[:1], given):
        times = []
        for _ in range(_REPEATS + 1):
            started = time.perf_counter()
            run(batch)
            times.append(time.perf_counter() - started)
        latency.append((len(batch), 1000 * statistics.median(times[1:])))
    return latency


if __name__ == "__main__":
    main(*sys.argv[1:])
