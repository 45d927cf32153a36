"""The formats of `research.export`: how each is written; `research.artefacts` is how each is run.

Those that take texts tokenize as Keras' TextVectorization does: ASCII letters lowered, ASCII
punctuation removed, split at ASCII whitespace. Texts must be Unicode without lone surrogates. For
NUL, training reads U+FFFD (`research.tokens`). `saved_model` does that itself; for `onnx` and
`keras` the caller does, as `research.artefacts` and the example in the model card show. Otherwise
it stays in its word, which then is out of the vocabulary.
"""

import json
import logging
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from research.files import atomic
from research.models import layers

if TYPE_CHECKING:
    from research.serving.classifier import Classifier

PUNCTUATION = r"""[!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']"""
"""What is removed, as RE2 and Keras' TextVectorization write it."""


class Format(NamedTuple):
    """How a format is written.

    Attributes:
      write: writes a classifier with its metadata to a path.
      suffix: what the name of the artefact must end in.
      packages: what writing and checking takes besides this package's own dependencies.
      backend: the one to write it on.
    """

    write: Callable[["Classifier", dict[str, Any], Path], None]
    suffix: str = ""
    packages: tuple[str, ...] = ()
    backend: str = "tensorflow"


def _network(classifier: "Classifier") -> Any:
    """Returns a Keras model from token ids, of one length, to probabilities."""
    import keras

    shape = (classifier.config.sequence_length,)
    token_ids = keras.Input(shape, dtype="int32", name="token_ids")
    logits = classifier.model(token_ids, training=False)
    network = keras.Model(token_ids, keras.layers.Softmax(name="probabilities")(logits))
    network(np.zeros((1, *shape), "int32"))  # Keras exports none that was not called
    return network


def _saved_model(classifier: "Classifier", metadata: dict[str, Any], path: Path) -> None:
    import keras
    import tensorflow as tf

    network, vectorize = _network(classifier), _vectorization(classifier)
    classes = tf.constant(classifier.classes)

    def from_token_ids(token_ids: Any) -> dict[str, Any]:
        probabilities = network(token_ids)
        label = tf.gather(classes, tf.argmax(probabilities, axis=1))
        return {"label": label, "probabilities": probabilities}

    def from_texts(texts: Any) -> dict[str, Any]:
        texts = tf.strings.regex_replace(texts, r"\x00", "\ufffd")
        return from_token_ids(tf.cast(vectorize(texts), tf.int32))

    vectorize(tf.constant([""]))  # Keras exports none that was not called
    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.track(vectorize)
    texts = tf.TensorSpec([None], tf.string, name="texts")
    token_ids = tf.TensorSpec([None, *network.input_shape[1:]], tf.int32, name="token_ids")
    archive.add_endpoint("serving_default", from_texts, [texts])
    archive.add_endpoint("token_ids", from_token_ids, [token_ids])
    archive.write_out(path, verbose=False)
    # The folder for files of one's own, which TensorFlow leaves alone.
    atomic.write_json(path / "assets.extra" / "classifier.json", metadata)


def _vectorization(classifier: "Classifier") -> Any:
    import keras

    return keras.layers.TextVectorization(
        vocabulary=classifier.vocabulary,
        output_sequence_length=classifier.config.sequence_length,
        name="tokenizer",
    )


def _onnx(classifier: "Classifier", metadata: dict[str, Any], path: Path) -> None:
    from onnx import TensorProto, helper

    _write_onnx(
        classifier,
        metadata,
        path,
        helper.make_tensor_value_info("texts", TensorProto.STRING, ["texts"]),
        tokenizer_nodes(classifier.vocabulary, classifier.config.sequence_length),
    )


def _onnx_token_ids(classifier: "Classifier", metadata: dict[str, Any], path: Path) -> None:
    from onnx import TensorProto, helper

    shape = ["texts", classifier.config.sequence_length]
    token_ids = helper.make_tensor_value_info("token_ids", TensorProto.INT32, shape)
    _write_onnx(classifier, metadata, path, token_ids, [])


