"""How each format of artefact is written; `runtimes` holds how each is run.

Formats that take texts split them into words as Keras's TextVectorization does: ASCII letters in
lower case, ASCII punctuation removed, split at ASCII whitespace or, except in `onnx`, after each
character. Texts must be Unicode without lone surrogates. Training reads NUL as U+FFFD
(`research.data.tokens`). A `saved_model` does so itself. For `onnx` and `keras` the caller replaces
it, as `runtimes` and the example in the model card do; otherwise NUL stays in its word, which is
then out of the vocabulary.
"""

import errno
import json
import logging
import os
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from research.files import atomic

if TYPE_CHECKING:
    from research.serving.classifier import Classifier

_ONNX_OPSET = 20  # as the tokenizer's operators


class Writer(NamedTuple):
    """How a format is written.

    Attributes:
      write: writes a classifier and its metadata to a path.
      packages: what writing needs besides the packages that running needs.
      backend: Keras's backend that writes it.
    """

    write: Callable[["Classifier", dict[str, Any], Path], None]
    packages: tuple[str, ...] = ()
    backend: str = "tensorflow"


def _network(classifier: "Classifier") -> Any:
    """Return a Keras model from int32[texts, sequence_length] to probabilities."""
    import keras

    shape = (classifier.config.sequence_length,)
    token_ids = keras.Input(shape, dtype="int32", name="token_ids")
    logits = classifier.model(token_ids, training=False)
    network = keras.Model(token_ids, keras.layers.Softmax(name="probabilities")(logits))
    network(np.zeros((1, *shape), "int32"))  # Keras exports only what has been called
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

    vectorize(tf.constant([""]))  # Keras exports only what has been called
    archive = keras.export.ExportArchive()
    archive.track(network)
    archive.track(vectorize)
    texts = tf.TensorSpec([None], tf.string, name="texts")
    token_ids = tf.TensorSpec([None, *network.input_shape[1:]], tf.int32, name="token_ids")
    archive.add_endpoint("serving_default", from_texts, [texts])
    archive.add_endpoint("token_ids", from_token_ids, [token_ids])
    try:
        archive.write_out(path, verbose=False)
    except tf.errors.ResourceExhaustedError as error:
        if os.strerror(errno.ENOSPC) not in error.message:  # it also stands for too little memory
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path)) from error
    # TensorFlow leaves this folder to its users.
    atomic.write_json(path / "assets.extra" / "classifier.json", metadata)


def _vectorization(classifier: "Classifier") -> Any:
    import keras

    return keras.layers.TextVectorization(
        vocabulary=classifier.vocabulary,
        output_sequence_length=classifier.config.sequence_length,
        split=classifier.config.split,
        name="tokenizer",
    )


