"""20 Newsgroups, Ohsumed and MR as Text GCN splits them, which the field compares on.

Yao et al. 2019, "Graph Convolutional Networks for Text Classification",
https://doi.org/10.1609/aaai.v33i01.33017370. Their repository holds the raw texts and the splits.
"""

from research.data.documents import Documents, by_text
from research.files.downloads import RemoteFile, fetch_url

_COMMIT = "962223652e9bb164ac2d83cd09fc7b8845ce860b"
_URL = f"https://raw.githubusercontent.com/yao8839836/text_gcn/{_COMMIT}/data"
_MAX_BYTES = 50_000_000  # the texts of 20 Newsgroups have 24 MB

# The SHA-256 of a corpus's list of documents, and of its texts.
_SHA256 = {
    "20ng": (
        "5ec2cc32d698f77f64abe8f9d6e2578b623d85a837d9f04b8387dfee7da83839",
        "e56bbbaadc1283e4020d38dff5160381d93da04e68571b8bd0b70c47da9544b2",
    ),
    "ohsumed": (
        "724b8ed25eb3d99b90b86fdc4ef5e2450b386ff0ba348afe38f420cd61eccc16",
        "c117cc9f36c3c121793f85955b47fba1bbb58a8eb051c638e3611544f11f5032",
    ),
    "mr": (
        "184c1b3b7f9695174fcf949738a661ba9d798b0e500721d0644daab4d095e134",
        "2ce386f81c1ebd45fd2c0d2a41e8702e78f2dbeeb88fc8f3cff680211f303689",
    ),
}
NAMES = tuple(_SHA256)

_CLASS_NAMES = {"mr": {"0": "negative", "1": "positive"}}


def read(name: str) -> Documents:
    """Read "20ng", "ohsumed" or "mr".

    Each is two files, fetched from Text GCN's repository, or found in the cache under
    `downloads/text_gcn`, by the same paths as in its folder `data`.

    Raises:
      OSError: a file could not be fetched or written.
      ValueError: a file has another SHA-256.
    """
    documents, texts = (
        fetch_url(RemoteFile(f"{_URL}/{path}", f"text_gcn/{path}", _MAX_BYTES, sha256))
        for path, sha256 in zip((f"{name}.txt", f"corpus/{name}.txt"), _SHA256[name], strict=True)
    )
    rows = [line.split("\t") for line in documents.read_text("latin-1").splitlines()]
    # Not splitlines: a text may hold a carriage return.
    lines = texts.read_bytes().decode("latin-1").split("\n")[: len(rows)]
    names = _CLASS_NAMES.get(name, {})
    return by_text(
        texts=[line.strip() for line in lines],
        classes=[names.get(label, label) for _, _, label in rows],
        splits=["test" if split.endswith("test") else "train" for _, split, _ in rows],
        source=f"the repository of Text GCN at commit {_COMMIT[:12]}",
    )
