"""The files of a corpus that is a folder: PATH/CLASS/FILE or PATH/SPLIT/CLASS/FILE."""

import os
import reprlib
import stat
from pathlib import Path
from typing import NamedTuple

from research.data.splits import SPLIT_OF, by_name
from research.data.text_files import shown


class ClassFile(NamedTuple):
    """A file, with the class and the split that its folders name."""

    path: Path
    class_name: str
    split: str


def list_class_files(root: Path) -> list[ClassFile]:
    """Return every file below a class folder, in the order of their paths.

    Links are followed. Hidden files and folders are left out, and so are files outside the class
    folders, such as PATH/README. Everything else is returned, or refused by name.

    Args:
      root: the folder. If all its folders have names of splits, as in `SPLIT_OF`, they are
        the splits. Otherwise all files are in "train".

    Raises:
      ValueError: there is something that is neither a file nor a folder, a folder is reached
        twice, the folders are splits and others, two are the same split, or the name of a class is
        not UTF-8.
      OSError: a folder could not be read.
    """
    files = [(path, path.relative_to(root).parts) for path in _list_files(root)]
    split_of = _splits(root, [parts for _, parts in files])
    depth = 2 if split_of else 1  # folders above a file, at least
    found = [
        ClassFile(path, parts[depth - 1], split_of[parts[0]] if split_of else "train")
        for path, parts in files
        if len(parts) > depth
    ]
    for file in found:
        # Python writes lone surrogates for bytes that are not UTF-8.
        if file.class_name.encode(errors="ignore").decode() != file.class_name:
            raise ValueError(
                f"expected folders with names in UTF-8, received the name of the class of "
                f"{shown(file.path)}; rename the folder"
            )
    return found


def _splits(root: Path, files: list[tuple[str, ...]]) -> dict[str, str]:
    """Return which split each folder in the root is, or nothing if they are the classes."""
    tops = {top.name for top in root.iterdir() if top.is_dir() and not top.name.startswith(".")}
    others = sorted(name for name in tops if name.lower() not in SPLIT_OF)
    if not others:
        return by_name(sorted(tops), shown(root))
    in_train = [parts for parts in files if SPLIT_OF.get(parts[0].lower()) == "train"]
    if in_train and all(len(parts) > 2 for parts in in_train):
        raise ValueError(
            f"expected either splits ({', '.join(SPLIT_OF)}) or a folder for each class in "
            f"{shown(root)}, received {in_train[0][0]!r} with folders in it and beside it "
            f"{reprlib.repr(others[0])}; rename or remove one"
        )
    return {}


def _list_files(root: Path) -> list[Path]:
    # Folders that contain the root count as read, so that a link to one of them is refused at once.
    seen = {_identity(folder.stat()): folder for folder in (root, *root.resolve().parents)}
    folders, files = [root], []
    while folders:
        for path in sorted(folders.pop().iterdir()):
            if path.name.startswith("."):
                continue
            status = _follow(path)
            if stat.S_ISREG(status.st_mode):
                files.append(path)
            elif stat.S_ISDIR(status.st_mode):
                same = seen.setdefault(_identity(status), path)
                if same is not path:
                    raise ValueError(
                        f"expected every folder once, received {shown(path)}, which is the same "
                        f"folder as {shown(same)}; remove the link"
                    )
                folders.append(path)
            else:
                raise ValueError(
                    f"expected only files and folders, received {shown(path)}, which is a pipe, "
                    "a socket or a device; remove it"
                )
    return sorted(files)


def _follow(path: Path) -> os.stat_result:
    try:
        return path.stat()
    except FileNotFoundError as error:
        raise ValueError(
            f"expected only files and folders, received {shown(path)}, a link to nothing; "
            "repair or remove it"
        ) from error


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
