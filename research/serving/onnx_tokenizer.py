"""The tokenizer as an ONNX model. This module needs onnxscript, of the extra `export`."""

from collections.abc import Sequence
from typing import Any

from onnxscript import INT32, STRING, script, values
from onnxscript import opset20 as op  # 20 is the first version with StringConcat
from onnxscript.onnx_opset import opset_ai_onnx_ml2 as ml

from research.serving.metadata import PUNCTUATION

_RUNTIME = values.Opset("com.microsoft", 1)  # ONNX Runtime's own operators


def tokenizer(vocabulary: Sequence[str], sequence_length: int) -> Any:
    """Return an ONNX model from `texts`, string[texts], to `token_ids`.

    These are int32[texts, sequence_length]. Texts hold neither NUL nor lone surrogates. Memory
    grows with the number of texts times the words of the longest text, or times its pieces between
    punctuation if there are more of these.

    ONNX cannot replace by a pattern. So the tokenizer splits each text at punctuation and joins
    the pieces again. All operators are ONNX's or ONNX Runtime's own. The package
    onnxruntime-extensions has a replacement, but it replaces nothing in a process that loaded
    TensorFlow before: both contain RE2, and each gets the other's.

    Args:
      vocabulary: the words; the first two stand for padding and for unknown words.
      sequence_length: how many token ids each text gets.
    """
    punctuation, whitespace = [f"{PUNCTUATION}+"], [r"[ \t\n\v\f\r]+"]
    keys, ids = ["", *vocabulary[2:]], [0, *range(2, len(vocabulary))]
    length = [sequence_length]

    # onnxscript reads the source of this function; Python never runs it.
    @script(default_opset=op)  # type: ignore[untyped-decorator]
    def tokenize(texts: STRING[None]) -> INT32[None, None]:
        # In the locale "C" only ASCII letters have another case.
        lower = op.StringNormalizer(texts, case_change_action="LOWER", locale="C")

        # string[texts, pieces]; shorter rows end in "". A column of "" in case there are no pieces.
        pieces = _RUNTIME.Tokenizer(
            lower, separators=punctuation, mark=0, mincharnum=1, pad_value=""
        )
        nothing = op.Constant(value_string="")
        blank = op.Expand(nothing, op.Concat(op.Shape(texts), [1], axis=0))
        joined = op.Concat(pieces, blank, axis=1)

        # Join neighbours until one column is left, which takes log2(pieces) rounds.
        several = op.Squeeze(op.Shape(joined, start=1, end=2) > 1)
        while several:
            longer = op.Concat(joined, blank, axis=1)  # the last of an odd number needs a neighbour
            end = op.Shape(longer, start=1, end=2) / 2 * 2
            firsts = op.Slice(longer, [0], end, [1], [2])
            seconds = op.Slice(longer, [1], end, [1], [2])
            joined = op.StringConcat(firsts, seconds)
            several = op.Squeeze(op.Shape(joined, start=1, end=2) > 1)

        words = _RUNTIME.Tokenizer(
            op.Squeeze(joined, [1]), separators=whitespace, mark=0, mincharnum=1, pad_value=""
        )
        unpadded = ml.LabelEncoder(words, keys_strings=keys, values_int64s=ids, default_int64=1)
        padding = op.Expand(0, op.Concat(op.Shape(texts), length, axis=0))
        padded = op.Concat(unpadded, padding, axis=1)
        token_ids = op.Cast(op.Slice(padded, [0], length, [1]), to=INT32.dtype)
        return token_ids  # noqa: RET504  (names the output)

    return tokenize.to_model_proto()
