"""Docstrings of this project as Sphinx expects them.

They are plain text with Google's sections, lists, and code in single backticks. This extension
marks code as code, turns `Example:` and other indented parts into blocks of code, and escapes
characters that only reStructuredText gives a meaning to.
"""

import re
from typing import Annotated, get_origin

from sphinx import addnodes

LONGEST_VALUE = 40


def setup(app):
    """Change docstrings before napoleon reads their sections."""
    app.connect("autodoc-process-docstring", mark_up, priority=100)
    app.connect("autodoc-skip-member", skip_tuple_fields)
    app.connect("autodoc-before-process-signature", lambda app, obj, _: shorten_types(obj))
    app.connect("object-description-transform", leave_out_long_values)
    return {"parallel_read_safe": True}


def mark_up(app, what, name, obj, options, lines):
    """Change the lines of a docstring in place."""
    if what == "class":
        shorten_types(obj)
    marked, text = [], []
    while lines:
        line = lines.pop(0)
        if line == "Example:":
            opening = [".. rubric:: Example", "", ".. code-block:: python", ""]
        elif line.startswith("    ") and text and text[-1] == "" and not text[-2].startswith(" "):
            lines.insert(0, line)
            opening = ["::", ""]
        else:
            text.append(line)
            continue
        marked += [*inline(text), *opening]
        text = []
        while lines and (not lines[0] or lines[0].startswith(" ")):
            marked.append(lines.pop(0))
    lines[:] = marked + inline(text)


def inline(lines):
    """Return lines of text with code in double backticks and nothing else marked."""
    pieces = re.split(r"`([^`]*)`", "\n".join(lines))  # every second piece is code
    for i, piece in enumerate(pieces):
        if i % 2:
            following = pieces[i + 1][:1]
            pieces[i] = f"``{piece}``" + (r"\ " if following.isalnum() else "")
        else:
            pieces[i] = re.sub(r"([*|]|(?<=\w)_(?!\w))", r"\\\1", piece)
    return "".join(pieces).split("\n")


def skip_tuple_fields(app, what, name, obj, skip, options):
    """Skip the fields of named tuples, which the text of their class describes."""
    return True if type(obj).__name__ == "_tuplegetter" else None


def shorten_types(obj):
    """Leave out what types tell the command line only."""
    annotations = getattr(obj, "__annotations__", {})
    for name, annotation in list(annotations.items()):
        if get_origin(annotation) is Annotated:
            annotations[name] = annotation.__origin__


def leave_out_long_values(app, domain, kind, content):
    """Leave out the value of a constant where it is long; its source is a click away."""
    for annotation in list(content.parent.findall(addnodes.desc_annotation)):
        text = annotation.astext()
        if text.lstrip().startswith("=") and len(text) > LONGEST_VALUE:
            annotation.parent.remove(annotation)
