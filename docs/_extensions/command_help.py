"""The directive `command-help`, which shows what a command prints for `--help`."""

import os
import subprocess
import sys
import textwrap

from docutils import nodes
from docutils.parsers.rst import Directive


class CommandHelp(Directive):
    """Shows the help of a module that is run as a command, such as `research.train`."""

    required_arguments = 1

    def run(self):
        """Return the help as a literal block."""
        module = self.arguments[0]
        printed = subprocess.run(
            [sys.executable, "-m", module, "--help"],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.rstrip()
        shown = "\n".join(map(wrap, printed.split("\n")))
        block = nodes.literal_block(shown, shown)
        block["language"] = "text"
        return [block]


def wrap(line):
    """Return a line in pieces of 80 characters, broken also where names of experiments meet."""
    if len(line) <= 80:
        return line
    pieces = textwrap.wrap(line.replace("|", "| "), 80, subsequent_indent="    " * ("|" in line))
    return "\n".join(piece.replace("| ", "|") for piece in pieces)


def setup(app):
    """Add the directive."""
    app.add_directive("command-help", CommandHelp)
    return {"parallel_read_safe": True}
