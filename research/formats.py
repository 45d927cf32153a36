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

from research import runs

if TYPE_CHECKING:
    from research.classifier import Classifier

PUNCTUATION = r"""[!"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']"""
"""What is removed, as RE2 and Keras' TextVectorization write it."""

_OPSET = 20  # of ONNX: the first that splits strings


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
    runs.write_json(path / "assets.extra" / "classifier.json", metadata)


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


def onnx_model(graph: Any) -> Any:
    """Returns the ONNX model of a graph, with the versions of operators that are used here."""
    from onnx import helper

    versions = {"": _OPSET, "ai.onnx.ml": 2, "com.microsoft": 1}
    opsets = [helper.make_opsetid(domain, version) for domain, version in versions.items()]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9)


def tokenizer_nodes(vocabulary: Sequence[str], sequence_length: int) -> list[Any]:
    """Returns ONNX nodes that do to `texts`, string[texts], what TextVectorization does.

    The result is `token_ids`, int32[texts, sequence_length]. Memory grows with the number of texts
    times the words, or the pieces between punctuation, of the longest.

    All operators are ONNX' own or ONNX Runtime's. Those of onnxruntime-extensions replace nothing
    in a process where TensorFlow was loaded before: both bring RE2, and get each other's.
    """
    from onnx import TensorProto, helper

    nodes: list[Any] = []

    def constant(name: str, kind: int, values: Sequence[Any]) -> str:
        tensor = helper.make_tensor(name, kind, [len(values)], values)
        nodes.append(helper.make_node("Constant", [], [name], value=tensor))
        return name

    def node(operator: str, inputs: Sequence[str], output: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output

    def split(texts: str, separator: str, output: str) -> str:
        # Into string[texts, most], rows filled up with "".
        how = {"mark": 0, "mincharnum": 1, "pad_value": "", "separators": [separator]}
        return node("Tokenizer", [texts], output, domain="com.microsoft", **how)

    def zeros(columns: str, output: str) -> str:
        shape = node("Concat", [texts_shape, columns], f"{output}_shape", axis=0)
        zero = helper.make_tensor("zero", TensorProto.INT64, [1], [0])
        return node("ConstantOfShape", [shape], output, value=zero)

    one = constant("one", TensorProto.INT64, [1])
    texts_shape = node("Shape", ["texts"], "texts_shape")
    # In the locale "C" letters are those of ASCII alone.
    lower = node("StringNormalizer", ["texts"], "lower", case_change_action="LOWER", locale="C")
    pieces = split(lower, f"{PUNCTUATION}+", "pieces")
    nothing = constant("nothing", TensorProto.STRING, [b""])
    blank = node("Gather", [nothing, zeros(one, "first")], "blank")  # string[texts, 1]
    pieces = node("Concat", [pieces, blank], "pieces_or_blank", axis=1)  # or there may be none
    true = helper.make_tensor("true", TensorProto.BOOL, [], [True])
    nodes.append(helper.make_node("Constant", [], ["true"], value=true))
    joined = node("Loop", ["", "true", pieces], "joined", body=_join_pairs(blank))
    words = split(node("Squeeze", [joined, one], "clean"), r"[ \t\n\v\f\r]+", "words")
    ids = node(
        "LabelEncoder",
        [words],
        "unpadded",
        domain="ai.onnx.ml",
        keys_strings=_utf8(["", *vocabulary[2:]]),
        values_int64s=[0, *range(2, len(vocabulary))],
        default_int64=1,
    )
    length = constant("length", TensorProto.INT64, [sequence_length])
    ids = node("Concat", [ids, zeros(length, "padding")], "padded", axis=1)
    start = constant("start", TensorProto.INT64, [0])
    ids = node("Slice", [ids, start, length, one], "cut")
    node("Cast", [ids], "token_ids", to=TensorProto.INT32)
    return nodes


def _join_pairs(blank: str) -> Any:
    """Returns the body of an ONNX loop that joins the strings of each row, two by two."""
    from onnx import TensorProto, helper

    def constant(name: str, value: int) -> Any:
        tensor = helper.make_tensor(name, TensorProto.INT64, [1], [value])
        return helper.make_node("Constant", [], [name], value=tensor)

    def strings(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.STRING, [None, None])

    def flag(name: str) -> Any:
        return helper.make_tensor_value_info(name, TensorProto.BOOL, [])

    round_ = helper.make_tensor_value_info("round", TensorProto.INT64, [])
    nodes = [
        constant("from_0", 0),
        constant("from_1", 1),  # the axis as well
        constant("step", 2),
        # With a blank at the end there is a second to each first; one that is left over is cut.
        helper.make_node("Concat", ["row", blank], ["longer"], axis=1),
        helper.make_node("Shape", ["longer"], ["columns"], start=1, end=2),
        helper.make_node("Div", ["columns", "step"], ["pairs"]),
        helper.make_node("Mul", ["pairs", "step"], ["end"]),
        helper.make_node("Slice", ["longer", "from_0", "end", "from_1", "step"], ["firsts"]),
        helper.make_node("Slice", ["longer", "from_1", "end", "from_1", "step"], ["seconds"]),
        helper.make_node("StringConcat", ["firsts", "seconds"], ["joined_pairs"]),
        helper.make_node("Greater", ["pairs", "from_1"], ["several"]),
        helper.make_node("Squeeze", ["several"], ["go_on"]),
    ]
    return helper.make_graph(
        nodes,
        "join_pairs",
        [round_, flag("was_on"), strings("row")],
        [flag("go_on"), strings("joined_pairs")],
    )


def _utf8(texts: Sequence[str]) -> list[bytes]:
    return [text.encode() for text in texts]


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

    from research import layers

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
