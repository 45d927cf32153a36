"""Sphinx's settings. `nox -s docs` builds the site without network."""

import importlib.metadata
import os
import re
import sys
from pathlib import Path

from sphinx.util import logging

# The API pages import the package, and with it Keras. TensorFlow is always installed with it.
os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

logger = logging.getLogger(__name__)
DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS.parent), str(DOCS / "_extensions")]

project = "keras-text-research"
author = "The keras-text-research authors"
copyright = author
release = importlib.metadata.version("keras-text-research")

extensions = [
    "myst_nb",  # Markdown pages, and notebooks with the outputs that they were committed with
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_copybutton",
    "command_help",
    "plain_docstrings",
]
exclude_patterns = ["_build", "runs"]
suppress_warnings = ["ref.python"]  # two classes are called Classifier

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
nb_execution_mode = "off"

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_mock_imports = ["onnx", "onnxscript"]  # of the extra `export`
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_custom_sections = [("Attributes", "params_style")]  # a list, in the text of the class
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "furo"
html_title = "keras-text-research"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
copybutton_prompt_text = "$ "


def setup(app):
    """Let links to the records work in the site as they do in the repository."""
    app.connect("source-read", link_to_pages)
    app.connect("builder-inited", check_api_pages)


def link_to_pages(app, page, source):
    """Point links to tables and to the log at the pages that include them."""
    source[0] = re.sub(r"\]\(\.\./results/(tables/\w+\.md)", r"](\1", source[0])
    source[0] = source[0].replace("](../results/LOG.md", "](log.md")


def check_api_pages(app):
    """Warn of modules that no page of the API shows."""
    shown = "".join(page.read_text("utf-8") for page in (DOCS / "api").glob("*.md"))
    package = DOCS.parent / "research"
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(DOCS.parent).with_suffix("").parts)
        if path.name != "__init__.py" and not re.search(rf"{re.escape(module)}$", shown, re.M):
            logger.warning("no page in docs/api shows %s", module)
