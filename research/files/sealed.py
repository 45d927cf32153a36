"""JSON objects with a digest of their own content, so that any change of them is noticed."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from research.files import atomic

_SEAL = "sha256"


def seal(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object with its digest under "sha256"."""
    return {**content, _SEAL: _digest(content)}


def parse(content: bytes, path: Path) -> dict[str, Any]:
    """Return what a sealed JSON file holds, without its digest.

    Args:
      content: its bytes.
      path: where it is, for the message of an error.

    Raises:
      ValueError: it is not a JSON object, or does not match its digest.
    """
    value = atomic.parse_json(content, path)
    inside = dict(value) if isinstance(value, dict) else {}
    if inside.pop(_SEAL, None) != _digest(inside):
        raise ValueError(
            f"expected {path} to match the digest inside it, received a damaged file; "
            "restore it from a copy, or make it again"
        )
    return inside


def _digest(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
