"""How to load and run each format, with no more than it needs.

    python -I runtimes.py FORMAT ARTEFACT INPUTS OUTPUTS

This file imports nothing of this package. Run as above, it hides the package and every framework
that the format does not need, which shows that the artefact stands alone. A model card quotes the
function that loads its format as the example.
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
from typing import Any, NamedTuple

import numpy as np

Answer = tuple[list[str], np.ndarray]
"""Labels, and probabilities as float32[texts, classes]."""

Loaded = tuple[Callable[[Any], Answer], dict[str, Any]]
"""A function that answers, and the metadata.

The function takes a list of texts, or token ids as int32[texts, sequence_length], where 0 stands
for padding at the end.
"""


def saved_model(path: str) -> Loaded:
    """Load an artefact that takes texts and runs on TensorFlow."""
    import tensorflow as tf

    loaded = tf.saved_model.load(path)
    serve = loaded.signatures["serving_default"]  # the signature "token_ids" takes token ids
    metadata = json.loads(Path(path, "assets.extra", "classifier.json").read_text("utf-8"))

    def run(texts: list[str]) -> Answer:
        out = serve(texts=tf.constant(texts))
        return [label.decode() for label in out["label"].numpy()], out["probabilities"].numpy()

    return run, metadata


def onnx(path: str) -> Loaded:
    """Load an artefact that takes texts and runs on ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["metadata"])

    def run(texts: list[str]) -> Answer:
        # The model was trained with U+FFFD in place of NUL.
        texts = [text.replace("\0", "\ufffd") for text in texts]
        inputs = {"texts": np.array(texts, object)}
        labels, probabilities = session.run(["label", "probabilities"], inputs)
        return list(labels), probabilities

    return run, metadata


def onnx_token_ids(path: str) -> Loaded:
    """Load an artefact that takes token ids and runs on ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path)
    metadata = json.loads(session.get_modelmeta().custom_metadata_map["metadata"])

    def run(token_ids: np.ndarray) -> Answer:
        labels, probabilities = session.run(["label", "probabilities"], {"token_ids": token_ids})
        return list(labels), probabilities

    return run, metadata


def keras(path: str) -> Loaded:
    """Load an artefact that takes texts and runs on Keras with TensorFlow."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import keras
    import tensorflow as tf

    model = keras.saving.load_model(path)
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("classifier.json"))

    def run(texts: list[str]) -> Answer:
        # The model was trained with U+FFFD in place of NUL.
        out = model(tf.constant([text.replace("\0", "\ufffd") for text in texts]))
        return [label.decode() for label in out["label"].numpy()], out["probabilities"].numpy()

    return run, metadata


def keras_token_ids(path: str) -> Loaded:
    """Load an artefact that takes token ids and runs on Keras with any backend."""
    import keras

    model = keras.saving.load_model(path)
    with zipfile.ZipFile(path) as archive:
        metadata = json.loads(archive.read("classifier.json"))

    def run(token_ids: np.ndarray) -> Answer:
        probabilities = keras.ops.convert_to_numpy(model(token_ids))
        return [metadata["classes"][i] for i in probabilities.argmax(axis=1)], probabilities

    return run, metadata


def openvino(path: str) -> Loaded:
    """Load an artefact that takes token ids and runs on OpenVINO."""
    import openvino

    core = openvino.Core()
    model = core.read_model(Path(path, "model.xml"))
    metadata = json.loads(model.get_rt_info("metadata").astype(str))
    # On some processors OpenVINO's default precision is below float32.
    compiled = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})

    def run(token_ids: np.ndarray) -> Answer:
        probabilities = compiled(token_ids)[0]
        return [metadata["classes"][i] for i in probabilities.argmax(axis=1)], probabilities

    return run, metadata


def litert(path: str) -> Loaded:
    """Load an artefact that takes token ids and runs on LiteRT."""
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
    """Load an artefact that takes token ids and runs on PyTorch."""
    import torch

    extra_files = {"classifier.json": ""}
    model = torch.export.load(path, extra_files=extra_files).module()
    metadata = json.loads(extra_files["classifier.json"])

    def run(token_ids: np.ndarray) -> Answer:
        with torch.inference_mode():
            probabilities = model(torch.from_numpy(token_ids)).numpy()
        return [metadata["classes"][i] for i in probabilities.argmax(axis=1)], probabilities

    return run, metadata


