"""DOC."""

from collections.abc import Sequence
from typing import Any

# IMPORTS


_OPSET = 20  # of ONNX: the first that splits strings


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