def _write_onnx(
    classifier: "Classifier",
    metadata: dict[str, Any],
    path: Path,
    entry: Any,
    before: Sequence[Any],
) -> None:
    import onnx
    from onnx import TensorProto, helper

    network_path = path.with_name("network.onnx")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)  # Keras' own
        logging.getLogger("tensorflow").setLevel(logging.ERROR)  # of the tokenizer's table, unused
        _network(classifier).export(network_path, format="onnx", verbose=False)
    network = onnx.version_converter.convert_version(onnx.load(network_path), _OPSET)
    network = onnx.compose.add_prefix(network, "network/")
    (inside,), (outside,) = network.graph.input, network.graph.output
    classes = len(classifier.classes)
    nodes = [
        *before,
        helper.make_node("Identity", ["token_ids"], [inside.name]),
        *network.graph.node,
        helper.make_node("Identity", [outside.name], ["probabilities"]),
        helper.make_node("ArgMax", ["probabilities"], ["best"], axis=1, keepdims=0),
        helper.make_node("Gather", ["classes", "best"], ["label"]),
    ]
    graph = helper.make_graph(
        nodes,
        "classifier",
        [entry],
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, ["texts"]),
            helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["texts", classes]),
        ],
        [
            *network.graph.initializer,
            helper.make_tensor("classes", TensorProto.STRING, [classes], _utf8(classifier.classes)),
        ],
    )
    model = onnx_model(graph)
    helper.set_model_props(model, {"metadata": json.dumps(metadata)})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _keras(classifier: "Classifier", metadata: dict[str, Any], path: Path) -> None:
    import keras

    texts = keras.Input((), dtype="string", name="texts")
    probabilities = _plain_network(classifier)(_vectorization(classifier)(texts))
    best = keras.ops.argmax(probabilities, axis=-1)
    label = keras.layers.StringLookup(
        vocabulary=classifier.classes, num_oov_indices=0, invert=True, name="label"
    )
    outputs = {"label": label(best), "probabilities": probabilities}
    keras.Model(texts, outputs).save(path)
    _add_to_zip(path, metadata)


def _keras_token_ids(classifier: "Classifier", metadata: dict[str, Any], path: Path) -> None:
    _plain_network(classifier).save(path)
    _add_to_zip(path, metadata)


def _plain_network(classifier: "Classifier") -> Any:
    """Returns `_network` made of Keras' own layers alone, which load without this package."""
    import keras

    # LAZY IMPORTS

    def plain(layer: Any) -> Any:
        match layer:
            case layers.Embedding():
                return keras.layers.Embedding(layer.input_dim, layer.output_dim, name=layer.name)
            case layers.PooledConv1D():
                convolution = keras.layers.Conv1D(
                    layer.filters, layer.kernel_size, activation="relu", name=layer.name
                )
                pooling = keras.layers.MaxPooling1D(layer.pool_size)
                return keras.Sequential([convolution, pooling], name=layer.name)
            case layers.WordDropout():
                pass  # Keras has none
            case layers.Dropout():
                return keras.layers.Dropout(layer.rate, name=layer.name)
            case keras.layers.Conv1D() | keras.layers.Dense():
                config = layer.get_config() | {"kernel_initializer": "glorot_uniform"}
                return type(layer).from_config(config)
        if type(layer).__module__.startswith("research."):
            raise ValueError(
                f"expected a model of layers that Keras has too, received "
                f"{type(layer).__name__}; use another --format"
            )
        return type(layer).from_config(layer.get_config())

    network = _network(classifier)
    (original,) = (layer for layer in network.layers if isinstance(layer, keras.Model))
    token_ids = keras.Input(network.input_shape[1:], dtype="int32", name="token_ids")
    copy = keras.models.clone_model(original, input_tensors=token_ids, clone_function=plain)
    for layer in original.layers:
        copy.get_layer(layer.name).set_weights(layer.get_weights())
    return keras.Model(token_ids, keras.layers.Softmax(name="probabilities")(copy(token_ids)))


def _add_to_zip(path: Path, metadata: dict[str, Any]) -> None:
    # A .keras file is an archive; a .tflite file may end in one, as LiteRT's own metadata do.
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("classifier.json", json.dumps(metadata))


def _openvino(classifier: "Classifier", metadata: dict[str, Any], path: Path) -> None:
    import openvino

    path.mkdir()
    network_path = path.with_name("network.xml")
    _network(classifier).export(str(network_path), format="openvino", verbose=False)
    model = openvino.Core().read_model(network_path)
    model.set_rt_info(json.dumps(metadata), "metadata")
    openvino.save_model(model, path / "model.xml", compress_to_fp16=False)


def _litert(classifier: "Classifier", metadata: dict[str, Any], path: Path) -> None:
    _network(classifier).export(path, format="litert", verbose=False)
    _add_to_zip(path, metadata)


def _torch(classifier: "Classifier", metadata: dict[str, Any], path: Path) -> None:
    import torch

    network_path = path.with_name("network.pt2")
    batch = {0: torch.export.Dim("texts")}
    _network(classifier).export(network_path, format="torch", verbose=False, dynamic_shapes=batch)
    program = torch.export.load(network_path)
    torch.export.save(program, path, extra_files={"classifier.json": json.dumps(metadata)})


_ONNX = ("onnx", "tf2onnx", "onnxruntime")

FORMATS = {
    "saved_model": Format(_saved_model),
    "onnx": Format(_onnx, ".onnx", _ONNX),
    "onnx-token-ids": Format(_onnx_token_ids, ".onnx", _ONNX),
    "keras": Format(_keras, ".keras"),
    "keras-token-ids": Format(_keras_token_ids, ".keras"),
    "openvino": Format(_openvino, "", ("openvino",)),
    "litert": Format(_litert, ".tflite", ("ai_edge_litert",)),
    "torch": Format(_torch, ".pt2", ("torch",), "torch"),
}
"""By name, as `--format` takes it."""

FOLDERS_HOLD = ("saved_model.pb", "model.xml")
"""A file that tells the folder of an artefact from others."""