class Runtime(NamedTuple):
    """How a format is read, and what it looks like.

    Attributes:
      load: loads an artefact from its path.
      packages: what an artefact needs to run. `keras-token-ids` also needs the backend that is set.
      takes_texts: whether it takes texts; otherwise it takes token ids.
      suffix: the end of a file's name; "" where the artefact is a folder.
      folder_holds: a file that such a folder always holds; "" where the artefact is a file.
    """

    load: Callable[[str], Loaded]
    packages: tuple[str, ...]
    takes_texts: bool
    suffix: str = ""
    folder_holds: str = ""


RUNTIMES = {
    "saved_model": Runtime(saved_model, ("tensorflow",), True, folder_holds="saved_model.pb"),
    "onnx": Runtime(onnx, ("onnxruntime",), True, ".onnx"),
    "onnx-token-ids": Runtime(onnx_token_ids, ("onnxruntime",), False, ".onnx"),
    "keras": Runtime(keras, ("keras", "tensorflow"), True, ".keras"),
    "keras-token-ids": Runtime(keras_token_ids, ("keras",), False, ".keras"),
    "openvino": Runtime(openvino, ("openvino",), False, folder_holds="model.xml"),
    "litert": Runtime(litert, ("ai_edge_litert",), False, ".tflite"),
    "torch": Runtime(torch, ("torch",), False, ".pt2"),
}
"""The formats, by the name that `--format` takes."""

BATCH_SIZE = 256
"""How many texts are timed as one batch."""

_ANSWERED_AT_ONCE = 32  # a network takes memory for each text of its batch
_TIMED_CALLS = 20

_HIDDEN = {"research", "jax", *(name for runtime in RUNTIMES.values() for name in runtime.packages)}


def main(name: str, path: str, inputs: str, outputs: str) -> None:
    """Answer in the process that `self_check.run_alone` starts.

    Args:
      name: the format.
      path: the artefact.
      inputs: a JSON file of `given`, the texts or token ids, and `timed`, how many of the first to
        time as one batch.
      outputs: the JSON file to write: `labels`, `probabilities`, `metadata` and `latency_ms`.
    """
    runtime = RUNTIMES[name]
    needed = set(runtime.packages)
    if name == "keras-token-ids":
        needed.add(os.environ["KERAS_BACKEND"])
    sys.meta_path[:] = [_Hide(_HIDDEN - needed, list(sys.meta_path))]
    run, metadata = runtime.load(path)
    request = json.loads(Path(inputs).read_text("utf-8"))
    given = request["given"] if runtime.takes_texts else np.array(request["given"], np.int32)
    starts = range(0, len(given), _ANSWERED_AT_ONCE)
    answers = [run(given[start : start + _ANSWERED_AT_ONCE]) for start in starts]
    result = {
        "labels": [label for labels, _ in answers for label in labels],
        "probabilities": [row.tolist() for _, rows in answers for row in rows],
        "metadata": metadata,
        "latency_ms": latency_ms(run, given[: request["timed"]]),
    }
    Path(outputs).write_text(json.dumps(result), "utf-8")


class _Hide(MetaPathFinder):
    """A finder that finds what others find, except some packages: as if not installed."""

    def __init__(self, packages: set[str], finders: list[Any]) -> None:
        self.packages, self.finders = packages, finders

    def find_spec(self, fullname: str, *place: Any) -> Any:
        if fullname.partition(".")[0] in self.packages:
            return None
        specs = (finder.find_spec(fullname, *place) for finder in self.finders)
        return next((spec for spec in specs if spec), None)

    def find_distributions(self, *context: Any) -> Any:
        for finder in self.finders:
            if hasattr(finder, "find_distributions"):
                yield from finder.find_distributions(*context)


def latency_ms(run: Callable[[Any], Any], given: Any) -> list[tuple[int, float]]:
    """Return how long `run` takes for the first text, and for all texts as one batch.

    The first call of each may compile and is not timed.

    Args:
      run: takes texts or token ids.
      given: the texts or token ids.

    Returns:
      Two pairs of a number of texts and the median time of 20 calls in ms.
    """
    latency = []
    for batch in (given[:1], given):
        times = []
        for _ in range(_TIMED_CALLS + 1):
            started = time.perf_counter()
            run(batch)
            times.append(time.perf_counter() - started)
        latency.append((len(batch), 1000 * statistics.median(times[1:])))
    return latency


if __name__ == "__main__":
    main(*sys.argv[1:])
