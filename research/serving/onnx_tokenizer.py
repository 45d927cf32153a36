"""The tokenizer as an ONNX model. This module needs onnxscript, of the extra `export`."""

from collections.abc import Sequence
from typing import Any

from onnx import GraphProto, ModelProto, TensorProto, helper
from onnxscript import INT32, STRING, script, values
from onnxscript import opset20 as op  # 20 is the first version with StringConcat
from onnxscript.onnx_opset import opset_ai_onnx_ml2 as ml

from research.serving.metadata import PUNCTUATION

_RUNTIME = values.Opset("com.microsoft", 1)  # ONNX Runtime's own operators


def tokenizer(vocabulary: Sequence[str], sequence_length: int) -> ModelProto:
    """Return an ONNX model from `texts`, string[texts], to `token_ids`.

    These are int32[texts, sequence_length]. There is one text or more, and texts hold neither NUL
    nor lone surrogates.

    Texts are split one after the other. ONNX Runtime's operators pad strings to the longest row,
    so for all texts at once, memory would grow with the number of texts times the longest.

    Args:
      vocabulary: the words; the first two stand for padding and for unknown words.
      sequence_length: how many token ids each text gets.
    """
    one_text = _tokenizer_of_one_text(vocabulary, sequence_length)
    each = helper.make_node(
        "Scan", ["texts"], ["token_ids"], body=one_text.graph, num_scan_inputs=1
    )
    texts = helper.make_tensor_value_info("texts", TensorProto.STRING, ["texts"])
    shape = ["texts", sequence_length]
    token_ids = helper.make_tensor_value_info("token_ids", TensorProto.INT32, shape)
    graph: GraphProto = helper.make_graph([each], "tokenizer", [texts], [token_ids])
    return helper.make_model(
        graph, opset_imports=one_text.opset_import, ir_version=one_text.ir_version
    )


def _tokenizer_of_one_text(vocabulary: Sequence[str], sequence_length: int) -> Any:
    """Return an ONNX model from `text`, string[], to int32[sequence_length].

    ONNX cannot replace by a pattern. So the tokenizer splits the text at punctuation and joins the
    pieces again. All operators are ONNX's or ONNX Runtime's own. The package
    onnxruntime-extensions has a replacement, but it replaces nothing in a process that loaded
    TensorFlow before: both contain RE2, and each gets the other's.
    """
    punctuation, whitespace = [f"{PUNCTUATION}+"], [r"[ \t\n\v\f\r]+"]
    keys, ids = ["", *vocabulary[2:]], [0, *range(2, len(vocabulary))]
    length = [sequence_length]

    # onnxscript reads the source of this function; Python never runs it.
    @script(default_opset=op)  # type: ignore[untyped-decorator]
    def tokenize(text: STRING) -> INT32[None]:
        # In the locale "C" only ASCII letters have another case.
        lower = op.StringNormalizer(op.Reshape(text, [1]), case_change_action="LOWER", locale="C")

        # string[1, pieces]
        pieces = _RUNTIME.Tokenizer(
            lower, separators=punctuation, mark=0, mincharnum=1, pad_value=""
        )
        blank = op.Constant(value_strings=[""])  # in case there are no pieces
        joined = op.Concat(op.Squeeze(pieces, [0]), blank, axis=0)

        # Join neighbours until one piece is left, which takes log2(pieces) rounds.
        several = op.Squeeze(op.Shape(joined) > 1)
        while several:
            longer = op.Concat(joined, blank, axis=0)  # the last of an odd number needs a neighbour
            end = op.Shape(longer) / 2 * 2
            firsts = op.Slice(longer, [0], end, [0], [2])
            seconds = op.Slice(longer, [1], end, [0], [2])
            joined = op.StringConcat(firsts, seconds)
            several = op.Squeeze(op.Shape(joined) > 1)

        words = _RUNTIME.Tokenizer(
            joined, separators=whitespace, mark=0, mincharnum=1, pad_value=""
        )
        unpadded = ml.LabelEncoder(
            op.Squeeze(words, [0]), keys_strings=keys, values_int64s=ids, default_int64=1
        )
        padded = op.Concat(unpadded, op.Expand(0, length), axis=0)
        return op.Cast(op.Slice(padded, [0], length, [0]), to=INT32.dtype)

    return tokenize.to_model_proto()