def _onnx(classifier: "Classifier", metadata: dict[str, Any], path: Path) -> None:
    if classifier.config.split != "whitespace":
        raise ValueError(
            f"expected a run with --split whitespace for onnx, received {classifier.config.split}; "
            "use onnx-token-ids, or saved_model or keras, which take texts"
        )
    from onnx import TensorProto, helper

    from research.serving.onnx_tokenizer import tokenizer  # needs the package onnxscript

    texts = helper.make_tensor_value_info("texts", TensorProto.STRING, ["texts"])
    nodes = tokenizer(classifier.vocabulary, classifier.config.sequence_length).graph.node
    _write_onnx(classifier, metadata, path, texts, nodes)


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
    tokenizer_nodes: Sequence[Any],
) -> None:
    """Write nodes up to `token_ids`, the network, and nodes that name the best class."""
    import onnx
    from onnx import TensorProto, helper

    network = onnx.compose.add_prefix(_onnx_network(classifier, path), "network/")
    (inside,), (outside,) = network.graph.input, network.graph.output
    names = [name.encode() for name in classifier.classes]
    graph = helper.make_graph(
        [
            *tokenizer_nodes,
            helper.make_node("Identity", ["token_ids"], [inside.name]),
            *network.graph.node,
            helper.make_node("Identity", [outside.name], ["probabilities"]),
            helper.make_node("ArgMax", ["probabilities"], ["best"], axis=1, keepdims=0),
            helper.make_node("Gather", ["classes", "best"], ["label"]),
        ],
        "classifier",
        [entry],
        [
            helper.make_tensor_value_info("label", TensorProto.STRING, ["texts"]),
            helper.make_tensor_value_info(
                "probabilities", TensorProto.FLOAT, ["texts", len(names)]
            ),
        ],
        [
            *network.graph.initializer,
            helper.make_tensor("classes", TensorProto.STRING, [len(names)], names),
        ],
    )
    versions = {"": _ONNX_OPSET, "ai.onnx.ml": 2, "com.microsoft": 1}
    opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=9)
    helper.set_model_props(model, {"metadata": json.dumps(metadata)})
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _onnx_network(classifier: "Classifier", path: Path) -> Any:
    import onnx

    network_path = path.with_name("network.onnx")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)  # Keras's own
        # tf2onnx reports the table of the tokenizer, which it does not convert here.
        logging.getLogger("tensorflow").setLevel(logging.ERROR)
        _network(classifier).export(network_path, format="onnx", verbose=False)
    return onnx.version_converter.convert_version(onnx.load(network_path), _ONNX_OPSET)


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
    """Return `_network` made of Keras's own layers, which load without this package."""
    import keras

    network = _network(classifier)
    (original,) = (layer for layer in network.layers if isinstance(layer, keras.Model))
    token_ids = keras.Input(network.input_shape[1:], dtype="int32", name="token_ids")
    copy = keras.models.clone_model(original, input_tensors=token_ids, clone_function=_plain_layer)
    for layer in original.layers:
        copy.get_layer(layer.name).set_weights(layer.get_weights())
    return keras.Model(token_ids, keras.layers.Softmax(name="probabilities")(copy(token_ids)))


def _plain_layer(layer: Any) -> Any:
    """Return a layer of Keras that computes what `layer` does, without its weights.

    Raises:
      ValueError: Keras has none.
    """
    import keras

    from research.models import layers, randomness

    match layer:
        case layers.Embedding():
            return keras.layers.Embedding(layer.input_dim, layer.output_dim, name=layer.name)
        case layers.PooledConv1D():
            convolution = keras.layers.Conv1D(
                layer.filters, layer.kernel_size, activation="relu", name=layer.name
            )
            pooling = keras.layers.MaxPooling1D(layer.pool_size)
            return keras.Sequential([convolution, pooling], name=layer.name)
        case randomness.WordDropout():
            pass  # a Dropout, but of whole words, which Keras does not have
        case randomness.Dropout():
            return keras.layers.Dropout(layer.rate, name=layer.name)
        case keras.layers.Conv1D() | keras.layers.Dense():
            config = layer.get_config() | {"kernel_initializer": "glorot_uniform"}
            is_ours = isinstance(layer, layers.Conv1D)
            return (keras.layers.Conv1D if is_ours else type(layer)).from_config(config)
    if type(layer).__module__.startswith("research."):
        raise ValueError(
            f"expected a model of layers that Keras has too, received "
            f"{type(layer).__name__}; use another --format"
        )
    return type(layer).from_config(layer.get_config())


def _add_to_zip(path: Path, metadata: dict[str, Any]) -> None:
    # A .keras file is a zip archive. A .tflite file may end in one, which holds LiteRT's metadata.
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


WRITERS = {
    "saved_model": Writer(_saved_model),
    "onnx": Writer(_onnx, ("onnx", "onnxscript", "tf2onnx")),
    "onnx-token-ids": Writer(_onnx_token_ids, ("onnx", "tf2onnx")),
    "keras": Writer(_keras),
    "keras-token-ids": Writer(_keras_token_ids),
    "openvino": Writer(_openvino),
    "litert": Writer(_litert),
    "torch": Writer(_torch, backend="torch"),
}
"""By the names of `runtimes.RUNTIMES`."""
